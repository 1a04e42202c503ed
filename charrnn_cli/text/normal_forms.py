"""Unicode normalization of a text that arrives in pieces.

CPython sorts a run of combining marks by insertion, which takes a minute for 200,000 of them. Long
runs are therefore decomposed and sorted here; the result is the same.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

Form = Literal["NFC", "NFD", "NFKC"]

# A run of 16 * 8 combining marks has 8 in a row in every 16th character, where it is found in a
# sixteenth of the time. Shorter runs are sorted fast enough by insertion.
STRIDE = 16
LONG_RUN = 8


def normalized(pieces: Iterable[str], form: Form) -> Iterator[str]:
    """Normalize a text as a whole, regardless of where its pieces end.

    Memory is proportional to the longest sequence of characters that can affect each other.
    """
    held: list[str] = []  # only its first character may start a unit
    for piece in pieces:
        cut = next(
            (index for index in range(len(piece) - 1, -1, -1) if _starts_unit(piece[index], form)),
            None,
        )
        if cut is None:
            held.append(piece)
        else:
            if whole := "".join([*held, piece[:cut]]):
                yield normalize(whole, form)
            held = [piece[cut:]]
    if last := "".join(held):
        yield normalize(last, form)


def normalize(text: str, form: Form) -> str:
    """Normalize a text; the result is that of `unicodedata.normalize`."""
    samples = text[::STRIDE]
    if len(samples) >= LONG_RUN and not text.isascii() and _long_runs().search(samples):
        text = _decomposed(text, form)
    return unicodedata.normalize(form, text)


def _decomposed(text: str, form: Form) -> str:
    """Decompose every character, and sort each run of combining marks by combining class."""
    import numpy as np  # takes 0.1 s, and its number of threads is chosen before

    parts = {character: _decomposition(character, form) for character in set(text)}
    codes_N = np.frombuffer(
        "".join(map(parts.__getitem__, text)).encode("utf-32-le", "surrogatepass"), "<u4"
    )
    distinct_C, places_N = np.unique(codes_N, return_inverse=True)
    classes_C = np.array([unicodedata.combining(chr(code)) for code in distinct_C], np.int64)
    classes_N = classes_C[places_N]
    # A character of class 0 begins a run, and comes first in it.
    runs_N = np.cumsum(classes_N == 0)
    order_N = np.argsort(runs_N * 256 + classes_N, kind="stable")
    return codes_N[order_N].tobytes().decode("utf-32-le", "surrogatepass")


def _decomposition(character: str, form: Form) -> str:
    return unicodedata.normalize("NFKD" if form == "NFKC" else "NFD", character)


def _starts_unit(character: str, form: Form) -> bool:
    """Return whether a character is never composed with the character before it."""
    if character < "\x80" or "\u4e00" <= character <= "\u9fff":
        return True
    first = _decomposition(character, form)[0]
    return not unicodedata.combining(first) and first not in _second_parts()


@functools.cache
def _long_runs() -> re.Pattern[str]:
    """Return a pattern of long runs in every `STRIDE`th character; takes 0.1 s."""
    characters = map(chr, range(0x300, 0x110000))
    marks = (
        re.escape(character)
        for character in characters
        if unicodedata.combining(character)
        or (
            unicodedata.decomposition(character)
            and unicodedata.combining(unicodedata.normalize("NFKD", character)[0])
        )
    )
    return re.compile(f"[{''.join(marks)}]{{{LONG_RUN}}}")


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
