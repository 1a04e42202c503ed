"""Character n-grams with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998).

The probability of character x after the context h of k - 1 characters is

    q_k(x|h) = (c_k(h, x) - D(c_k(h, x)) + d_k(h) · q_{k-1}(x|h')) / n_k(h)

where h' is h without its first character, n_k(h) and d_k(h) are the sums of c_k(h, x) and of
D(c_k(h, x)) over x, and q_0 = 1 / V. After a context that was never seen, q_k = q_{k-1}. At the
highest order, c_k is the number of occurrences of h x. Below it, c_k is the number of different
characters before h x, and each occurrence at the start of a span counts as one more: nothing can
stand before it, so a context that occurs only there has its plain counts.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.ngram_pairs import Floats, Integers, Keys, Mask, Pairs, as_keys, find, sums

# R positions · K highest order · V vocabulary · C contexts of one order
# F positions whose context was seen · S pairs that were seen after their contexts

START = -1  # in a context, in place of the characters before the start of a span

Contexts = npt.NDArray[np.int32]

# Probabilities after short contexts are computed once: they take most of the time, and little room.
_MOST_READY = 4  # order
_READY_NUMBERS = 1 << 21  # 16 MB


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The occurrences that a model leaves out: those of R positions of the text that it counted."""

    targets: Integers
    """The id at each position, (R,)."""
    lengths: Integers
    """Characters before each position in its span when it was counted; 0 if it was not, (R,)."""


class _Found:
    """The positions whose context of one order was seen, with the pairs that begin with it."""

    def __init__(self, length: int, pairs: Pairs, contexts_R: Integers) -> None:
        """Read the pairs of contexts of `length` characters; their index is -1 if never seen."""
        self.length, self._discounts = length, pairs.discounts
        self.rows_F = np.flatnonzero(contexts_R >= 0)
        contexts_F = contexts_R[self.rows_F]
        first_F = pairs.first[contexts_F]
        self.lengths_F = pairs.first[contexts_F + 1] - first_F
        self.starts_F = np.cumsum(self.lengths_F) - self.lengths_F
        pairs_S = np.repeat(first_F - self.starts_F, self.lengths_F)
        pairs_S += np.arange(len(pairs_S))
        self.rows_S = np.repeat(self.rows_F, self.lengths_F)
        self.ids_S, self.counts_S = pairs.ids[pairs_S], pairs.counts[pairs_S]

    def leave_out(self, targets_R: Integers, is_gone_R: Mask) -> Mask:
        """Count one occurrence less of each target that is gone; return where none is left."""
        own = np.flatnonzero(self.ids_S == np.where(is_gone_R, targets_R, -1)[self.rows_S])
        self.counts_S[own] -= 1
        is_last_R = np.zeros(len(targets_R), bool)
        is_last_R[self.rows_S[own]] = self.counts_S[own] == 0
        return is_last_R

    def terms(self, factors_R: Floats, shown_R: Integers) -> Floats:
        """Return what the pairs add to q, (S,), where their contexts are shown.

        `factors_R` is the product of the factors d_k / n_k of the higher orders. This order
        multiplies it by its own.
        """
        discounts_S = self._discounts[np.minimum(self.counts_S, 3)]
        totals_F = sums(self.counts_S.astype(np.int64), self.starts_F)
        reserved_F = sums(discounts_S, self.starts_F)
        is_used_F = (shown_R[self.rows_F] >= self.length) & (totals_F > 0)
        rows_U = self.rows_F[is_used_F]
        scales_F = np.zeros(len(self.rows_F))
        scales_F[is_used_F] = factors_R[rows_U] / totals_F[is_used_F]
        factors_R[rows_U] = reserved_F[is_used_F] * scales_F[is_used_F]
        terms_S: Floats = (self.counts_S - discounts_S) * np.repeat(scales_F, self.lengths_F)
        return terms_S


