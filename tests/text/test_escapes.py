"""Escapes in typed texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.text.escapes import escape, unescape

SURROGATES = st.characters(categories=["Cs"])
TEXTS = st.text(st.one_of(st.characters(), SURROGATES, st.sampled_from("\\ntrxuD8dc0")))

READ = {
    r"\n\t\r\\": "\n\t\r\\",
    r"\x00\x41\xe9\xE9": "\0Aéé",
    r"\u00e9\u6f22\uFFFD": "é漢\ufffd",
    r"\ud83d\ude00": "😀",
    r"\UD83D\uDE00": r"\UD83D\uDE00",
    r"\title": "\title",
    r"\\title": r"\title",
    r"\\\n": "\\\n",
    r"\\x41": r"\x41",
    r"a\x4": r"a\x4",
    r"\x4g\u123\u12g4": r"\x4g\u123\u12g4",
    r"\ud83d": r"\ud83d",
    r"\ude00\ud83d": r"\ude00\ud83d",
    r"\ud83d\u0041": r"\ud83dA",
    r"\alpha \0 \' \N{SPACE} \101": r"\alpha \0 \' \N{SPACE} \101",
    "\\": "\\",
    "": "",
    r"\x５５": r"\x５５",
}


@pytest.mark.parametrize(("typed", "read"), READ.items())
def test_every_kind_of_escape(typed: str, read: str) -> None:
    """Each escape becomes its character, and unknown or incomplete ones stay as typed."""
    assert unescape(typed) == read


@given(TEXTS)
def test_an_escaped_text_is_read_as_the_text(text: str) -> None:
    """Reading an escaped text returns the text, whatever its characters."""
    assert unescape(escape(text)) == text


@given(TEXTS)
def test_an_escaped_text_can_be_typed(text: str) -> None:
    """An escaped text is printable, except for surrogates."""
    assert all(
        character.isprintable() or "\ud800" <= character <= "\udfff" for character in escape(text)
    )


@given(TEXTS.filter(lambda text: "\\" not in text))
def test_a_text_without_a_backslash_is_read_as_it_is(text: str) -> None:
    """Only a backslash begins an escape; a printable text without one is typed as it is."""
    assert unescape(text) == text
    assert not text.isprintable() or escape(text) == text
