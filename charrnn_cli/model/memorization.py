"""How much of a sample stands verbatim in a text: what a model has learned by heart.

Windows of the text are compared with the sample's by a polynomial hash modulo 2^64, made for a whole chunk at once by
doubling: the hash of a + b characters is h_a · B^b + h_b. The longest span is searched by its length, only where
shorter windows were found; the winner is compared character by character.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus import Corpus

# N characters of text · S characters of sample

SPAN = 30  # characters; shorter spans are the language's
CHUNK = 1 << 22  # characters of text at a time: 32 MB an array
_BASE = 0x9E3779B97F4A7C15  # odd; any large odd number does
_FILTER_BITS = 16
_MAX_INTERVALS = 20_000  # to read one by one; with more, the whole is read again

Hashes = npt.NDArray[np.uint64]
Interval = tuple[int, int]
"""Characters of text from start to stop."""


@dataclass(frozen=True, slots=True)
class Memorized:
    """What a sample shares with a text."""

    longest: int
    """Characters of the longest span that stands in both."""
    sample_start: int
    text_start: int
    share: float
    """Of the sample's characters that lie in a shared span of 30 or more."""


def find_memorized(
    sample: str, corpus: Corpus, should_stop: Callable[[], None] = lambda: None
) -> Memorized:
    """Compare a sample with a text. `should_stop` is called now and then, and may raise.

    Takes time in proportion to the text, and memory that does not grow with it.
    """
    ids = {character: index for index, character in enumerate(corpus.vocab.characters)}
    # A character that the text does not have ends every span: each gets a number of its own, never met again.
    sample_S = np.array(
        [ids.get(character, len(ids) + 1 + where) for where, character in enumerate(sample)],
        np.uint64,
    )
    search = _Search(sample_S, corpus, should_stop)
    whole = [(0, len(corpus))]
    if len(sample_S) >= SPAN and len(corpus) >= SPAN:
        matched_S, where = search.find(SPAN, whole)
    else:
        matched_S, where = np.zeros(0, bool), []
    covered_S = np.zeros(len(sample_S), bool)
    for start in np.flatnonzero(matched_S):
        covered_S[start : start + SPAN] = True
    share = float(covered_S.mean()) if len(sample_S) else 0.0
    if where:
        lengths = (SPAN, SPAN - 1 + _longest_run(matched_S))
    else:
        lengths, where = (0, min(SPAN - 1, len(sample_S), len(corpus))), whole
    longest, sample_start, text_start = search.longest(lengths, where)
    return Memorized(longest, sample_start, text_start, share)


class _Search:
    def __init__(self, sample_S: Hashes, corpus: Corpus, should_stop: Callable[[], None]) -> None:
        self._sample_S, self._corpus, self._should_stop = sample_S, corpus, should_stop

    def find(
        self, length: int, where: list[Interval]
    ) -> tuple[npt.NDArray[np.bool_], list[Interval]]:
        """Which windows of the sample stand in these parts of the text, and the parts where they do, (start, stop)."""
        hashes = window_hashes(self._sample_S, length)
        wanted = np.unique(hashes)
        found = np.zeros(len(wanted), bool)
        maybe = np.zeros(1 << _FILTER_BITS, bool)
        maybe[_filter_key(wanted)] = True
        hits: list[Interval] = []
        for start, text_hashes in self._text_hashes(length, where):
            candidates = np.flatnonzero(maybe[_filter_key(text_hashes)])
            slots = np.minimum(np.searchsorted(wanted, text_hashes[candidates]), len(wanted) - 1)
            equal = wanted[slots] == text_hashes[candidates]
            found[slots[equal]] = True
            hits += _intervals(candidates[equal] + start, length)
        return found[np.searchsorted(wanted, hashes)], _merged(hits)

    def longest(self, lengths: tuple[int, int], where: list[Interval]) -> tuple[int, int, int]:
        """The longest shared span of a length from the first, which is known to occur, to the second."""
        low, high = lengths
        while low < high:
            length = (low + high + 1) // 2
            matched_S, inside = self.find(length, where)
            if inside:
                low, where = length, inside if len(inside) <= _MAX_INTERVALS else where
                high = min(high, length - 1 + _longest_run(matched_S))
            else:
                high = length - 1
        if low == 0:
            return 0, 0, 0
        start = self.find(low, where)[1][0][0]
        span = self._corpus.read(start, start + low).astype(np.uint64)
        windows = np.lib.stride_tricks.sliding_window_view(self._sample_S, low)
        equal = np.flatnonzero((windows == span).all(axis=1))
        if not len(equal):  # two spans of equal hash, which no text that people wrote has
            return self.longest((0, low - 1), [(0, len(self._corpus))])
        return low, int(equal[0]), start

    def _text_hashes(self, length: int, where: list[Interval]) -> Iterator[tuple[int, Hashes]]:
        for first, last in where:
            for start in range(first, last - length + 1, CHUNK):
                self._should_stop()
                ids = self._corpus.read(start, min(start + CHUNK + length - 1, last))
                yield start, window_hashes(ids.astype(np.uint64), length)


def window_hashes(ids_N: Hashes, length: int) -> Hashes:
    """A hash of every window of so many ids, (N - length + 1,)."""
    if len(ids_N) < length:
        return np.zeros(0, np.uint64)
    power = ids_N + np.uint64(1)  # of windows of 1, 2, 4, ... ids
    result: Hashes | None = None
    covered, size = 0, 1
    while True:
        if length & size:
            if result is None:
                result = power[: len(ids_N) - size + 1]
            else:
                shifted = power[covered:]
                result = result[: len(shifted)] * _base_power(size) + shifted
            covered += size
        if covered == length:
            return result if result is not None else power
        power = power[:-size] * _base_power(size) + power[size:]
        size *= 2


def _base_power(exponent: int) -> np.uint64:
    return np.uint64(pow(_BASE, exponent, 1 << 64))


def _filter_key(hashes: Hashes) -> npt.NDArray[np.intp]:
    return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.intp)


def _intervals(starts: npt.NDArray[np.intp], length: int) -> list[Interval]:
    """The stretches that windows at these ascending starts cover, those of neighbours joined."""
    if not len(starts):
        return []
    breaks = np.flatnonzero(np.diff(starts) > 1)
    firsts = starts[np.concatenate([[0], breaks + 1])]
    lasts = starts[np.concatenate([breaks, [len(starts) - 1]])]
    return [(int(first), int(last) + length) for first, last in zip(firsts, lasts, strict=True)]


def _merged(intervals: list[Interval]) -> list[Interval]:
    """Those of two chunks that overlap, joined."""
    merged: list[Interval] = []
    for start, stop in intervals:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _longest_run(matched_S: npt.NDArray[np.bool_]) -> int:
    edges = np.diff(np.concatenate([[0], matched_S.astype(np.int8), [0]]))
    return int((np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).max(initial=0))
