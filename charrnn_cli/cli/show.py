"""`charrnn checkpoints show` and `path`: one checkpoint, from its header alone."""

import math
from typing import Annotated, Any

import typer

from charrnn_cli.advice import bits_per_character
from charrnn_cli.cli import console
from charrnn_cli.cli.commands import source_words, train_command
from charrnn_cli.cli.formats import duration, loss, size
from charrnn_cli.cli.references import ReferenceArgument
from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.errors import CharrnnError, FileFormatError
from charrnn_cli.metrics import read_metrics
from charrnn_cli.registry import Registry
from charrnn_cli.runs import CHECKPOINT_KIND, Run, reference_of
from charrnn_cli.source import Source
from charrnn_cli.tensorfile import read_header

BLOCKS = "▁▂▃▄▅▆▇█"
CHART_WIDTH = 40


def path(reference: ReferenceArgument = None) -> None:
    """Print the absolute path of a checkpoint's file.

    Example: charrnn checkpoints path best
    """
    console.write_line(str(Registry().resolve(reference).absolute()))


def show(
    reference: ReferenceArgument = None,
    as_json: Annotated[bool, typer.Option("--json", help="The header and the losses as one JSON object.")] = False,
) -> None:
    """Show a checkpoint: its configuration, data, losses, and the command that trains it again.

    Example: charrnn checkpoints show anna-lstm-2x512
    """
    file = Registry().resolve(reference)
    header = read_header(file)
    if header.kind != CHECKPOINT_KIND:
        raise FileFormatError(f"{file} is a charrnn {header.kind} file, not a {CHECKPOINT_KIND}")
    fields = {name: value for name, value in header.metadata.items() if not name.endswith("_sha256")}
    run = Run(file.parent.name, file.parent)
    evaluations = [row for row in read_metrics(run.metrics_path) if row["event"] == "Evaluated"]
    val_loss = fields["val_loss"]
    fields |= {
        "checkpoint": file.name,
        "reference": reference_of(file, fields["step"]),
        "val_bpc": None if val_loss is None else bits_per_character(val_loss),
        "bytes": header.file_bytes,
        "command": train_command(fields["model"], fields["train"], _source(run)),
    }
    if as_json:
        console.write_json({**fields, "evaluations": evaluations})
        return
    for label, text in _lines(fields, evaluations):
        console.write_line(f"{label:<12}{console.safe(text)}")


def sparkline(values: list[float], width: int = CHART_WIDTH) -> str:
    """The values as blocks, lowest to highest; more than `width` of them are thinned out, the last kept."""
    if len(values) > width:
        values = [values[round(index * (len(values) - 1) / (width - 1))] for index in range(width)]
    low, high = min(values), max(values)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in values)


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
        ("model", f"{ModelConfig.from_json(model)}, embed {model['embed']}, {fields['parameters']:,} parameters"),
        ("data", f"{data['name']}: {data['characters']:,} characters, {model['vocabulary_size']:,} different"),
        ("trained", f"{fields['step']:,} steps, {fields['epoch']:.2f} epochs"),
        ("train loss", loss(fields["train_loss"])),
        ("val loss", f"{loss(fields['val_loss'])}, {loss(fields['val_bpc'])} bits a character"),
    ]
    for name, label in (("train_loss", "train"), ("val_loss", "val")):
        values = [float(row[name]) for row in evaluations if math.isfinite(row[name])]
        if len(values) > 1:
            lines.append((f"{label} curve", f"{values[0]:.3f} {sparkline(values)} {values[-1]:.3f}"))
    if evaluations:
        lines.append(("time", f"{duration(evaluations[-1]['seconds'])} to step {evaluations[-1]['step']:,}"))
    settings = TrainConfig.from_json(train).to_json()
    lines.append(("recipe", ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)))
    lines.append(("versions", ", ".join(f"{name} {version}" for name, version in fields["versions"].items())))
    lines.append(("again", fields["command"]))
    return lines
