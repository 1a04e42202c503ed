"""`charrnn checkpoints list` and `path`, which read only names and headers."""

import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from charrnn_cli.cli.options.completion import ReferenceArgument, complete_run
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import (
    UNKNOWN,
    format_age,
    format_loss,
    format_number,
    format_size,
)
from charrnn_cli.cli.terminal.table import Column, write_table
from charrnn_cli.errors import ConfigError, StorageError
from charrnn_cli.storage.built_in import is_built_in
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import CheckpointEntry, Run, best, latest
from charrnn_cli.units import bits_per_character

SORTS = ("updated", "val", "size", "name")

Row = dict[str, Any]


def list_checkpoints(
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="[PREFIX]",
            help="List only runs whose names start with PREFIX.",
            show_default=False,
        ),
    ] = "",
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="List the checkpoints of this run.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="|".join(SORTS), help="Sort order of the rows.")
    ] = "updated",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of rows.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the rows as a JSON array.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print references only, one per line.")
    ] = False,
) -> None:
    """List runs, or the checkpoints of one run.

    Example: charrnn checkpoints list --sort val
    """
    if sort not in SORTS:
        raise ConfigError(f"cannot sort by {sort!r}", hint=f"use one of {', '.join(SORTS)}")
    if run is not None and prefix:
        raise ConfigError("PREFIX cannot be combined with --run", hint="leave out PREFIX")
    registry = Registry()
    if run is None:
        rows = _sorted(_run_rows(registry.runs(), prefix), sort)
        columns, reference = RUN_COLUMNS, "run"
    else:
        rows = _checkpoint_rows(registry.run(run))
        if sort != "updated":  # by default, checkpoints are in step order
            rows = _sorted(rows, sort)
        columns, reference = CHECKPOINT_COLUMNS, "reference"
    rows = rows[:limit]
    shown = rows if run is not None or quiet else [*rows, *_built_in_rows(registry, prefix)]
    if as_json:
        console.write_json(shown)
        return
    if quiet:
        console.write("".join(f"{row[reference]}\n" for row in rows))
        return
    if shown:
        write_table(columns, shown)
    if rows:
        return
    if prefix:
        if not shown:
            console.say("", f"no run in {registry.root} starts with {prefix!r}")
            console.say("next", "charrnn checkpoints list")
    elif run is not None:
        found = registry.run(run)
        state = " is being trained and" if found.is_training() else ""
        console.say("", f"run {run!r}{state} has no checkpoint yet")
        console.say("next", found.next_command())
    else:
        console.say("", f"no checkpoints in {registry.root}")
        console.say("next", "train a model with `charrnn train TEXT` or `charrnn demo`")


def path(reference: ReferenceArgument = None) -> None:
    """Print the absolute path of a checkpoint file.

    Example: charrnn checkpoints path best
    """
    console.write_path(Registry().resolve(reference).absolute())


def _run_rows(runs: Iterable[Run], prefix: str) -> list[Row]:
    """Describe every run that has files or is being trained."""
    rows = []
    for run in runs:
        if run.name.startswith(prefix):
            try:
                rows.append(_describe_run(run))
            except StorageError as error:  # one run must not hide the others
                console.say("warning", error.message)
    return [
        row
        for row in rows
        if row["step"] is not None or row["checkpoints"] or row["status"] == "training"
    ]


def _built_in_rows(registry: Registry, prefix: str) -> list[Row]:
    """Describe the built-in model, unless a run has its name; it is no run to delete or resume."""
    return _run_rows(filter(is_built_in, registry.listed()), prefix)


def _describe_run(run: Run) -> Row:
    entries = run.checkpoints()
    newest, lowest = latest(entries), best(entries)
    evaluated = lowest or newest
    val_loss = evaluated.val_loss if evaluated else None
    header = newest.header if newest else run.resume_header()
    return {
        "run": run.name,
        "model": None if header is None else str(header.model),
        "parameters": None if header is None else header.parameters,
        "step": None if header is None else header.step,
        "epoch": None if header is None else header.epoch,
        "train_loss": newest.train_loss if newest else None,
        "val_loss": val_loss,
        "val_bpc": _bpc(val_loss),
        "best": lowest.step if lowest else None,
        "checkpoints": len(entries),
        "damaged": sum(entry.header is None for entry in entries),
        "bytes": run.file_bytes(),
        "updated": None if is_built_in(run) else run.updated(),
        "status": _state(run, newest),
    }


def _state(run: Run, newest: CheckpointEntry | None) -> str:
    if is_built_in(run):
        return "built in"
    if run.is_training():
        return "training"
    return "finished" if run.is_finished(newest) else "interrupted"


def _checkpoint_rows(run: Run) -> list[Row]:
    """Describe every checkpoint of a run, in step order."""
    entries = run.checkpoints()
    lowest, newest = best(entries), latest(entries)
    return [
        {
            "run": run.name,
            "reference": run.reference(entry.step),
            "checkpoint": entry.path.name,
            "step": entry.step,
            "epoch": None if entry.header is None else entry.header.epoch,
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


def _sorted(rows: list[Row], sort: str) -> list[Row]:
    match sort:
        case "val":
            return sorted(rows, key=lambda row: (row["val_loss"] is None, row["val_loss"] or 0.0))
        case "size":
            return sorted(rows, key=lambda row: -row["bytes"])
        case "name":
            return rows
    return sorted(rows, key=lambda row: -row["updated"])


def _bpc(val_loss: float | None) -> float | None:
    return None if val_loss is None else bits_per_character(val_loss)


def _age(row: Row) -> str:
    return UNKNOWN if row["updated"] is None else format_age(time.time() - row["updated"])


def _status(row: Row) -> str:
    return f"{row['status']}, {row['damaged']} damaged" if row["damaged"] else row["status"]


def _marks(row: Row) -> str:
    if row["problem"]:
        return f"damaged: {row['problem']}"
    return " ".join(name for name in ("best", "latest") if row[name])


_LOSS_AND_SIZE = [
    Column("val", lambda row: format_loss(row["val_loss"]), number=True),
    Column("bpc", lambda row: format_loss(row["val_bpc"]), number=True, drop_order=2),
    Column("size", lambda row: format_size(row["bytes"]), number=True, drop_order=1),
    Column("updated", _age, number=True, drop_order=4),
]

RUN_COLUMNS = [
    Column("run", lambda row: row["run"]),
    Column("model", lambda row: row["model"] or UNKNOWN, drop_order=5),
    Column("parameters", lambda row: format_number(row["parameters"], ","), True, drop_order=3),
    Column("step", lambda row: format_number(row["step"], ""), number=True),
    *_LOSS_AND_SIZE,
    Column("status", _status),
]

CHECKPOINT_COLUMNS = [
    Column("checkpoint", lambda row: row["reference"]),
    Column("epoch", lambda row: format_number(row["epoch"], ".2f"), number=True, drop_order=3),
    Column("train", lambda row: format_loss(row["train_loss"]), number=True, drop_order=5),
    *_LOSS_AND_SIZE,
    Column("", _marks),
]
