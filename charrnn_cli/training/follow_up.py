"""Commands for new runs, where a run cannot be resumed with another setting or text."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn_cli.config import TextOptions, TrainConfig, Unknown
from charrnn_cli.storage.runs import Run, latest
from charrnn_cli.storage.source import Source
from charrnn_cli.training.command_line import source_words, train_command
from charrnn_cli.training.snapshot import TrainingSnapshot

LIMITS = ("epochs", "max_steps", "max_time")
MAX_LENGTH = 400  # characters of a command; a longer hint is shown shortened

_OF_THE_MACHINE = ("device", "precision", "threads", "eval_every", "seed")
_PLACEHOLDER = Path("TEXT")


def command_for_new_run(
    run: Run,
    snapshot: TrainingSnapshot,
    settings: Mapping[str, Any],
    *,
    texts: Sequence[Path] = (),
    extend: bool = False,
) -> str:
    """Return the command that trains as a run did, except for `settings`, in a new run.

    It starts with the weights of the run's latest checkpoint, unless a setting changes the
    architecture. `texts` replace the run's texts, and with `extend`, the text may have new
    characters. A command that would be too long names fewer paths and settings.
    """
    recorded_model = snapshot.checkpoint.model.to_json()
    model = {name: settings.get(name, value) for name, value in recorded_model.items()}
    source = _source(snapshot.source, texts)
    if model == recorded_model and latest(run.checkpoints()) is not None:
        model = {}
        unknown: Unknown = "extend" if extend else "skip" if source.unknown == "skip" else "error"
        # The text is read as the checkpoint says.
        source = dataclasses.replace(
            source, options=None, init_from=f"{run.name}@latest", unknown=unknown
        )
    recorded = TrainConfig.from_json(snapshot.checkpoint.train).to_json()
    recorded |= dict.fromkeys(_OF_THE_MACHINE)
    if not settings.keys().isdisjoint(LIMITS):
        recorded |= dict.fromkeys(LIMITS)
    short = dataclasses.replace(source, paths=(_PLACEHOLDER,))
    commands = (
        train_command(model, {**recorded, **settings}, source_words(source)),
        train_command(model, {**recorded, **settings}, source_words(short)),
        train_command(model, settings, source_words(short)),
    )
    return next((command for command in commands if 0 < len(command) <= MAX_LENGTH), commands[-1])


def _source(recorded: Source | None, texts: Sequence[Path]) -> Source:
    """Return a run's text without the vocabulary it started with; `TEXT` if it is gone."""
    if recorded is None:
        return Source(tuple(texts) or (_PLACEHOLDER,), TextOptions())
    paths = tuple(texts) or (recorded.paths if recorded.missing is None else (_PLACEHOLDER,))
    if recorded.missing_held_out is not None:
        recorded = dataclasses.replace(recorded, val=None, test=None)
    applies = recorded.init_from is not None or recorded.held_out
    unknown = recorded.unknown if applies else "error"
    return dataclasses.replace(recorded, paths=paths, init_from=None, unknown=unknown)
