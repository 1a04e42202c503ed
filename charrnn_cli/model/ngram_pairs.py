"""Counts of contexts and their next characters, for n-grams of one order."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

# N occurrences · P pairs of a context and its next character · C contexts · F positions

Keys = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of a context of k - 1 characters and the next character, with Kneser-Ney discounts.

    The key of a pair is a number of k digits to base V: the ids of the context, the farthest
    character first, then the id of the next character. The key of a context has the digits before.
    """

    keys: Keys
    """Keys in ascending order, (P,), so that the pairs of a context stand together."""
    counts: npt.NDArray[np.uint32]
    """c_k, at least 1, (P,)."""
    contexts: Keys
    """Keys of the contexts in ascending order, (C,)."""
    first: Integers
    """Index of each context's first pair, and at the end the number of pairs, (C + 1,)."""
    totals: Integers
    """n_k, the sum of a context's counts, (C,)."""
    reserved: Floats
    """d_k, the sum of a context's discounts, (C,)."""
    discounts: Floats
    """Discounts of the counts 0, 1, 2, and 3 or more, (4,)."""

    @classmethod
    def count(cls, keys_N: Keys, vocabulary_size: int) -> Self:
        """Count keys, (N,), which are sorted in place."""
        keys_N.sort()
        starts_P = np.flatnonzero(_is_first(keys_N))
        keys_P = keys_N[starts_P]
        counts_P = np.diff(starts_P, append=len(keys_N)).astype(np.uint32)
        del starts_P  # as large as the keys
        discounts = estimate_discounts(counts_P)
        contexts_P = keys_P // np.uint64(vocabulary_size)
        first_C = np.flatnonzero(_is_first(contexts_P))
        totals_C, reserved_C = np.zeros(0, np.int64), np.zeros(0)
        if len(keys_P):
            totals_C = np.add.reduceat(counts_P, first_C, dtype=np.int64)
            reserved_C = np.add.reduceat(discounts[np.minimum(counts_P, 3)], first_C)
        return cls(
            keys=keys_P,
            counts=counts_P,
            contexts=contexts_P[first_C],
            first=np.append(first_C, len(keys_P)),
            totals=totals_C,
            reserved=reserved_C,
            discounts=discounts,
        )

    def count_of(self, keys_F: Keys) -> Integers:
        """Return c_k of pairs, (F,); 0 for a pair that was never seen."""
        pairs_F, is_known_F = find(self.keys, keys_F)
        counts_F = np.zeros(len(keys_F), np.int64)
        counts_F[is_known_F] = self.counts[pairs_F[is_known_F]]
        return counts_F

    def discount(self, counts: npt.NDArray[np.integer[Any]]) -> Floats:
        """Return D of counts, in their shape."""
        discounts: Floats = self.discounts[np.minimum(counts, 3)]
        return discounts

    def smoothed(self, slots_F: Integers, keys_F: Keys, lower_F: Floats) -> Floats:
        """Return q_k of pairs, (F,), from the indexes of their contexts, their keys and q_{k-1}."""
        counts_F = self.count_of(keys_F)
        rest_F = counts_F - self.discount(counts_F)
        q_F: Floats = (rest_F + self.reserved[slots_F] * lower_F) / self.totals[slots_F]
        return q_F


def estimate_discounts(counts_P: npt.NDArray[np.uint32]) -> Floats:
    """Return the discounts of the counts 0, 1, 2, and 3 or more, (4,), from counts of counts.

    This is the estimate of modified Kneser-Ney smoothing (Chen and Goodman 1998). A discount of
    count j that is not between 0 and j, because few counts are that low, is j / 2.
    """
    ones, twos, threes, fours = np.bincount(np.minimum(counts_P, 5), minlength=6)[1:5].tolist()
    share = ones / max(1, ones + 2 * twos)
    discounts = np.zeros(4)
    for count, (now, next_higher) in enumerate(((ones, twos), (twos, threes), (threes, fours)), 1):
        estimate = count - (count + 1) * share * next_higher / now if now else 0.0
        discounts[count] = estimate if 0 < estimate <= count else count / 2
    return discounts


def find(sorted_P: Keys, wanted_F: Keys) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Return the indexes of keys, and the mask of those that are there; both (F,)."""
    if not len(sorted_P):
        return np.zeros(len(wanted_F), np.int64), np.zeros(len(wanted_F), bool)
    slots_F = np.minimum(np.searchsorted(sorted_P, wanted_F), len(sorted_P) - 1)
    return slots_F, sorted_P[slots_F] == wanted_F


def _is_first(sorted_N: Keys) -> npt.NDArray[np.bool_]:
    """Return the mask of elements that differ from the one before."""
    is_first_N = np.ones(len(sorted_N), bool)
    np.not_equal(sorted_N[1:], sorted_N[:-1], out=is_first_N[1:])
    return is_first_N


def as_keys(ids: npt.NDArray[np.integer[Any]]) -> Keys:
    """Return ids as unsigned numbers of 64 bits."""
    return ids.astype(np.uint64)
