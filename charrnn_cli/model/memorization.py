"""Measuring how much of a sample occurs verbatim in a text: what the model has memorized.

Windows of the text and of the sample are compared by their hashes. Bisection finds the length of
the longest shared span; each step searches only the places where shorter windows matched. The span
is then compared character by character.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.window_hashes import FILTER_SIZE, Hashes, filter_key, window_hashes

# N characters of text · S characters of sample

SPAN = 30  # characters; shorter spans are common in any text of the language
PIECE_CHARACTERS = 1 << 18  # read from the text at a time: 2 MB per array, which caches hold
_MAX_INTERVALS = 50_000  # that are kept and read one by one; with more, the search is not narrowed

Interval = tuple[int, int]
"""Start and stop in the text."""


@dataclass(frozen=True, slots=True)
class Memorized:
    """The overlap of a sample and a text."""

    longest: int
    """Characters of the longest span that occurs in both."""
    sample_start: int
    text_start: int
    share: float
    """Fraction of the sample's characters that are in shared spans of at least 30 characters."""


def find_memorized(
    sample: str, corpus: Corpus, should_stop: Callable[[], None] = lambda: None
) -> Memorized:
    """Compare a sample with a text, in memory proportional to the sample alone.

    The time grows with the text, and with the logarithm of the longest shared span.

    `should_stop` is called for each piece of the text; it may raise an exception to stop.
    """
    ids = {character: index for index, character in enumerate(corpus.vocab.characters)}
    # Each character that the text lacks gets its own id, so that it matches nothing.
    sample_S = np.array(
        [ids.get(character, len(ids) + 1 + where) for where, character in enumerate(sample)],
        np.uint64,
    )
    search = _Search(sample, sample_S, corpus, should_stop)
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
        lengths, where = (SPAN, SPAN - 1 + _longest_run(matched_S)), _narrowed(whole, where)
    else:
        lengths, where = (0, min(SPAN - 1, len(sample_S), len(corpus))), whole
    longest, sample_start, text_start = search.longest(lengths, where)
    return Memorized(longest, sample_start, text_start, share)


class _Search:
    """Looks for windows of a sample in a text."""

    def __init__(
        self, sample: str, sample_S: Hashes, corpus: Corpus, should_stop: Callable[[], None]
    ) -> None:
        self._sample, self._sample_S = sample, sample_S
        self._corpus, self._should_stop = corpus, should_stop

    def find(
        self, length: int, where: list[Interval]
    ) -> tuple[npt.NDArray[np.bool_], list[Interval]]:
        """Return a mask of the sample's windows that occur in parts of the text, and where.

        Of many places, only the first are returned.
        """
        hashes = window_hashes(self._sample_S, length)
        wanted = np.unique(hashes)
        found = np.zeros(len(wanted), bool)
        maybe = np.zeros(FILTER_SIZE, bool)
        maybe[filter_key(wanted)] = True
        hits: list[Interval] = []
        for start, text_hashes in self._text_hashes(length, where):
            candidates = np.flatnonzero(maybe[filter_key(text_hashes)])
            slots = np.minimum(np.searchsorted(wanted, text_hashes[candidates]), len(wanted) - 1)
            equal = wanted[slots] == text_hashes[candidates]
            found[slots[equal]] = True
            if len(hits) <= _MAX_INTERVALS:
                _add_intervals(hits, candidates[equal] + start, length)
        return found[np.searchsorted(wanted, hashes)], hits

    def longest(self, lengths: tuple[int, int], where: list[Interval]) -> tuple[int, int, int]:
        """Return length, start in the sample and start in the text of the longest shared span.

        A span of the first length is known to occur; the second is the longest possible.
        """
        low, high = lengths
        while low < high:
            length = (low + high + 1) // 2
            matched_S, inside = self.find(length, where)
            if inside:
                low, where = length, _narrowed(where, inside)
                high = min(high, length - 1 + _longest_run(matched_S))
            else:
                high = length - 1
        if low == 0:
            return 0, 0, 0
        start = self.find(low, where)[1][0][0]
        characters = self._corpus.vocab.characters
        span = "".join(characters[index] for index in self._corpus.read(start, start + low))
        sample_start = self._sample.find(span)
        if sample_start < 0:  # equal hashes of different spans: never seen in real texts
            return self.longest((0, low - 1), [(0, len(self._corpus))])
        return low, sample_start, start

    def _text_hashes(self, length: int, where: list[Interval]) -> Iterator[tuple[int, Hashes]]:
        # Pieces overlap by the length of a window.
        size = max(PIECE_CHARACTERS, length)
        for first, last in where:
            for start in range(first, last - length + 1, size):
                self._should_stop()
                ids = self._corpus.read(start, min(start + size + length - 1, last))
                yield start, window_hashes(ids.astype(np.uint64), length)


def _add_intervals(hits: list[Interval], starts: npt.NDArray[np.intp], length: int) -> None:
    """Append the intervals that windows at these ascending starts cover; neighbors are joined."""
    if not len(starts):
        return
    breaks = np.flatnonzero(np.diff(starts) > 1)[: _MAX_INTERVALS + 1]
    firsts = starts[np.concatenate([[0], breaks + 1])]
    lasts = starts[np.concatenate([breaks, [len(starts) - 1]])]
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        if hits and first <= hits[-1][1]:
            hits[-1] = (hits[-1][0], max(last + length, hits[-1][1]))
        else:
            hits.append((first, last + length))


def _narrowed(where: list[Interval], inside: list[Interval]) -> list[Interval]:
    """Return the places to search next: those found, unless there were too many to keep all."""
    return inside if len(inside) <= _MAX_INTERVALS else where


def _longest_run(matched_S: npt.NDArray[np.bool_]) -> int:
    edges = np.diff(np.concatenate([[0], matched_S.astype(np.int8), [0]]))
    return int((np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).max(initial=0))
