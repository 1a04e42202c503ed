"""One column of a table: CSV, TSV or JSON Lines, one item per row."""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import TextError
from charrnn_cli.text.decoding import read_typed
from charrnn_cli.text.pieces import Piece, joined, whole_lines

Table = Literal["json", ",", ";", "\t"]
"""JSON Lines, or a table by what stands between its cells."""

_JSON_LINES = {".jsonl", ".ndjson", ".json"}
_DELIMITED: dict[str, Table] = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_LARGEST_CELL = 1 << 30  # characters
_MAX_NAMED = 10  # columns in a message


def table_format(line: str, suffix: str) -> Table | None:
    """Return the format of a file by its first line and its suffix; None if it is no table."""
    line = line.lstrip("\ufeff")
    if suffix in _JSON_LINES or (suffix not in _DELIMITED and line.lstrip().startswith("{")):
        return "json"
    usual = _DELIMITED.get(suffix)
    found: Table
    for found in (usual or ",", "\t", ";", ","):
        if found in line:
            return found
    return usual


def read_column(
    pieces: Iterable[Piece], table: Table, name: str, options: TextOptions
) -> Iterator[str]:
    """Yield the cells of a column in pieces of text, each cell followed by `options.end`.

    JSON Lines have an object per line. The first row of another table has the names of the columns,
    unless the column is given by its number, from 1. Rows without the column and empty cells are
    left out. The end symbol inside a cell, for example a line end where lines are items, becomes a
    space. Raises TextError.
    """
    assert options.column is not None
    lines = whole_lines(pieces)
    if table == "json":
        cells = _json_cells(lines, options.column, options, name)
    else:
        cells = _table_cells(lines, options.column, table, name)
    return joined(f"{cell.replace(options.end, ' ')}{options.end}" for cell in cells)


def _table_cells(lines: Iterator[str], column: str, delimiter: str, name: str) -> Iterator[str]:
    csv.field_size_limit(_LARGEST_CELL)  # the default is 128 kB
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1  # where the row begins
    try:
        first = next(rows, [])
        names = [each.strip().removeprefix("\ufeff") for each in first]
        if column in names:
            index, data = names.index(column), chain(rows)
        elif column.isascii() and column.isdigit() and 1 <= int(column) <= len(first):
            index, data = int(column) - 1, chain([first], rows)
        else:
            raise _no_column(column, names, name)
        for row in data:
            line = rows.line_num + 1
            if index < len(row):
                yield row[index]
    except csv.Error as error:
        raise TextError(
            f"{name} is not a valid table: the row that begins in line {line:,} has an open or a "
            "stray quotation mark",
            hint="write a quotation mark inside a cell twice, and put the cell in quotation marks",
        ) from error


def _json_cells(
    lines: Iterator[str], column: str, options: TextOptions, name: str
) -> Iterator[str]:
    first: list[str] | None = None
    is_known = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written.
            row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            raise _not_json_lines(name, number, "valid JSON") from error
        if not isinstance(row, dict):
            raise _not_json_lines(name, number, "an object")
        first = list(row) if first is None else first
        is_known |= column in row
        value = row.get(column)
        if value is None:
            continue
        cell = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        # The text of the file is normalized already, but escapes are not.
        yield read_typed(cell, options) if "\\" in line else cell
    if not is_known and first is not None:
        raise _no_column(column, first, name)


def _no_column(column: str, names: list[str], file: str) -> TextError:
    named = ", ".join(names[:_MAX_NAMED]) + (", ..." if len(names) > _MAX_NAMED else "")
    return TextError(
        f"{file} has no column {column!r}; it has {named or 'none'}",
        hint="use one of these names, or the number of a column",
    )


def _not_json_lines(name: str, number: int, what: str) -> TextError:
    return TextError(
        f"{name} is not JSON Lines: line {number:,} is not {what}",
        hint="write one JSON object per line",
    )
