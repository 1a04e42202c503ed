"""Tables on a terminal and in a pipe."""

import pytest
from rich.console import Console

from charrnn_cli.cli.terminal import table
from charrnn_cli.cli.terminal.table import Column, write_table

COLUMNS = [
    Column("name", lambda row: row[0]),
    Column("size", lambda row: str(row[1]), number=True, drop_order=1),
    Column("kind", lambda row: row[2], drop_order=2),
]
ROWS = [("one", 1, "漢字"), ("two", 20_000, "b\x1b[31m")]


@pytest.mark.parametrize(
    ("width", "lines", "note"),
    [
        (22, ["name   size  kind", "one       1  漢字", "two   20000  b\\x1b[31m"], ""),
        (21, ["name  kind", "one   漢字", "two   b\\x1b[31m"], "size"),
        (15, ["name  kind", "one   漢字", "two   b\\x1b[31m"], "size"),
        (14, ["name", "one", "two"], "size, kind"),
        (1, ["n", "a", "m", "e", "o", "n", "e", "t", "w", "o"], "size, kind"),
    ],
)
def test_columns_that_do_not_fit_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
    lines: list[str],
    note: str,
) -> None:
    """On a terminal, numbers align to the right, and columns are left out in their drop order."""
    monkeypatch.setattr(table, "is_fancy", lambda stream: True)
    monkeypatch.setattr(table, "stdout_console", lambda: Console(width=width, highlight=False))
    write_table(COLUMNS, ROWS)
    output = capsys.readouterr()
    assert [line.rstrip() for line in output.out.splitlines()] == lines
    assert output.err == (f"hidden columns: {note}\n" if note else "")


def test_a_program_reads_every_column(capfd: pytest.CaptureFixture[str]) -> None:
    """A pipe gets a header and tab-separated rows; control characters are escaped."""
    write_table(COLUMNS, ROWS)
    assert capfd.readouterr().out == ("name\tsize\tkind\none\t1\t漢字\ntwo\t20000\tb\\x1b[31m\n")
    write_table(COLUMNS, [])
    assert capfd.readouterr().out == "name\tsize\tkind\n"
