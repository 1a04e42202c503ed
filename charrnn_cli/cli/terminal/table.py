"""Tables and labeled fields on standard output: formatted on a terminal, plain lines elsewhere."""

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn_cli.cli.terminal.console import is_fancy, say, stdout_console, write
from charrnn_cli.cli.terminal.safe_text import safe
from charrnn_cli.cli.terminal.wrapping import folded, print_labelled

GAP = 2  # characters between columns
MAX_CELL = 1_000  # characters of a text on a terminal; folding takes longer per character beyond


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table and how to fill it."""

    name: str
    cell: Callable[[Any], str]
    """Return the text of a row in this column."""
    number: bool = False
    """Whether to align the column to the right."""
    drop_order: int | None = None
    """The order in which a narrow terminal hides columns; None is never hidden."""


def write_fields(fields: Iterable[tuple[str, str]], label_width: int) -> None:
    """Write labels and texts: wrapped in two columns on a terminal, one line each elsewhere."""
    if is_fancy(sys.stdout):
        for label, text in fields:
            print_labelled(stdout_console(), label, text, label_width)
    else:
        write("".join(f"{label:<{label_width}}{safe(text)}\n" for label, text in fields))


def write_table(columns: Sequence[Column], rows: Sequence[Any]) -> None:
    """Write a table that fits the terminal; elsewhere, all columns as tab-separated lines.

    On a terminal, texts of more than 1,000 characters are cut.
    """
    if not is_fancy(sys.stdout):
        cells = [[safe(column.cell(row)) for row in rows] for column in columns]
        lines = [[column.name for column in columns], *zip(*cells, strict=True)]
        write("".join("\t".join(line) + "\n" for line in lines))
        return
    console = stdout_console()
    texts = {column: [safe(_cut(column.cell(row))) for row in rows] for column in columns}
    widths = {column: _width(column, texts[column]) for column in columns}
    left_out = _columns_without_room(widths, console.width)
    shown = [column for column in columns if column not in left_out]
    room = console.width - GAP * (len(shown) - 1)
    fitted = _narrowed([widths[column] for column in shown], room)
    header = _lines(shown, fitted, [column.name for column in shown])
    console.print("\n".join(header), style="bold", soft_wrap=True)
    rows_shown = zip(*(texts[column] for column in shown), strict=True)
    write("".join(line + "\n" for cells in rows_shown for line in _lines(shown, fitted, cells)))
    if left_out:
        say("", f"hidden columns: {', '.join(column.name for column in left_out)}")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _width(column: Column, texts: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(1, cell_len(column.name), *map(cell_len, texts))


def _columns_without_room(widths: Mapping[Column, int], width: int) -> list[Column]:
    """Return the columns to leave out, in drop order, so that the others fit the width."""
    optional = sorted(
        (column for column in widths if column.drop_order is not None),
        key=lambda column: column.drop_order or 0,
    )
    left = dict(widths)
    left_out = []
    for column in optional:
        if sum(left.values()) + GAP * (len(left) - 1) <= width:
            break
        del left[column]
        left_out.append(column)
    return left_out


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Narrow the widest columns until all fit, or have a width of 1."""
    narrowed = list(widths)
    while (excess := sum(narrowed) - room) > 0 and (widest := max(narrowed)) > 1:
        others = max((width for width in narrowed if width < widest), default=1)
        cut = min(widest - others, math.ceil(excess / narrowed.count(widest)))
        narrowed = [width - cut if width == widest else width for width in narrowed]
    return narrowed


def _lines(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> list[str]:
    """Return the lines of a row; a rich table takes a hundred times as long."""
    parts_of = [folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in itertools.zip_longest(*parts_of, fillvalue=""):
        padded = map(_padded, columns, parts, widths)
        lines.append((" " * GAP).join(padded).rstrip())
    return lines


def _padded(column: Column, text: str, width: int) -> str:
    from rich.cells import cell_len

    space = " " * (width - cell_len(text))
    return space + text if column.number else text + space
