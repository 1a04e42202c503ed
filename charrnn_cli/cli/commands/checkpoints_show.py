"""`charrnn checkpoints show`: describe checkpoints from their headers and recorded losses."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.cli.options.command_line import source_words, train_command
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import (
    UNKNOWN,
    format_duration,
    format_loss,
    format_size,
    sparkline,
)
from charrnn_cli.cli.terminal.table import write_fields
from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.errors import CharrnnError, ConfigError
from charrnn_cli.settings import fields_of
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.header import check_checkpoint_fields
from charrnn_cli.storage.metrics_log import read_metrics
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import CHECKPOINT_KIND, Run, reference_of
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.units import bits_per_character

LABEL_WIDTH = 12

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
            metavar="FILE.svg|.png", help="Draw the losses of the given runs in a new file."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the header and the losses as JSON.")
    ] = False,
) -> None:
    """Show a checkpoint's configuration, data, losses and training command.

    Example: charrnn checkpoints show anna-lstm-2x512 --plot losses.svg
    """
    registry = Registry()
    wanted: list[str | None] = [*references] if references else [None]
    files = [registry.resolve(reference) for reference in wanted]
    described = [(_fields(file), _evaluations(_run_of(file))) for file in files]
    if plot is not None:
        _plot(plot, files)
    if as_json:
        objects = [{**fields, "evaluations": evaluations} for fields, evaluations in described]
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


def _plot(target: Path, files: list[Path]) -> None:
    from charrnn_cli.export.plot import curves_of, render_plot

    runs = {run.name: run for run in map(_run_of, files)}
    metrics = [(name, read_metrics(run.metrics_path)) for name, run in runs.items()]
    picture = render_plot(target, ", ".join(runs), curves_of(metrics))
    with atomic_write(target) as file:
        file.write(picture)
    console.say("wrote", str(target))


def _fields(file: Path) -> Fields:
    """Return the header without digests, and facts derived from it. Raises FileFormatError."""
    header = read_header(file)
    header.check_kind(CHECKPOINT_KIND, file)
    check_checkpoint_fields(header.metadata, file)
    fields = {
        name: value for name, value in header.metadata.items() if not name.endswith("_sha256")
    }
    val_loss = fields["val_loss"]
    return fields | {
        "checkpoint": file.name,
        "reference": reference_of(file, fields["step"]),
        "val_bpc": None if val_loss is None else bits_per_character(val_loss),
        "bytes": header.file_bytes,
        "command": train_command(fields["model"], _recipe(fields), _source(_run_of(file))),
    }


def _recipe(fields: Fields) -> dict[str, Any]:
    """Return the recorded training settings in their usual order, unknown ones last."""
    recorded: dict[str, Any] = fields["train"]
    ordered = {name: recorded[name] for name in fields_of(TrainConfig) if name in recorded}
    return {**ordered, **recorded}


def _evaluations(run: Run) -> list[Fields]:
    return [row for row in read_metrics(run.metrics_path) if row["event"] == "Evaluated"]


def _source(run: Run) -> str:
    """Return the text's path and options if they are recorded and the text exists, else TEXT."""
    try:
        source = Source.from_json((run.resume_metadata() or {}).get("source") or {})
    except (CharrnnError, ValueError):
        return "TEXT"
    return "TEXT" if source.missing else source_words(source)


def _result_lines(fields: Fields) -> list[Line]:
    model, data = fields["model"], fields["data"]
    sizes = f"embed {model['embed']}, {fields['parameters']:,} parameters"
    characters = f"{data['characters']:,} characters, {model['vocabulary_size']:,} distinct"
    return [
        ("checkpoint", f"{fields['reference']}, {format_size(fields['bytes'])}"),
        ("model", f"{_architecture(model)}, {sizes}"),
        ("data", f"{data['name']}: {characters}"),
        ("trained", f"{fields['step']:,} steps, {fields['epoch']:.2f} epochs"),
        ("train loss", format_loss(fields["train_loss"])),
        ("val loss", _val_loss(fields)),
    ]


def _architecture(model: Fields) -> str:
    try:
        return str(ModelConfig.from_json(model))
    except ConfigError:  # a setting of another version
        return UNKNOWN


def _val_loss(fields: Fields) -> str:
    if fields["val_loss"] is None:
        return "not evaluated"
    return f"{format_loss(fields['val_loss'])}, {format_loss(fields['val_bpc'])} bits per character"


def _curve_lines(evaluations: list[Fields]) -> list[Line]:
    lines = []
    for name, label in (("train_loss", "train curve"), ("val_loss", "val curve")):
        found = [row.get(name) for row in evaluations]
        losses = [loss for loss in found if isinstance(loss, float) and math.isfinite(loss)]
        if len(losses) > 1:
            first, last = format_loss(losses[0]), format_loss(losses[-1])
            lines.append((label, f"{first} {sparkline(losses)} {last}"))
    return lines


def _time_lines(evaluations: list[Fields]) -> list[Line]:
    for row in reversed(evaluations):
        step, seconds = row.get("step"), row.get("seconds")
        if isinstance(step, int) and isinstance(seconds, float):
            return [("time", f"{format_duration(seconds)} to step {step:,}")]
    return []


def _recipe_lines(fields: Fields) -> list[Line]:
    recipe = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in _recipe(fields).items()
        if value not in (None, False)
    ]
    versions = [f"{name} {version}" for name, version in fields["versions"].items()]
    return [
        ("settings", ", ".join(recipe)),
        ("versions", ", ".join(versions)),
        ("command", fields["command"]),
    ]
