"""`charrnn checkpoints show` and `path`: one checkpoint, from its header alone."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.cli.options.command_line import source_words, train_command
from charrnn_cli.cli.options.completion import ReferenceArgument, complete_reference
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import duration, loss, size, sparkline
from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.errors import CharrnnError, FileFormatError
from charrnn_cli.export.plot import curves_of, render_plot
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.metrics_log import read_metrics
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import CHECKPOINT_KIND, Run, reference_of
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.units import bits_per_character

LABEL_WIDTH = 12


def path(reference: ReferenceArgument = None) -> None:
    """Print the absolute path of a checkpoint's file.

    Example: charrnn checkpoints path best
    """
    console.write_line(str(Registry().resolve(reference).absolute()))


def show(
    references: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF]...",
            help="RUN, RUN@best, RUN@STEP, latest or a file; several for one plot. Default: the newest run's best.",
            show_default=False,
            autocompletion=complete_reference,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg|.png", help="Draw the losses as a picture, of several runs in one."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The header and the losses as one JSON object.")
    ] = False,
) -> None:
    """Show a checkpoint: its configuration, data, losses, and the command that trains it again.

    Example: charrnn checkpoints show anna-lstm-2x512 --plot losses.svg
    """
    wanted: list[str | None] = [*references] if references else [None]
    files = [Registry().resolve(reference) for reference in wanted]
    shown = [_fields(file) for file in files]
    if plot is not None:
        _plot(plot, files)
    if as_json:
        whole = [
            {**fields, "evaluations": _evaluations(file)}
            for file, fields in zip(files, shown, strict=True)
        ]
        console.write_json(whole[0] if len(whole) == 1 else whole)
    else:
        for number, (file, fields) in enumerate(zip(files, shown, strict=True)):
            if number:
                console.write_line()
            console.write_fields(_lines(fields, _evaluations(file)), LABEL_WIDTH)


def _plot(target: Path, files: list[Path]) -> None:
    runs = {file.parent.name: file.parent for file in files}
    metrics = [(name, read_metrics(Run(name, path).metrics_path)) for name, path in runs.items()]
    picture = render_plot(target, ", ".join(runs), curves_of(metrics))
    with atomic_write(target) as file:
        file.write(picture)
    console.say("wrote", str(target))


def _fields(file: Path) -> dict[str, Any]:
    header = read_header(file)
    if header.kind != CHECKPOINT_KIND:
        raise FileFormatError(f"{file} is a charrnn {header.kind} file, not a {CHECKPOINT_KIND}")
    fields = {
        name: value for name, value in header.metadata.items() if not name.endswith("_sha256")
    }
    val_loss = fields["val_loss"]
    return fields | {
        "checkpoint": file.name,
        "reference": reference_of(file, fields["step"]),
        "val_bpc": None if val_loss is None else bits_per_character(val_loss),
        "bytes": header.file_bytes,
        "command": train_command(
            fields["model"],
            fields["train"],
            _source(Run(file.parent.name, file.parent)),
        ),
    }


def _evaluations(file: Path) -> list[dict[str, Any]]:
    return [
        row
        for row in read_metrics(Run(file.parent.name, file.parent).metrics_path)
        if row["event"] == "Evaluated"
    ]


def _source(run: Run) -> str:
    """The text's path and options where this machine's resume file knows them."""
    try:
        source = Source.from_json((run.resume_metadata() or {}).get("source") or {})
    except (CharrnnError, ValueError):
        return "TEXT"
    return "TEXT" if source.missing else source_words(source)


def _lines(fields: dict[str, Any], evaluations: list[dict[str, Any]]) -> list[tuple[str, str]]:
    model, train, data = fields["model"], fields["train"], fields["data"]
    lines = [
        ("checkpoint", f"{fields['reference']}, {size(fields['bytes'])}"),
        (
            "model",
            f"{ModelConfig.from_json(model)}, embed {model['embed']}, {fields['parameters']:,} parameters",
        ),
        (
            "data",
            f"{data['name']}: {data['characters']:,} characters, {model['vocabulary_size']:,} different",
        ),
        ("trained", f"{fields['step']:,} steps, {fields['epoch']:.2f} epochs"),
        ("train loss", loss(fields["train_loss"])),
        ("val loss", f"{loss(fields['val_loss'])}, {loss(fields['val_bpc'])} bits a character"),
    ]
    for name, label in (("train_loss", "train"), ("val_loss", "val")):
        found = [row.get(name) for row in evaluations]
        values = [value for value in found if isinstance(value, float) and math.isfinite(value)]
        if len(values) > 1:
            lines.append(
                (f"{label} curve", f"{values[0]:.3f} {sparkline(values)} {values[-1]:.3f}")
            )
    times = [(row.get("step"), row.get("seconds")) for row in evaluations]
    known = [
        (step, seconds)
        for step, seconds in times
        if isinstance(step, int) and isinstance(seconds, float)
    ]
    if known:
        lines.append(("time", f"{duration(known[-1][1])} to step {known[-1][0]:,}"))
    settings = TrainConfig.from_json(train).to_json()
    named = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in settings.items()
        if value not in (None, False)
    ]
    lines.append(("recipe", ", ".join(named)))
    lines.append(
        ("versions", ", ".join(f"{name} {version}" for name, version in fields["versions"].items()))
    )
    lines.append(("again", fields["command"]))
    return lines
