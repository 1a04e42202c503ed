"""Words of a shell command."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.cli.terminal.safe_text import safe
from charrnn_cli.shell import path_word, shell_word

ODD = [
    *("", " ", "-n", "a b", "it's", "cpu; touch PWNED", "$HOME", "`id`", "$(id)", "a\nb"),
    *("\x1b[31m", "\\", "'\x7f\\x41", "\t!", "\x85é", "\u202e", "\u2028a", "\udcff"),
    *("\U000e0001f", "\U0001f600"),
]


def read_by_bash(words: list[str]) -> list[bytes]:
    """Return what bash passes to a program for each of these words."""
    script = "printf '%s\\0' " + " ".join(words)
    output = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    return output.split(b"\0")[:-1]


def test_a_shell_reads_the_same_text() -> None:
    """Bash reads every word as exactly the text that it was made of."""
    everything = [*ODD, *map(chr, range(1, 0x300)), *map(chr, range(0x2000, 0x2100))]
    words = [shell_word(text) for text in everything]
    expected = [text.encode("utf-8", "surrogateescape") for text in everything]
    assert read_by_bash(words) == expected


@given(st.text(st.characters(exclude_characters="\0"), max_size=40))
def test_a_word_is_shown_as_it_is(text: str) -> None:
    """A terminal shows a word unchanged, so that the copied command is the printed one."""
    assert safe(shell_word(text)) == shell_word(text)


def test_texts_that_no_command_can_hold() -> None:
    """A NUL, or a word longer than its limit, gives the placeholder."""
    assert shell_word("a\0b") == "TEXT"
    assert path_word("a" * 401, max_length=400) == "FILE"
    assert path_word("a" * 400, max_length=400) == "a" * 400


@pytest.mark.parametrize(("path", "word"), [("-x", "./-x"), ("-", "-"), ("a b", "'a b'")])
def test_a_path_is_no_option(path: str, word: str) -> None:
    """A path that starts with a dash is not read as an option; `-` is standard input."""
    assert path_word(path) == word
