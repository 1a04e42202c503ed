"""Unicode normalization of a text that arrives in pieces."""

import functools
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

Form = Literal["NFC", "NFKC"]


def normalized(pieces: Iterable[str], form: Form) -> Iterator[str]:
    """Normalize a text as a whole, regardless of where its pieces end."""
    held = ""
    for piece in pieces:
        held += piece
        cut = next(
            (index for index in range(len(held) - 1, 0, -1) if _starts_unit(held[index], form)), 0
        )
        if cut:
            yield unicodedata.normalize(form, held[:cut])
            held = held[cut:]
    if held:
        yield unicodedata.normalize(form, held)


def _starts_unit(character: str, form: Form) -> bool:
    """Return whether a character is never composed with the character before it."""
    if character < "\x80" or "\u4e00" <= character <= "\u9fff":
        return True
    first = unicodedata.normalize("NFD" if form == "NFC" else "NFKD", character)[0]
    return not unicodedata.combining(first) and first not in _second_parts()


@functools.cache
def _second_parts() -> frozenset[str]:
    """Return characters of combining class 0 that compose with a preceding one; takes 0.1 s."""
    decomposed = (unicodedata.decomposition(chr(code)).split() for code in range(0x110000))
    seconds = {
        chr(int(parts[1], 16))
        for parts in decomposed
        if len(parts) == 2 and not parts[0].startswith("<")
    }
    hangul = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    return frozenset(seconds | hangul)
