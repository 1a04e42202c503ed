"""Labels and texts in two columns."""

import io

import pytest
from rich.console import Console

from charrnn_cli.cli.terminal.wrapping import folded, print_block, print_labelled


def printed(text: str, width: int) -> list[str]:
    """The lines of a labelled text on a terminal of this width."""
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        print_labelled(console, "hint:", text, 6)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_long_text_wraps_under_itself(width: int) -> None:
    """Every line after the first starts below the text, and none is wider than the terminal."""
    first, *others = printed("some words of a long text " * 9, width)
    assert first.startswith("hint: some")
    assert others
    assert all(line.startswith("      ") and line[6] != " " for line in others)
    assert max(map(len, [first, *others])) <= width


def test_a_command_in_a_sentence_is_not_split() -> None:
    """A line ends before a command in backquotes that does not fit, not within it."""
    text = "to see all of it, run `charrnn checkpoints list` in a shell"
    assert printed(text, 50) == [
        "hint: to see all of it, run",
        "      `charrnn checkpoints list` in a shell",
    ]


def test_a_long_word_is_split() -> None:
    """A word that is wider than the terminal, such as a path, continues on the next line."""
    assert folded("/a" * 12, 10) == ["/a/a/a/a/a", "/a/a/a/a/a", "/a/a"]


def test_a_block_keeps_its_lines() -> None:
    """A text of several lines has the label once, and an empty line has no spaces."""
    console = Console(file=io.StringIO(), width=40)
    with console.capture() as capture:
        print_block(console, "sample", ["step 5", "", "text\x1b[0m"], 8, "italic")
    assert capture.get().splitlines() == ["sample  step 5", "", "        text\\x1b[0m"]
