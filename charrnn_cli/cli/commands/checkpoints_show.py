"""`charrnn checkpoints show`: describe checkpoints from their headers and recorded losses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.recorded_recipe import ordered_recipe
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import (
    format_both_units,
    format_count,
    format_duration,
    format_loss,
    format_setting,
    format_size,
    sparkline,
)
from charrnn_cli.cli.terminal.table import write_fields
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.events import Evaluated
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.header import CheckpointHeader
from charrnn_cli.storage.metrics_log import Metrics, event_to_json, read_metrics
from charrnn_cli.storage.record import typed_header
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.tensorfile import FORMAT, read_header
from charrnn_cli.training.command_line import reading_words, source_words, train_command
from charrnn_cli.units import bits_per_character

LABEL_WIDTH = 12
DIGITS = 16  # of a digest that is shown; 64 bits distinguish all models on one disk

Fields = dict[str, Any]
Line = tuple[str, str]  # a label and its text


def show(
    references: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF...]",
            help=with_default(
                "RUN, RUN@best, RUN@latest, RUN@STEP, best, latest or a file.",
                "the newest run's best",
            ),
            show_default=False,
            autocompletion=complete_reference,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg|.png", help="Only draw the losses of the given runs, in a new file."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the header and the losses as JSON.")
    ] = False,
) -> None:
    """Show a checkpoint's configuration, data, losses and training command.

    Example: charrnn checkpoints show anna-lstm-2x512 --plot losses.svg
    """
    if plot is not None and as_json:
        raise ConfigError("--plot cannot be combined with --json", hint="leave out --json")
    registry = Registry()
    wanted: list[str | None] = [*references] if references else [None]
    files = [registry.resolve(reference) for reference in wanted]
    headers = [_fields(file) for file in files]
    metrics = _read_metrics(files, as_json)
    if plot is not None:
        _plot(plot, metrics)
        return
    found = [metrics[_run_of(file)].evaluations for file in files]
    for file, fields in zip(files, headers, strict=True):
        fields["test_loss"] = _test_loss(metrics[_run_of(file)], fields["step"])
    described = list(zip(headers, found, strict=True))
    if as_json:
        objects = [
            {**fields, "evaluations": [event_to_json(event) for event in evaluations]}
            for fields, evaluations in described
        ]
        console.write_json(objects[0] if len(objects) == 1 else objects)
        return
    for number, (fields, evaluations) in enumerate(described):
        if number:
            console.write_line()
        lines = [
            *_result_lines(fields),
            *_curve_lines(evaluations),
            *_time_lines(evaluations),
            *_recipe_lines(fields),
        ]
        write_fields(lines, LABEL_WIDTH)


def _run_of(file: Path) -> Run:
    return Run(file.parent.name, file.parent)


def _read_metrics(files: Sequence[Path], as_json: bool) -> dict[Run, Metrics]:
    """Read the metrics of the files' runs, each once, and report their problems."""
    metrics = {
        run: read_metrics(run.metrics_path, all_evaluations=as_json)
        for run in dict.fromkeys(map(_run_of, files))
    }
    for found in metrics.values():
        if found.problem is not None:
            console.say("warning", found.problem)
    return metrics


def _test_loss(metrics: Metrics, step: int) -> float | None:
    """Return the recorded loss on the run's test text, if it is this checkpoint's."""
    tested = metrics.tested
    return tested.test_loss if tested is not None and tested.step == step else None


def _plot(target: Path, metrics: Mapping[Run, Metrics]) -> None:
    from charrnn_cli.export.curves import losses_of
    from charrnn_cli.export.plot import render_plot

    picture = render_plot(target, losses_of((run.name, found) for run, found in metrics.items()))
    with atomic_write(target) as file:
        file.write(picture)
    console.say("wrote", str(target))


def _fields(file: Path) -> Fields:
    """Return the header's fields, and facts derived from them. Raises FileFormatError."""
    found = read_header(file, follow=True)
    header = typed_header(found, CheckpointHeader, file)
    fields = header.to_json()
    return fields | {
        "format": FORMAT,
        "kind": found.kind,
        "version": found.version,
        "checkpoint": file.name,
        "reference": Registry().reference_of(file, header.step),
        "val_bpc": None if header.val_loss is None else bits_per_character(header.val_loss),
        "bytes": found.file_bytes,
        "weights": found.tensors_sha256,
        "command": train_command(
            fields["model"], ordered_recipe(fields["train"]), _source(_run_of(file), header)
        ),
    }


def _source(run: Run, header: CheckpointHeader) -> str:
    """Return the text's path, if it is recorded and the text exists, or TEXT, with its options."""
    resume = run.resume_header()
    source = None if resume is None else resume.source
    if source is None or source.missing:
        return " ".join(["TEXT", *reading_words(header.data.reading)])
    return source_words(source)


def _result_lines(fields: Fields) -> list[Line]:
    model, data = fields["model"], fields["data"]
    ngrams = f"n-grams of up to {model['ngram']} characters, " if model["ngram"] else ""
    sizes = f"embed {model['embed']}, {ngrams}{fields['parameters']:,} parameters"
    characters = f"{data['characters']:,} characters, {model['vocabulary_size']:,} distinct"
    reading = " ".join(reading_words(TextOptions.from_json(data["reading"])))
    return [
        ("checkpoint", f"{fields['reference']}, {format_size(fields['bytes'])}"),
        ("model", f"{ModelConfig.from_json(model)}, {sizes}"),
        ("weights", fields["weights"][:DIGITS]),
        ("data", f"{data['name']}: {characters}"),
        *([("read with", reading)] if reading else []),
        ("trained", f"{format_count(fields['step'], 'step')}, {fields['epoch']:.2f} epochs"),
        ("train loss", format_both_units(fields["train_loss"])),
        ("val loss", _val_loss(fields)),
        *_test_lines(fields),
    ]


def _test_lines(fields: Fields) -> list[Line]:
    loss = fields["test_loss"]
    return [] if loss is None else [("test loss", format_both_units(loss))]


def _val_loss(fields: Fields) -> str:
    return "not evaluated" if fields["val_loss"] is None else format_both_units(fields["val_loss"])


def _curve_lines(evaluations: Sequence[Evaluated]) -> list[Line]:
    curves = {
        "train curve": [event.train_loss for event in evaluations],
        "val curve": [event.val_loss for event in evaluations],
    }
    return [
        (label, f"{format_loss(losses[0])} {sparkline(losses)} {format_loss(losses[-1])}")
        for label, losses in curves.items()
        if len(losses) > 1
    ]


def _time_lines(evaluations: Sequence[Evaluated]) -> list[Line]:
    if not evaluations:
        return []
    last = evaluations[-1]
    return [("time", f"{format_duration(last.seconds)} to step {last.step:,}")]


def _recipe_lines(fields: Fields) -> list[Line]:
    recipe = [
        name.replace("_", " ") + ("" if value is True else f" {format_setting(value)}")
        for name, value in ordered_recipe(fields["train"]).items()
        if value not in (None, False)
    ]
    train, replanned = fields["train"], []
    if train.get("replanned_at") is not None:
        change = f"from {train['replanned_from']:,} to {train['max_steps']:,} steps"
        what = f"at step {train['replanned_at']:,}, {change}; no command repeats exactly this run"
        replanned = [("replanned", what)]
    versions = [f"{name} {version}" for name, version in fields["versions"].items()]
    return [
        ("settings", ", ".join(recipe)),
        *replanned,
        ("versions", ", ".join(versions)),
        ("command", fields["command"]),
    ]
