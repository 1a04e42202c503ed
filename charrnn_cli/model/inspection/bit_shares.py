"""Where the bits of a text go: by kind of character, by place in the word, and beyond n-grams."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.inspection.trace import Trace

# N characters

LAST_PLACE = 6  # in a word; later ones are counted together
BEATEN = 2.0  # bits
EXAMPLES = 8
BEFORE = 40  # characters of an example's context

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Group:
    """Characters of one kind, and their cost."""

    name: str
    characters: int
    share: float
    """Of the bits of the text."""
    bits: float
    """Mean per character."""
    ngram_bits: float | None
    """Mean per character under the n-grams alone; None without them."""


@dataclass(frozen=True, slots=True)
class Example:
    """A character that the model expected and short n-grams did not."""

    place: int
    """Offset of the character in the text."""
    before: str
    character: str
    bits: float
    fivegram_bits: float


def bits_by_kind(trace: Trace, end: str | None, ngram_bits_N: Floats | None = None) -> list[Group]:
    """Return the cost of each kind of character that occurs; every character is of one kind.

    `end` is the end symbol, if the text has one.
    """
    characters_N = list(trace.text)
    kinds = [
        "end",
        "line end",
        "space",
        "digit",
        "capital",
        "first letter of a word",
        "inside a word",
        "punctuation",
    ]
    is_after_letter = [False, *(each.isalpha() for each in characters_N[:-1])]
    kind_N = np.array(
        [
            kinds.index(_kind(each, is_after, end))
            for each, is_after in zip(characters_N, is_after_letter, strict=True)
        ]
    )
    masks = ((name, kind_N == index) for index, name in enumerate(kinds))
    return list(_groups(trace, masks, ngram_bits_N))


def bits_by_place(trace: Trace, ngram_bits_N: Floats | None = None) -> list[Group]:
    """Return the cost of letters by their place in the word, counted from 1."""
    is_letter_N = np.array([each.isalpha() for each in trace.text], bool)
    places_N = np.arange(len(is_letter_N))
    place_N = places_N - np.maximum.accumulate(np.where(is_letter_N, -1, places_N))
    masks = (
        (
            f"letter {place}" + (" and later" if place == LAST_PLACE else ""),
            place_N >= place if place == LAST_PLACE else place_N == place,
        )
        for place in range(1, LAST_PLACE + 1)
    )
    return list(_groups(trace, masks, ngram_bits_N))


def beyond_fivegrams(trace: Trace, fivegram_bits_N: Floats) -> tuple[float, list[Example]]:
    """Return the share of characters that cost 2 bits less than under 5-grams, and examples.

    The examples are those with the largest difference, in the order of the text.
    """
    gain_N = np.where(trace.is_scored, fivegram_bits_N - trace.bits, 0)
    share = float((gain_N > BEATEN).sum() / trace.is_scored.sum())
    best = np.sort(np.argsort(-gain_N, kind="stable")[:EXAMPLES])
    examples = [
        Example(
            place,
            trace.text[max(0, place - BEFORE) : place],
            trace.text[place],
            float(trace.bits[place]),
            float(fivegram_bits_N[place]),
        )
        for place in best.tolist()
        if gain_N[place] > BEATEN
    ]
    return share, examples


def mean_bits(bits_N: Floats) -> float:
    """Return the mean of the bits that are not NaN."""
    return float(np.nanmean(bits_N.astype(np.float64)))


def _kind(character: str, is_after_letter: bool, end: str | None) -> str:
    if character == end:
        return "end"
    if character == "\n":
        return "line end"
    if character.isspace():
        return "space"
    if character.isdigit():
        return "digit"
    if character.isupper():
        return "capital"
    if character.isalpha():
        return "inside a word" if is_after_letter else "first letter of a word"
    return "punctuation"


def _groups(
    trace: Trace, masks: Iterable[tuple[str, Mask]], ngrams: Floats | None
) -> Iterator[Group]:
    total = trace.bits[trace.is_scored].sum(dtype=np.float64)
    for name, mask_N in masks:
        is_in_N = mask_N & trace.is_scored
        bits = trace.bits[is_in_N].astype(np.float64)
        if len(bits):
            yield Group(
                name,
                len(bits),
                float(bits.sum() / total) if total > 0 else 0.0,
                float(bits.mean()),
                None if ngrams is None else float(ngrams[is_in_N].mean(dtype=np.float64)),
            )
