"""The columns of `charrnn checkpoints list`: the usual ones, and any setting by its name."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.terminal.formats import (
    UNKNOWN,
    format_age,
    format_loss,
    format_number,
    format_setting,
    format_size,
)
from charrnn_cli.cli.terminal.list_rows import (
    CheckpointRow,
    Row,
    RunRow,
    recorded_settings,
    row_values,
    value_names,
)
from charrnn_cli.cli.terminal.table import Column
from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import fields_of
from charrnn_cli.storage.header import DataFacts
from charrnn_cli.storage.near_names import near_names

Value = Callable[[Row], Any]
"""Returns a row's value in a column; None where there is none."""

_GROUPS: dict[tuple[str, ...], Iterable[str]] = {
    ("model",): fields_of(ModelConfig),
    ("train",): fields_of(TrainConfig),
    ("data",): fields_of(DataFacts),
    ("data", "reading"): fields_of(TextOptions),
    ("versions",): ("python", "numpy", "torch"),
}
"""Names of settings, by where the header has them."""


def chosen_columns(typed: str | None, kind: type[Row]) -> dict[str, Value]:
    """Return the values of the columns that `--columns` names, by name.

    A name is that of a value of the rows, or of a setting; `data` is the name of the text. Raises
    ConfigError, with similar names as its hint, for any other.
    """
    own: dict[str, Value] = {name: _own_value(name) for name in value_names(kind)}
    known = {**_settings(), **own}
    names = [name.strip() for name in (typed or "").split(",")] if typed is not None else []
    chosen: dict[str, Value] = {}
    for name in names:
        plain = name.lower().replace("-", "_")
        if plain not in known:
            near = near_names(name, known)
            hint = f"did you mean {' or '.join(near)}?" if near else "use, for example, seed,lr"
            raise ConfigError(f"no setting or column is called {name!r}", hint=hint)
        chosen[plain] = known[plain]
    return chosen


def table_columns(kind: type[Row], chosen: Mapping[str, Value]) -> list[Column]:
    """Return the columns of a table of rows, with the chosen ones last."""
    usual = RUN_COLUMNS if kind is RunRow else CHECKPOINT_COLUMNS
    return [*usual, *(_column(name, value) for name, value in chosen.items())]


def to_csv(kind: type[Row], chosen: Mapping[str, Value], rows: Sequence[Row]) -> str:
    """Return a header line and a line per row, with numbers as they are."""
    columns = {name: _own_value(name) for name in value_names(kind)} | dict(chosen)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value(row)) for value in columns.values()] for row in rows)
    return text.getvalue()


def to_objects(chosen: Mapping[str, Value], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return an object per row: its values, the chosen ones, and all settings."""
    return [
        row_values(row)
        | {name: value(row) for name, value in chosen.items()}
        | {"settings": recorded_settings(row)}
        for row in rows
    ]


def _own_value(name: str) -> Value:
    return lambda row: row_values(row)[name]


def _settings() -> dict[str, Value]:
    """Return the value of every setting by its name."""
    paths = {name: (*group, name) for group, names in _GROUPS.items() for name in names}
    del paths["name"], paths["reading"]
    paths["data"] = ("data", "name")
    settings: dict[str, Value] = {name: _recorded(path) for name, path in paths.items()}
    settings["interrupted"] = lambda row: None if row.header is None else row.header.interrupted
    return settings


def _recorded(path: Sequence[str]) -> Value:
    def value(row: Row) -> Any:
        found: Any = recorded_settings(row)
        for name in path:
            found = None if found is None else found.get(name)
        return found

    return value


def _column(name: str, value: Value) -> Column:
    def cell(row: Row) -> str:
        return format_setting(value(row))

    return Column(name, cell)


def _plain(value: Any) -> Any:
    """Return a value for a cell of CSV; true and false as in JSON."""
    return json.dumps(value) if isinstance(value, bool) else value


def _age(row: Row) -> str:
    return UNKNOWN if row.updated is None else format_age(time.time() - row.updated)


def _status(row: RunRow) -> str:
    return f"{row.status}, {row.damaged} damaged" if row.damaged else row.status


def _marks(row: CheckpointRow) -> str:
    if row.problem:
        return f"damaged: {row.problem}"
    return " ".join(name for name in ("best", "latest") if getattr(row, name))


_LOSS_AND_SIZE = [
    Column("val", lambda row: format_loss(row.val_loss), number=True),
    Column("bpc", lambda row: format_loss(row.val_bpc), number=True, drop_order=2),
    Column("size", lambda row: format_size(row.bytes), number=True, drop_order=1),
    Column("updated", _age, number=True, drop_order=4),
]

# The step of the losses is never hidden while they are shown.
RUN_COLUMNS = [
    Column("run", lambda row: row.run),
    Column("model", lambda row: row.model or UNKNOWN, drop_order=5),
    Column("parameters", lambda row: format_number(row.parameters, ","), True, drop_order=3),
    Column("step", lambda row: format_number(row.step, ""), number=True, drop_order=6),
    Column("best", lambda row: format_number(row.best, ""), number=True),
    *_LOSS_AND_SIZE,
    Column("status", _status),
]

CHECKPOINT_COLUMNS = [
    Column("checkpoint", lambda row: row.reference),
    Column("epoch", lambda row: format_number(row.epoch, ".2f"), number=True, drop_order=3),
    Column("train", lambda row: format_loss(row.train_loss), number=True, drop_order=5),
    *_LOSS_AND_SIZE,
    Column("", _marks),
]
