"""One column of a table: CSV, TSV or JSON Lines, one item per row."""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import TextError
from charrnn_cli.text.decoding import read_typed
from charrnn_cli.text.documents import Document
from charrnn_cli.text.pieces import Piece, joined, whole_lines
from charrnn_cli.text.selection import suffix_of

_JSON_LINES = {".jsonl", ".ndjson", ".json"}
_TABS = {".tsv", ".tab"}
_LARGEST_CELL = 1 << 30  # characters
_MAX_NAMED = 10  # columns in a message


def read_column(pieces: Iterable[Piece], document: Document, options: TextOptions) -> Iterator[str]:
    """Yield the cells of a column in pieces of text, each cell followed by `options.end`.

    A file is read as its name says: `.tsv` and `.tab` have tabs between cells, `.jsonl`, `.ndjson`
    and `.json` an object per line, and all others commas. The first row of a table has the names of
    the columns, unless the column is given by its number, from 1. The end symbol inside a cell, for
    example a line end where lines are items, becomes a space.
    Raises TextError.
    """
    assert options.column is not None
    name, suffix = document.title, suffix_of(document.name)
    lines = whole_lines(pieces)
    if suffix in _JSON_LINES:
        cells = _json_cells(lines, options.column, options, name)
    else:
        cells = _table_cells(lines, options.column, "\t" if suffix in _TABS else ",", name)
    return joined(f"{cell.replace(options.end, ' ')}{options.end}" for cell in cells)


def _table_cells(lines: Iterator[str], column: str, delimiter: str, name: str) -> Iterator[str]:
    csv.field_size_limit(_LARGEST_CELL)  # the default is 128 kB
    rows = csv.reader(lines, delimiter=delimiter)
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
            if index < len(row):
                yield row[index]
    except csv.Error as error:
        raise TextError(
            f"{name} is not a valid table: {error} in line {rows.line_num:,}",
            hint="check the quotation marks of that line",
        ) from error


def _json_cells(
    lines: Iterator[str], column: str, options: TextOptions, name: str
) -> Iterator[str]:
    is_known = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _not_json_lines(name, number) from error
        if not isinstance(row, dict):
            raise _not_json_lines(name, number)
        if not is_known and column not in row:
            raise _no_column(column, list(row), name)
        is_known = True
        value = row.get(column)
        if value is None:
            continue
        cell = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        # The text of the file is normalized already, but escapes are not.
        yield read_typed(cell, options) if "\\" in line else cell


def _no_column(column: str, names: list[str], file: str) -> TextError:
    named = ", ".join(names[:_MAX_NAMED]) + (", ..." if len(names) > _MAX_NAMED else "")
    return TextError(
        f"{file} has no column {column!r}; it has {named or 'none'}",
        hint="use one of these names, or the number of a column",
    )


def _not_json_lines(name: str, number: int) -> TextError:
    return TextError(
        f"{name} is not JSON Lines: line {number:,} is not an object",
        hint="write one JSON object per line",
    )
