"""What a run needs to go on: its state, its text, and settings that fit both."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn_cli.config import ModelConfig, TextOptions, TrainConfig
from charrnn_cli.errors import CharrnnError, MismatchError, NotFoundError, TextError
from charrnn_cli.settings import option_name
from charrnn_cli.storage.lock import check_unlocked
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import STANDARD_INPUT, Source
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume

LIMITS = ("epochs", "max_steps", "max_time")
DISPLAY = ("log_every", "sample_every", "sample_prime")
CHANGEABLE = {
    *LIMITS,
    *DISPLAY,
    "eval_every",
    "save_every",
    "keep",
    "patience",
    "device",
    "precision",
    "threads",
}
"""Settings that a resumed run may change; the others would make it another run."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resumable:
    """A run and the state to go on from; `note` tells of a damaged file that was passed over."""

    run: Run
    state: TrainingSnapshot
    note: str | None

    @property
    def model(self) -> ModelConfig:
        return self.state.checkpoint.model

    @property
    def step(self) -> int:
        return self.state.checkpoint.step


def open_resumable(reference: str, registry: Registry) -> Resumable:
    """The run that `RUN` or `latest` names. A damaged resume file gives way to the one before.

    Raises NotFoundError, RunBusyError, FileFormatError, StorageError.
    """
    name, _, step = reference.partition("@")
    run = registry.newest(resumable=True) if name == "latest" and not step else registry.run(name)
    note = None
    try:
        state = load_resume(run.resume_path)
    except CharrnnError as error:
        try:
            state = load_resume(run.previous_resume_path)
        except CharrnnError:
            if run.resume_path.exists():
                raise error from None
            check_unlocked(run.path)  # perhaps it has none yet
            hint = f"--init-from {run.name}" if run.has_checkpoint() else f"--run {run.name}"
            raise NotFoundError(
                f"run {run.name!r} has no state to resume from",
                hint=f"begin anew: charrnn train TEXT {hint}",
            ) from error
        if run.resume_path.exists():
            note = f"{error.message}; going on from the state before it, at step {state.checkpoint.step}"
    if step and step != "latest" and step != str(state.checkpoint.step):
        raise NotFoundError(
            f"run {run.name!r} can only go on from step {state.checkpoint.step}; "
            f"the checkpoint of step {step} holds weights alone",
            hint=f"charrnn train --resume {run.name}",
        )
    return Resumable(run, state, note)


def resumed_config(resumable: Resumable, given: Mapping[str, Any]) -> TrainConfig:
    """The run's own settings with those replaced that may change. Raises MismatchError for a clash.

    A new limit on epochs, steps or time replaces the planned number of steps.
    """
    recorded = TrainConfig.from_json(resumable.state.checkpoint.train)
    known = {**resumable.model.to_json(), **recorded.to_json()}
    for name, value in given.items():
        if name not in CHANGEABLE and known[name] != value:
            raise MismatchError(
                f"run {resumable.run.name!r} has {name.replace('_', ' ')} {known[name]}, not {value}",
                hint=f"leave out {option_name(name)}, or train a new run with it",
            )
    changes = {name: value for name, value in given.items() if name in CHANGEABLE}
    if any(name in changes for name in LIMITS):
        changes = {**dict.fromkeys(LIMITS), **changes}
    return dataclasses.replace(recorded, **changes)


def is_complete(resumable: Resumable, config: TrainConfig, given: Mapping[str, Any]) -> bool:
    """Whether nothing is left to do: the run ended, and no limit was given that lies behind its end."""
    finished = bool(resumable.state.progress["finished"])
    if config.max_steps is not None and config.max_steps <= resumable.step:
        return (
            finished or config.max_steps < resumable.step
        )  # else its last evaluation is still to be done
    return finished and not any(name in given for name in LIMITS)


def source_of(
    resumable: Resumable, texts: Sequence[Path] = (), options: TextOptions | None = None
) -> tuple[Source, Vocab | None]:
    """The text to go on with, as given, else as the run has it; and the vocabulary to encode it by.

    Raises TextError when the text is gone.
    """
    name = resumable.run.name
    hint = f"name it: charrnn train TEXT --resume {name}"
    try:
        recorded = Source.from_json(resumable.state.source)
    except ValueError as error:
        if not texts:
            raise TextError(f"run {name!r} does not know its text's file", hint=hint) from error
        return Source(tuple(texts), options or TextOptions()), None
    source = dataclasses.replace(
        recorded, paths=tuple(texts) or recorded.paths, options=options or recorded.options
    )
    if not texts and source.missing == STANDARD_INPUT:
        raise TextError(f"the text of run {name!r} came through standard input", hint=hint)
    if not texts and source.missing is not None:
        raise TextError(f"the text of run {name!r} is gone: {source.missing}", hint=hint)
    return source, resumable.state.checkpoint.vocab if source.init_from else None


def check_text(resumable: Resumable, corpus: Corpus, *, allow_new_data: bool) -> None:
    """Raises MismatchError when the text is not the run's, or, with `allow_new_data`, its vocabulary is not."""
    checkpoint = resumable.state.checkpoint
    if corpus.sha256 == checkpoint.data.get("sha256"):
        return
    same_vocabulary = corpus.vocab == checkpoint.vocab
    if same_vocabulary and allow_new_data:
        return
    what = "this is another text" if same_vocabulary else "this is a text with other characters"
    raise MismatchError(
        f"run {resumable.run.name!r} was trained on {checkpoint.data.get('name')!r}, and {what}",
        hint="go on with it by --allow-new-data"
        if same_vocabulary
        else "train a new run on it: charrnn train TEXT",
    )
