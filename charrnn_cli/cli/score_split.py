"""Scores of checkpoints on the texts of their own runs."""

from collections.abc import Sequence
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
    from charrnn_cli.training.split_scoring import Part

PARTS: "tuple[Part, ...]" = ("train", "val", "test")


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
    for part in PARTS:
        if part == split:
            return part
    raise ConfigError(f"--split must be one of {', '.join(PARTS)}; got {split!r}")


def _score_all(
    references: Sequence[str], part: "Part", threads: int | None, stop: StopRequest
) -> list[dict[str, Any]]:
    paths = [Registry().resolve(reference) for reference in references]
    check_working_directory()
    console.say("charrnn", "loading torch")
    from charrnn_cli.training.device import restored_threads

    with restored_threads():
        return [_score(path, part, threads, stop) for path in paths]


def _score(path: Path, part: "Part", threads: int | None, stop: StopRequest) -> dict[str, Any]:
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.training.device import set_threads
    from charrnn_cli.training.split_scoring import read_part, score_part

    checkpoint = load_checkpoint(path)
    recorded = checkpoint.train.get("threads")  # those that were fast
    if (wanted := recorded if threads is None else threads) is not None:
        set_threads(wanted)
    name = Registry().reference_of(path, checkpoint.step)
    with bytes_progress("encoding", stop) as progress:
        run = Run(path.parent.name, path.parent)
        corpus, split = read_part(run, name, checkpoint, progress)
    found = score_part(checkpoint, name, corpus, split, part, stop)
    stop.check()
    assert found is not None
    which = f"{found.characters:,} of {found.part_characters:,} characters"
    console.say("split", f"{part} of {corpus.name}: {which}, in the rows that training evaluates")
    return {
        "checkpoint": name,
        "split": part,
        **score_to_json(found.characters, found.loss),
    }
