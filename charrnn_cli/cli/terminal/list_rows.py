"""The rows of `charrnn checkpoints list`, read from names and headers alone."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from charrnn_cli.cli.terminal import console
from charrnn_cli.errors import StorageError
from charrnn_cli.storage.built_in import is_built_in
from charrnn_cli.storage.clock import utc_time
from charrnn_cli.storage.header import CheckpointHeader
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import CheckpointEntry, Run, best, latest
from charrnn_cli.units import bits_per_character

SETTINGS = ("model", "train", "data", "versions")
"""Objects of the header that hold settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """A run. Its losses are those of the checkpoint `best`, and `epoch` belongs to `step`."""

    run: str
    model: str | None
    parameters: int | None
    step: int | None
    """The newest step."""
    epoch: float | None
    best: int | None
    """Step of the best checkpoint; None without validation, as is then `val_loss`."""
    train_loss: float | None
    """Without validation, that of the newest step."""
    val_loss: float | None
    val_bpc: float | None
    checkpoints: int
    damaged: int
    bytes: int
    updated: float | None
    status: str
    header: CheckpointHeader | None = field(repr=False)
    """The newest header; not one of the values that are listed."""

    @property
    def name(self) -> str:
        return self.run


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRow:
    """A checkpoint of a run."""

    run: str
    reference: str
    checkpoint: str
    step: int
    epoch: float | None
    train_loss: float | None
    val_loss: float | None
    val_bpc: float | None
    best: bool
    latest: bool
    bytes: int
    updated: float
    problem: str | None
    header: CheckpointHeader | None = field(repr=False)
    """Not one of the values that are listed."""

    @property
    def name(self) -> str:
        return self.reference


Row = RunRow | CheckpointRow


def value_names(kind: type[Row]) -> list[str]:
    """Return the names of the values of a row."""
    return [each.name for each in dataclasses.fields(kind) if each.name != "header"]


def row_values(row: Row) -> dict[str, Any]:
    """Return the values of a row by name, times as logs record them."""
    values = {name: getattr(row, name) for name in value_names(type(row))}
    return values | {"updated": None if row.updated is None else utc_time(row.updated)}


def recorded_settings(row: Row) -> dict[str, Any] | None:
    """Return every recorded setting as in the header; None if it cannot be read."""
    if row.header is None:
        return None
    recorded = row.header.to_json()
    return {name: recorded[name] for name in SETTINGS}


def run_rows(registry: Registry, prefix: str) -> list[RunRow]:
    """Describe every run whose name starts with a prefix, in the order of names."""
    return _described(registry.runs(), prefix)


def built_in_rows(registry: Registry, prefix: str) -> list[RunRow]:
    """Describe the built-in model, unless a run has its name; it is no run to delete or resume."""
    return _described(filter(is_built_in, registry.listed()), prefix)


def checkpoint_rows(run: Run) -> list[CheckpointRow]:
    """Describe every checkpoint of a run, in step order."""
    entries = run.checkpoints()
    lowest, newest = best(entries), latest(entries)
    return [
        CheckpointRow(
            run=run.name,
            reference=run.reference(entry.step),
            checkpoint=entry.path.name,
            step=entry.step,
            epoch=None if entry.header is None else entry.header.epoch,
            train_loss=entry.train_loss,
            val_loss=entry.val_loss,
            val_bpc=_bpc(entry.val_loss),
            best=entry is lowest,
            latest=entry is newest,
            bytes=entry.file_bytes,
            updated=entry.updated,
            problem=entry.problem,
            header=entry.header,
        )
        for entry in entries
    ]


def sorted_rows(rows: Sequence[Row], sort: str) -> list[Row]:
    """Return the rows in an order: `val`, `size`, `name` (the given one) or `updated`."""
    match sort:
        case "val":
            return sorted(rows, key=lambda row: (row.val_loss is None, row.val_loss or 0.0))
        case "size":
            return sorted(rows, key=lambda row: -row.bytes)
        case "name":
            return list(rows)
    return sorted(rows, key=lambda row: -(row.updated or 0.0))


def _described(runs: Iterable[Run], prefix: str) -> list[RunRow]:
    """Describe the runs that have files or are being trained."""
    rows = []
    for run in runs:
        if run.name.startswith(prefix):
            try:
                rows.append(_describe_run(run))
            except StorageError as error:  # one run must not hide the others
                console.say("warning", error.message)
    return [
        row for row in rows if row.step is not None or row.checkpoints or row.status == "training"
    ]


def _describe_run(run: Run) -> RunRow:
    entries = run.checkpoints()
    newest, lowest = latest(entries), best(entries)
    evaluated = lowest or newest
    val_loss = evaluated.val_loss if evaluated else None
    header = newest.header if newest else run.resume_header()
    return RunRow(
        run=run.name,
        model=None if header is None else str(header.model),
        parameters=None if header is None else header.parameters,
        step=None if header is None else header.step,
        epoch=None if header is None else header.epoch,
        best=lowest.step if lowest else None,
        train_loss=evaluated.train_loss if evaluated else None,
        val_loss=val_loss,
        val_bpc=_bpc(val_loss),
        checkpoints=len(entries),
        damaged=sum(entry.header is None for entry in entries),
        bytes=run.file_bytes(),
        updated=None if is_built_in(run) else run.updated(),
        status=_state(run, newest),
        header=header,
    )


def _state(run: Run, newest: CheckpointEntry | None) -> str:
    if is_built_in(run):
        return "built in"
    if run.is_training():
        return "training"
    return "finished" if run.is_finished(newest) else "interrupted"


def _bpc(val_loss: float | None) -> float | None:
    return None if val_loss is None else bits_per_character(val_loss)
