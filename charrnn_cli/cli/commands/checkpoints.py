"""`charrnn checkpoints`: what there is. Reads names and headers alone, so it answers at once."""

import time
from typing import Annotated, Any

import typer

from charrnn_cli.cli.options.completion import complete_run
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import ago, loss, size
from charrnn_cli.config import ModelConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import CheckpointEntry, Run, best, latest
from charrnn_cli.units import bits_per_character

SORTS = ("updated", "val", "size", "name")


def list_checkpoints(
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="[PREFIX]", help="Only runs whose name starts so.", show_default=False
        ),
    ] = "",
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="A row a checkpoint of this run.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="|".join(SORTS), help="Order of the rows.")
    ] = "updated",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Show so many rows.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list of objects.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="References alone, a line each.")
    ] = False,
) -> None:
    """List runs, or with --run the checkpoints of one.

    Example: charrnn checkpoints list --sort val
    """
    if sort not in SORTS:
        raise ConfigError(f"cannot sort by {sort!r}", hint=f"use {', '.join(SORTS)}")
    registry = Registry()
    if run is None:
        rows = [_describe_run(each) for each in registry.runs() if each.name.startswith(prefix)]
        shown = [
            row
            for row in rows
            if row["step"] is not None or row["checkpoints"] or row["status"] == "training"
        ]
        rows = _sorted(shown, sort)[:limit]
    else:
        rows = _describe_checkpoints(registry.run(run))
        rows = (rows if sort == "updated" else _sorted(rows, sort))[:limit]
    if as_json:
        console.write_json(rows)
    elif quiet:
        for row in rows:
            console.write_line(row["run"] if run is None else row["reference"])
    elif rows:
        _print_table(rows, one_run=run is not None)
    elif prefix:
        console.say("", f"no run begins with {prefix!r} in {registry.root}")
        console.say("next", "charrnn checkpoints list")
    else:
        console.say("", f"no checkpoints in {registry.root}")
        console.say("next", "charrnn train TEXT, or charrnn demo")


def _describe_run(run: Run) -> dict[str, Any]:
    entries = run.checkpoints()
    newest, lowest = latest(entries), best(entries)
    chosen = lowest or newest
    metadata = (newest.metadata if newest else run.resume_metadata()) or {}
    ended = "finished" if run.is_finished(newest) else "interrupted"
    return {
        "run": run.name,
        "model": _model(metadata),
        "parameters": metadata.get("parameters"),
        "step": metadata.get("step"),
        "epoch": metadata.get("epoch"),
        "train_loss": newest.train_loss if newest else None,
        "val_loss": chosen.val_loss if chosen else None,
        "val_bpc": _bpc(chosen.val_loss if chosen else None),
        "best": lowest.step if lowest else None,
        "checkpoints": len(entries),
        "damaged": sum(entry.metadata is None for entry in entries),
        "bytes": run.file_bytes(),
        "updated": run.updated(),
        "status": "training" if run.is_training() else ended,
    }


def _describe_checkpoints(run: Run) -> list[dict[str, Any]]:
    entries = run.checkpoints()
    lowest, newest = best(entries), latest(entries)
    return [
        {
            "run": run.name,
            "reference": run.reference(entry.step),
            "checkpoint": entry.path.name,
            "step": entry.step,
            "epoch": (entry.metadata or {}).get("epoch"),
            "train_loss": entry.train_loss,
            "val_loss": entry.val_loss,
            "val_bpc": _bpc(entry.val_loss),
            "best": entry is lowest,
            "latest": entry is newest,
            "bytes": entry.file_bytes,
            "updated": entry.updated,
            "problem": entry.problem,
        }
        for entry in entries
    ]


def _sorted(rows: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    match sort:
        case "val":
            return sorted(rows, key=lambda row: (row["val_loss"] is None, row["val_loss"] or 0.0))
        case "size":
            return sorted(rows, key=lambda row: -row["bytes"])
        case "name":
            return rows
    return sorted(rows, key=lambda row: -row["updated"])


def _print_table(rows: list[dict[str, Any]], *, one_run: bool) -> None:
    now = time.time()
    if one_run:
        spare = ["size", "bpc", "epoch", "updated", "train"]
        columns = ["checkpoint", "epoch>", "train>", "val>", "bpc>", "size>", "updated>", ""]
        cells = [
            [
                row["reference"],
                "–" if row["epoch"] is None else f"{row['epoch']:.2f}",
                loss(row["train_loss"]),
                loss(row["val_loss"]),
                loss(row["val_bpc"]),
                size(row["bytes"]),
                ago(now - row["updated"]),
                _marks(row),
            ]
            for row in rows
        ]
    else:
        spare = ["size", "bpc", "parameters", "updated", "model"]
        columns = [
            "run",
            "model",
            "parameters>",
            "step>",
            "val>",
            "bpc>",
            "size>",
            "updated>",
            "status",
        ]
        cells = [
            [
                row["run"],
                row["model"] or "?",
                "–" if row["parameters"] is None else f"{row['parameters']:,}",
                "–" if row["step"] is None else str(row["step"]),
                loss(row["val_loss"]),
                loss(row["val_bpc"]),
                size(row["bytes"]),
                ago(now - row["updated"]),
                f"{row['status']}, {row['damaged']} damaged" if row["damaged"] else row["status"],
            ]
            for row in rows
        ]
    console.write_table(columns, cells, spare)


def _marks(row: dict[str, Any]) -> str:
    if row["problem"]:
        return f"damaged: {row['problem']}"
    return " ".join(name for name in ("best", "latest") if row[name])


def _model(metadata: dict[str, Any]) -> str | None:
    try:
        return str(ModelConfig.from_json(metadata["model"]))
    except (ConfigError, KeyError, TypeError):
        return None


def _bpc(value: CheckpointEntry | float | None) -> float | None:
    return bits_per_character(value) if isinstance(value, float) else None
