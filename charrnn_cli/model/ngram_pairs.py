"""Counts of contexts and their next characters, for n-grams of one order."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus_file import DTYPES, ids_dtype

# N occurrences · P pairs of a context and its next character · C contexts · R positions
# F positions whose context was seen

Keys = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a context of k - 1 characters and the next character, with Kneser-Ney discounts.

    The key of a pair is a number of k digits to base V: the ids of the context, the farthest
    character first, then the id of the next character. The key of a context has the digits before.
    """

    vocabulary_size: int
    keys: Keys
    """Keys in ascending order, (P,), so that the pairs of a context stand together."""
    counts: npt.NDArray[np.uint32]
    """c_k, at least 1, (P,)."""

    @classmethod
    def count(cls, keys_N: Keys, vocabulary_size: int) -> Self:
        """Count keys, (N,), which are sorted in place."""
        keys_N.sort()
        starts_P = np.flatnonzero(_is_first(keys_N))
        counts_P = np.diff(starts_P, append=len(keys_N)).astype(np.uint32)
        return cls(vocabulary_size, keys_N[starts_P], counts_P)

    @cached_property
    def is_first(self) -> Mask:
        """The mask of the first pair of each context, (P,)."""
        return _is_first(self.keys // np.uint64(self.vocabulary_size))

    @cached_property
    def first(self) -> Integers:
        """Index of each context's first pair, and at the end the number of pairs, (C + 1,)."""
        return np.append(np.flatnonzero(self.is_first), len(self.keys))

    @cached_property
    def contexts(self) -> Keys:
        """Keys of the contexts in ascending order, (C,)."""
        return self.keys[self.first[:-1]] // np.uint64(self.vocabulary_size)

    @cached_property
    def ids(self) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Id of each pair's next character, (P,)."""
        dtype = DTYPES[ids_dtype(self.vocabulary_size)]
        return (self.keys % np.uint64(self.vocabulary_size)).astype(dtype)

    @cached_property
    def discounts(self) -> Floats:
        """Discounts of the counts 0, 1, 2, and 3 or more, (4,)."""
        return estimate_discounts(np.bincount(np.minimum(self.counts, 5), minlength=6)[1:5])

    @cached_property
    def totals(self) -> Integers:
        """n_k, the sum of a context's counts, (C,)."""
        totals_C: Integers = sums(self.counts.astype(np.int64), self.first[:-1])
        return totals_C

    @cached_property
    def reserved(self) -> Floats:
        """d_k, the sum of a context's discounts, (C,)."""
        reserved_C: Floats = sums(self.discount(self.counts), self.first[:-1])
        return reserved_C

    @cached_property
    def shares(self) -> Floats:
        """Each count without its discount, as a fraction of its context's total, (P,)."""
        shares_P: Floats = self.kept / np.repeat(self.totals, np.diff(self.first))
        return shares_P

    @cached_property
    def kept(self) -> Floats:
        """Each count without its discount, (P,)."""
        return self.rest(self.counts)

    def discount(self, counts: npt.NDArray[np.integer[Any]]) -> Floats:
        """Return D of counts, in their shape."""
        discounts: Floats = self.discounts[np.minimum(counts, 3)]
        return discounts

    def rest(self, counts: npt.NDArray[np.integer[Any]]) -> Floats:
        """Return counts without their discounts, in their shape."""
        return counts - self.discount(counts)

    def count_of(self, keys_F: Keys) -> Integers:
        """Return c_k of pairs, (F,); 0 for a pair that was never seen."""
        pairs_F, is_known_F = find(self.keys, keys_F)
        counts_F = np.zeros(len(keys_F), np.int64)
        counts_F[is_known_F] = self.counts[pairs_F[is_known_F]]
        return counts_F

    def known(self, keys_R: Keys, is_inside_R: Mask) -> tuple[Integers, Integers]:
        """Return the positions whose context was seen, and the indexes of their contexts, (F,).

        `keys_R` are keys of contexts. Positions whose mask is false have none.
        """
        contexts_R, is_known_R = find(self.contexts, keys_R)
        rows_F = np.flatnonzero(is_known_R & is_inside_R)
        return rows_F, contexts_R[rows_F]

    def pair_keys(self, keys_F: Keys, ids_F: npt.NDArray[np.integer[Any]]) -> Keys:
        """Return the keys of contexts, (F,), with characters after them."""
        return keys_F * np.uint64(self.vocabulary_size) + as_keys(ids_F)

    def smooth(self, q_R: Floats, keys_R: Keys, is_inside_R: Mask, targets_R: Integers) -> Floats:
        """Return q_k of each position's target, (R,), from q_{k-1} and the keys of contexts."""
        rows_F, contexts_F = self.known(keys_R, is_inside_R)
        counts_F = self.count_of(self.pair_keys(keys_R[rows_F], targets_R[rows_F]))
        smoothed_R = q_R.copy()
        smoothed_R[rows_F] *= self.reserved[contexts_F]
        smoothed_R[rows_F] += self.rest(counts_F)
        smoothed_R[rows_F] /= self.totals[contexts_F]
        return smoothed_R


def estimate_discounts(counts_of_counts: Integers) -> Floats:
    """Return the discounts of the counts 0, 1, 2, and 3 or more, (4,).

    `counts_of_counts` are the numbers of pairs that occur once to four times, (4,). The estimate is
    that of modified Kneser-Ney smoothing (Chen and Goodman 1998). A discount of count j that is not
    between 0 and j, because few counts are that low, is j / 2.
    """
    ones, twos, threes, fours = counts_of_counts.tolist()
    share = ones / max(1, ones + 2 * twos)
    discounts = np.zeros(4)
    for count, (now, next_higher) in enumerate(((ones, twos), (twos, threes), (threes, fours)), 1):
        estimate = count - (count + 1) * share * next_higher / now if now else 0.0
        discounts[count] = estimate if 0 < estimate <= count else count / 2
    return discounts


def find(sorted_P: Keys, wanted_F: Keys) -> tuple[Integers, Mask]:
    """Return the indexes of keys, and the mask of those that are there; both (F,)."""
    if not len(sorted_P):
        return np.zeros(len(wanted_F), np.int64), np.zeros(len(wanted_F), bool)
    ascending = np.argsort(wanted_F)  # half the time: neighbors are found in the same places
    slots_F = np.empty(len(wanted_F), np.int64)
    slots_F[ascending] = np.searchsorted(sorted_P, wanted_F[ascending])
    np.minimum(slots_F, len(sorted_P) - 1, out=slots_F)
    return slots_F, sorted_P[slots_F] == wanted_F


def sums(numbers_P: npt.NDArray[Any], starts_C: Integers) -> npt.NDArray[Any]:
    """Return the sum of numbers over each range, (C,), given where the ranges start."""
    return np.add.reduceat(numbers_P, starts_C) if len(starts_C) else numbers_P[:0]


def as_keys(ids: npt.NDArray[np.integer[Any]]) -> Keys:
    """Return ids as unsigned numbers of 64 bits."""
    return ids.astype(np.uint64)


def _is_first(sorted_N: Keys) -> Mask:
    """Return the mask of elements that differ from the one before."""
    is_first_N = np.ones(len(sorted_N), bool)
    np.not_equal(sorted_N[1:], sorted_N[:-1], out=is_first_N[1:])
    return is_first_N
