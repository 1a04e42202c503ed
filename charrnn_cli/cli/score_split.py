"""Scores of checkpoints on the texts of their own runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from charrnn_cli.cli.options.given import is_chosen
from charrnn_cli.cli.options.text_options import given_options
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.score_output import score_to_json, show_scores
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import option_names
from charrnn_cli.storage.paths import check_working_directory
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.training.run_parts import Part, PartText

_PARTS: "tuple[Part, ...]" = ("train", "val", "test")


def show_splits(
    context: typer.Context,
    split: str,
    references: Sequence[str],
    threads: int | None,
    *,
    as_json: bool,
) -> None:
    """Score checkpoints on the part of their runs' texts that --split names; show a row for each.

    Raises NotFoundError, ConfigError, TextError, MismatchError, FileFormatError, StorageError.
    """
    part = _checked(context, split)
    stop = StopRequest()
    with stop.listening():
        rows = _score_all(references, part, threads, stop)
    if as_json:
        console.write_json(rows)
    else:
        show_scores(rows)


def _checked(context: typer.Context, split: str) -> "Part":
    """Return the part that --split names. Raises ConfigError, also for options that it excludes."""
    others = [*given_options(context)]
    others += [name for name in ("per_line", "unknown") if is_chosen(context, name)]
    if others:
        options = option_names(others)
        raise ConfigError(f"--split cannot be combined with {options}", hint=f"leave out {options}")
    for part in _PARTS:
        if part == split:
            return part
    raise ConfigError(f"--split must be one of {', '.join(_PARTS)}; got {split!r}")


def _score_all(
    references: Sequence[str], part: "Part", threads: int | None, stop: StopRequest
) -> list[dict[str, Any]]:
    """Read all texts, which may fail, before torch is loaded."""
    paths = [Registry().resolve(reference) for reference in references]
    models = [_read(path, part, stop) for path in paths]
    check_working_directory()
    console.say("charrnn", "loading torch")
    from charrnn_cli.training.device import restored_threads, set_threads
    from charrnn_cli.training.split_scoring import score_part

    rows = []
    for model in models:
        recorded = model.checkpoint.train.get("threads")  # those that were fast
        with restored_threads():
            if (wanted := recorded if threads is None else threads) is not None:
                set_threads(wanted)
            loss = score_part(model.checkpoint, model.text, stop)
        stop.check()
        assert loss is not None
        scores = score_to_json(model.text.characters, loss)
        rows.append({"checkpoint": model.name, "split": part, **scores})
    return rows


@dataclass(frozen=True, slots=True)
class _Model:
    """A checkpoint and the part of its run's texts to score it on."""

    checkpoint: "Checkpoint"
    name: str
    """Reference of the checkpoint."""
    text: "PartText"


def _read(path: Path, part: "Part", stop: StopRequest) -> _Model:
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.training.run_parts import read_part

    checkpoint = load_checkpoint(path)
    name = Registry().reference_of(path, checkpoint.step)
    with bytes_progress("encoding", stop) as progress:
        text = read_part(Run(path.parent.name, path.parent), name, checkpoint, part, progress)
    which = f"{text.characters:,} of {text.part_characters:,} characters"
    of = f"{part} of {text.corpus.name}"
    console.say("split", f"{of}: {which}, in the rows that training evaluates")
    return _Model(checkpoint, name, text)
