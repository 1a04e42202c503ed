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


def test_a_long_text_is_cut_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal shows the first 1,000 characters of a text, folded between words; a pipe all."""
    columns = [Column("text", lambda row: row)]
    monkeypatch.setattr(table, "is_fancy", lambda stream: True)
    monkeypatch.setattr(table, "stdout_console", lambda: Console(width=40, highlight=False))
    write_table(columns, ["four " * 1_000_000])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.rstrip() == "text"
    assert " ".join(lines) == "four " * 199 + "four…"
    assert max(map(len, lines)) <= 40
    monkeypatch.setattr(table, "is_fancy", lambda stream: False)
    write_table(columns, ["four " * 1_000_000])
    assert len(capsys.readouterr().out) == len("text\n") + 5_000_001


def test_columns_that_cannot_be_left_out_are_narrowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The widest columns become narrower until the table fits, and their texts are folded."""
    columns = [Column("a", lambda row: row[0]), Column("b", lambda row: row[1], number=True)]
    monkeypatch.setattr(table, "is_fancy", lambda stream: True)
    monkeypatch.setattr(table, "stdout_console", lambda: Console(width=12, highlight=False))
    write_table(columns, [("one two three", "1"), ("漢字漢字漢字", "234")])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["a          b", "one two    1", "three", "漢字漢   234", "字漢字"]
