"""Characters and their ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.errors import FileFormatError, UnknownCharacterError
from charrnn_cli.text.vocab import Vocab


@given(st.text(min_size=1))
def test_round_trip(text: str) -> None:
    """Decoding the ids of a text gives the text; code points give the vocabulary."""
    vocab = Vocab.from_text(text)
    assert vocab.decode(vocab.encode(text)) == text
    assert list(vocab.characters) == sorted(set(text))
    assert Vocab.from_code_points(vocab.to_code_points()) == vocab


def test_an_unknown_character_is_named() -> None:
    """The error for an unknown character has its code point and its position, counted from 1."""
    with pytest.raises(UnknownCharacterError) as caught:
        Vocab("ab").encode("abßß")
    assert caught.value.exit_code == 2
    assert caught.value.message == "the vocabulary lacks 'ß' (U+00DF) at position 3"
    assert caught.value.hint == "use only its 2 characters"


def test_many_unknown_characters_are_counted() -> None:
    """The error names three unknown characters, and counts the others."""
    with pytest.raises(UnknownCharacterError) as caught:
        Vocab("a").encode("vwxyzz")
    assert caught.value.message == (
        "the vocabulary lacks 'v' (U+0076) at position 1, 'w' (U+0077) at position 2, "
        "'x' (U+0078) at position 3 and 2 more"
    )


def test_a_character_occurs_once() -> None:
    """A vocabulary with a repeated character is refused."""
    with pytest.raises(ValueError, match=r"^a character occurs twice in the vocabulary$"):
        Vocab("aa")


@pytest.mark.parametrize(
    "raw", [b"\0\xd8\0\0", b"\xff\xff\xff\xff", b"a\0\0", b"a\0\0\0a\0\0\0"], ids=repr
)
def test_damaged_code_points(raw: bytes) -> None:
    """Surrogates, numbers beyond Unicode, incomplete and repeated code points are refused."""
    with pytest.raises(FileFormatError, match=r"^the vocabulary is damaged: "):
        Vocab.from_code_points(raw)