@dataclass(frozen=True, eq=False)
class NgramModel:
    """Probabilities of the next character after up to K - 1 characters.

    Contexts are arrays (R, K - 1): the ids of the characters before each position, the nearest
    first, and START before the start of the text.
    """

    vocabulary_size: int
    orders: tuple[Pairs, ...]
    """Pairs of the orders 1 to K."""

    @property
    def order(self) -> int:
        """The highest order, K."""
        return len(self.orders)

    @property
    def num_pairs(self) -> int:
        """Number of pairs of all orders."""
        return sum(len(pairs.keys) for pairs in self.orders)

    def distributions(
        self,
        contexts_RK: Contexts,
        shown_R: Integers | None = None,
        left_out: LeftOut | None = None,
    ) -> Floats:
        """Return the probability of every character after each context, (R, V).

        With `shown_R`, only that many of each context's nearest characters count. With `left_out`,
        each row is what it would be without its own position's occurrence; only the discounts stay
        those of all occurrences.
        """
        keys_KR, lengths_R = context_keys(contexts_RK, self.vocabulary_size)
        shown_R = lengths_R if shown_R is None else np.minimum(shown_R, lengths_R)
        contexts_KR = self._contexts(keys_KR, lengths_R)
        order, ready_CV = self.ready
        found = self._found(contexts_KR[order:], order)
        is_ready_R = (contexts_KR[order - 1] >= 0) & (shown_R >= order - 1)
        is_gone_KR = np.zeros((order, len(shown_R)), bool)
        targets_R = np.zeros(len(shown_R), np.int64)
        if left_out is not None:
            targets_R = left_out.targets
            is_gone_KR = self._leave_out(left_out, keys_KR, found)
            is_ready_R &= ~is_gone_KR.any(axis=0)
        q_RV = np.empty((len(shown_R), self.vocabulary_size))
        q_RV[is_ready_R] = ready_CV[contexts_KR[order - 1, is_ready_R]]
        others = np.flatnonzero(~is_ready_R)
        lowest = self._found(contexts_KR[:order, others])
        for each, is_gone_R in zip(lowest, is_gone_KR[:, others], strict=True):
            each.leave_out(targets_R[others], is_gone_R)
        q_RV[others] = self._smooth_lowest(lowest, shown_R[others])
        _smooth(q_RV, found, shown_R)
        return q_RV

    def _contexts(self, keys_KR: Keys, lengths_R: Integers) -> Integers:
        """Return the index of each context of every order, (K, R); -1 for those never seen.

        A search waits for the memory, so only the longest context that was seen is searched for.
        """
        contexts_KR = np.full(keys_KR.shape, -1)
        for length in range(self.order - 1, -1, -1):
            contexts_R = contexts_KR[length]
            unknown = np.flatnonzero((contexts_R < 0) & (lengths_R >= length))
            found, is_seen = find(self.orders[length].contexts, keys_KR[length, unknown])
            contexts_R[unknown[is_seen]] = found[is_seen]
            if length:
                seen = np.flatnonzero(contexts_R >= 0)
                contexts_KR[length - 1, seen] = self._shorter[length - 1][contexts_R[seen]]
        return contexts_KR

    @cached_property
    def _shorter(self) -> list[npt.NDArray[np.int32]]:
        """For each order above 1, the indexes of its contexts without their first characters.

        Each is an index among the contexts of the order below, where all of them were seen.
        """
        shorter = []
        for length, (below, pairs) in enumerate(itertools.pairwise(self.orders)):
            indexes_C, _ = find(below.contexts, self._ends(pairs.contexts, length))
            shorter.append(indexes_C.astype(np.int32))
        return shorter

    @cached_property
    def ready(self) -> tuple[int, Floats]:
        """An order, and the probabilities after each of its contexts, (C, V)."""
        limit = _READY_NUMBERS // self.vocabulary_size
        fitting = [
            order
            for order, pairs in enumerate(self.orders[:_MOST_READY], 1)
            if len(pairs.contexts) <= limit
        ]
        order = max(fitting, default=1)
        keys_C = self.orders[order - 1].contexts
        shorter_KC = [
            find(pairs.contexts, self._ends(keys_C, length))[0]
            for length, pairs in enumerate(self.orders[:order])
        ]
        lengths_C = np.full(len(keys_C), order - 1)
        return order, self._smooth_lowest(self._found(shorter_KC), lengths_C)

    def _ends(self, keys_C: Keys, length: int) -> Keys:
        """Return the keys of the last characters of longer contexts."""
        return keys_C % np.uint64(self.vocabulary_size**length)

    def _found(self, contexts_KR: Iterable[Integers], shortest: int = 0) -> list[_Found]:
        """Read the pairs of contexts of `shortest` characters and more."""
        return [
            _Found(length, self.orders[length], contexts_R)
            for length, contexts_R in enumerate(contexts_KR, shortest)
        ]

    def _smooth_lowest(self, found: list[_Found], shown_R: Integers) -> Floats:
        """Return the probabilities of the lowest orders, (R, V)."""
        q_RV = np.full((len(shown_R), self.vocabulary_size), 1 / self.vocabulary_size)
        _smooth(q_RV, found, shown_R)
        return q_RV

    def _leave_out(self, left_out: LeftOut, keys_KR: Keys, found: list[_Found]) -> Mask:
        """Lower the counts that were found, and return which counts of the other orders are lower.

        `found` are the contexts of the highest orders; the mask has the orders below, (K, R).
        """
        targets_R, longest_R = left_out.targets, np.minimum(left_out.lengths, self.order - 1)
        lowest = self.order - len(found)
        is_gone_KR = np.zeros((lowest, len(targets_R)), bool)
        is_last_R = np.zeros(len(targets_R), bool)  # no pair of the next longer context is left
        for length in range(self.order - 1, -1, -1):
            is_gone_R = is_last_R | ((longest_R == length) & (left_out.lengths > 0))
            if length >= lowest:
                is_last_R = found[length - lowest].leave_out(targets_R, is_gone_R)
                continue
            is_gone_KR[length] = is_gone_R
            rows, pairs = np.flatnonzero(is_gone_R), self.orders[length]
            keys = pairs.pair_keys(keys_KR[length, rows], targets_R[rows])
            is_last_R = np.zeros(len(targets_R), bool)
            is_last_R[rows] = pairs.count_of(keys) == 1
        return is_gone_KR


def _smooth(q_RV: Floats, found: list[_Found], shown_R: Integers) -> None:
    """Replace the q of the order below `found`, in ascending order, by that of the highest."""
    factors_R = np.ones(len(q_RV))
    terms = [each.terms(factors_R, shown_R) for each in reversed(found)]
    q_RV *= factors_R[:, None]
    for each, terms_S in zip(reversed(found), terms, strict=True):
        q_RV.reshape(-1)[each.rows_S * q_RV.shape[1] + each.ids_S] += terms_S


def context_keys(contexts_RK: Contexts, vocabulary_size: int) -> tuple[Keys, Integers]:
    """Return keys of the contexts of each length, (K, R), and their real lengths, (R,).

    A key that is longer than its context has no meaning.
    """
    rows, most = contexts_RK.shape
    keys_KR = np.zeros((most + 1, rows), np.uint64)
    for length in range(most):
        digits_R = as_keys(contexts_RK[:, length]) * np.uint64(vocabulary_size**length)
        np.add(keys_KR[length], digits_R, out=keys_KR[length + 1])
    return keys_KR, (contexts_RK != START).sum(axis=1)
