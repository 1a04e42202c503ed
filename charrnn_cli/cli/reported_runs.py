"""Runs with all that a report shows of them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.cli.recorded_recipe import ordered_recipe
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.formats import format_duration, format_setting
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.errors import (
    ConfigError,
    FileFormatError,
    MismatchError,
    StorageError,
    TextError,
    UnknownCharacterError,
)
from charrnn_cli.storage.metrics_log import Metrics, read_metrics
from charrnn_cli.storage.references import choose, is_path, names_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.command_line import reading_words, source_words, train_command

if TYPE_CHECKING:
    from charrnn_cli.export.report import ReportedRun
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.text.corpus import Corpus


def runs_of(references: Sequence[str], purpose: str = "a report") -> list[Run]:
    """Return the runs with these names, each once; without names, the newest run.

    Raises ConfigError for the name of one checkpoint, NotFoundError, StorageError.
    """
    registry = Registry()
    for reference in references:
        if is_path(reference) and Path(reference).is_dir():
            name = Path(reference).resolve().name
            raise ConfigError(
                f"{reference!r} is a directory", hint=f"use the name of a run: {name}"
            )
        if names_checkpoint(reference):
            name, _, _ = reference.partition("@")
            is_run = not is_path(reference) and name not in ("", "best", "latest")
            raise ConfigError(
                f"{purpose} requires a run, and {reference!r} is one checkpoint",
                hint=f"use {name}" if is_run else "use the name of a run",
            )
    names = dict.fromkeys(references)
    return [registry.run(name) for name in names] if names else [registry.newest()]


def reported_run(run: Run, stop: StopRequest) -> "ReportedRun":
    """Read a run: its best checkpoint, its losses and, where possible, its text.

    Raises NotFoundError, FileFormatError, StorageError, InterruptionError.
    """
    from charrnn_cli.export.report import ReportedRun
    from charrnn_cli.model.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(run.reference(choose(run, "").step))
    metrics = read_metrics(run.metrics_path)
    replanned = checkpoint.train.get("replanned_at") is not None
    remark = "The plan changed while this run was trained, so no command repeats exactly this run."
    return ReportedRun(
        run=run,
        checkpoint=checkpoint,
        metrics=metrics,
        settings=_settings(checkpoint, metrics),
        command=train_command(
            checkpoint.model.to_json(), ordered_recipe(checkpoint.train), _source(run, checkpoint)
        ),
        remark=remark if replanned else "",
        text=_text(run, checkpoint, stop),
    )


def _settings(checkpoint: "Checkpoint", metrics: Metrics) -> dict[str, str]:
    """Return the facts and settings of a run by name, as they are shown."""
    model, data = checkpoint.model, checkpoint.data
    facts = {
        "model": str(model),
        "weights": f"{model.num_parameters:,}",
        "embed": f"{model.embed:,}",
        "n-grams": f"{model.ngram:,}",
        "text": data.name,
        "characters": f"{data.characters:,}",
        "distinct characters": f"{model.vocabulary_size:,}",
        "read with": " ".join(reading_words(data.reading)),
        "started from": data.init_from or "",
        "time": format_duration(metrics.evaluations[-1].seconds) if metrics.evaluations else "",
    }
    shown = {name: value for name, value in facts.items() if value}
    recipe = {
        name.replace("_", " "): format_setting(value)
        for name, value in ordered_recipe(checkpoint.train).items()
        if value is not None and value is not False
    }
    return shown | recipe


def _source(run: Run, checkpoint: "Checkpoint") -> str:
    """Return TEXT in place of the path of the text, with the options that it was read with."""
    header = run.resume_header()
    if header is None or header.source is None:
        return " ".join(["TEXT", *reading_words(checkpoint.data.reading)])
    source = header.source
    initial = source.init_from
    return source_words(
        dataclasses.replace(
            source,
            paths=(Path("TEXT"),),
            init_from=Path(initial).name if initial and is_path(initial) else initial,
            val=Path("VAL") if source.val else None,
            test=Path("TEST") if source.test else None,
        )
    )


def _text(run: Run, checkpoint: "Checkpoint", stop: StopRequest) -> "Corpus | str":
    """Return the training text in the ids of a checkpoint, or say why it cannot be read.

    A path in the answer would name a directory of this machine.
    """
    from charrnn_cli.model.reading import in_model_vocabulary
    from charrnn_cli.training.own_text import read_own_text

    header = run.resume_header()
    source = None if header is None else header.source
    if source is None:
        return "nothing records where the text is"
    if source.why_missing is not None:
        return f"the text {source.why_missing.partition(':')[0]}"
    try:
        with bytes_progress("encoding", stop) as progress:
            _, corpus = read_own_text(run, run.name, checkpoint, progress, "")
        return in_model_vocabulary(corpus, checkpoint)
    except MismatchError:
        return "the text has changed since it was trained on"
    except (TextError, FileFormatError, StorageError, ConfigError, UnknownCharacterError):
        return "the text cannot be read"
