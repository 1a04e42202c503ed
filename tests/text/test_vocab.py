"""Characters and ids."""

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
    """With its code point and its position, counted from 1."""
    with pytest.raises(UnknownCharacterError, match=r"'ß' \(U\+00DF\) at position 3") as caught:
        Vocab("ab").encode("abßß")
    assert caught.value.exit_code == 2


def test_many_unknown_characters_are_summed_up() -> None:
    with pytest.raises(UnknownCharacterError, match="and 2 more"):
        Vocab("a").encode("vwxyz")


def test_a_character_stands_once() -> None:
    with pytest.raises(ValueError, match="once"):
        Vocab("aa")


@pytest.mark.parametrize(
    "raw", [b"\0\xd8\0\0", b"\xff\xff\xff\xff", b"a\0\0", b"a\0\0\0a\0\0\0"], ids=repr
)
def test_damaged_code_points(raw: bytes) -> None:
    """Surrogates, numbers beyond Unicode, cut bytes and repetitions are refused."""
    with pytest.raises(FileFormatError):
        Vocab.from_code_points(raw)
