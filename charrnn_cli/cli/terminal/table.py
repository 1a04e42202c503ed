"""Tables and labeled fields on standard output: formatted on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from charrnn_cli.cli.terminal.console import (
    is_fancy,
    print_labelled,
    say,
    stdout_console,
    write,
)
from charrnn_cli.cli.terminal.safe_text import safe

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2  # characters between columns


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
    """Write a table that fits the terminal; elsewhere, all columns as tab-separated lines."""
    cells = {column: [safe(column.cell(row)) for row in rows] for column in columns}
    if not is_fancy(sys.stdout):
        lines = [[column.name for column in columns], *zip(*cells.values(), strict=True)]
        write("".join("\t".join(line) + "\n" for line in lines))
        return
    console = stdout_console()
    left_out = _columns_without_room(cells, console.width)
    console.print(_drawn({column: cells[column] for column in columns if column not in left_out}))
    if left_out:
        say("", f"hidden columns: {', '.join(column.name for column in left_out)}")


def _columns_without_room(cells: Mapping[Column, Sequence[str]], width: int) -> list[Column]:
    """Return the columns to leave out, in drop order, so that the others fit the width."""
    from rich.cells import cell_len

    widths = {
        column: GAP + max(1, cell_len(column.name), *map(cell_len, texts))
        for column, texts in cells.items()
    }
    optional = sorted(
        (column for column in cells if column.drop_order is not None),
        key=lambda column: column.drop_order or 0,
    )
    left_out = []
    for column in optional:
        if sum(widths.values()) - GAP <= width:
            break
        del widths[column]
        left_out.append(column)
    return left_out


def _drawn(cells: Mapping[Column, Sequence[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in cells:
        justify: Literal["left", "right"] = "right" if column.number else "left"
        table.add_column(Text(column.name), justify=justify, overflow="fold")
    for line in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, line))
    return table
