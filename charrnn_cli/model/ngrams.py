"""Character n-grams with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998).

The probability of character x after the context h of k - 1 characters is

    q_k(x|h) = (c_k(h, x) - D(c_k(h, x)) + d_k(h) · q_{k-1}(x|h')) / n_k(h)

where h' is h without its first character, n_k(h) and d_k(h) are the sums of c_k(h, x) and of
D(c_k(h, x)) over x, and q_0 = 1 / V. After a context that was never seen, q_k = q_{k-1}. At the
highest order, c_k is the number of occurrences of h x. Below it, c_k is the number of different
characters before h x, and each occurrence at the start of a span counts as one more: nothing can
stand before it, so a context that occurs only there has its plain counts.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.ngram_pairs import Floats, Integers, Keys, Mask, Pairs, as_keys

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


@dataclass(frozen=True, slots=True)
class _Lowered:
    """The counts that are lower by one without the occurrences that are left out."""

    targets: Integers
    """The id at each position, (R,)."""
    counts: Integers
    """The count of the pair of each order, if it is lower by one; else 0, (R, K)."""

    def of_rows(self, rows: Integers) -> "_Lowered":
        """Return the counts of some positions."""
        return _Lowered(self.targets[rows], self.counts[rows])


@dataclass(frozen=True, slots=True)
class _Found:
    """The positions whose context of one order was seen."""

    length: int
    """Characters of the contexts, k - 1."""
    pairs: Pairs
    rows: Integers
    """Indexes of the positions, (F,)."""
    contexts: Integers
    """Indexes of their contexts, (F,)."""
    lengths: Integers
    """Numbers of pairs that were seen after them, (F,)."""
    seen: Integers
    """Indexes of these pairs, (S,)."""

    @classmethod
    def of(cls, length: int, pairs: Pairs, keys_R: Keys, is_inside_R: Mask) -> Self:
        """Find contexts by their keys, where the mask is set."""
        rows_F, contexts_F = pairs.known(keys_R, is_inside_R)
        starts_F = pairs.first[contexts_F]
        lengths_F = pairs.first[contexts_F + 1] - starts_F
        return cls(length, pairs, rows_F, contexts_F, lengths_F, _ranges(starts_F, lengths_F))

    def counts_of(self, targets_R: Integers) -> Integers:
        """Return the count of the pair of each position with its target; 0 if there is none."""
        wanted_S = np.repeat(targets_R[self.rows], self.lengths)
        own = np.flatnonzero(self.pairs.ids[self.seen] == wanted_S)
        counts_R = np.zeros(len(targets_R), np.int64)
        counts_R[np.repeat(self.rows, self.lengths)[own]] = self.pairs.counts[self.seen[own]]
        return counts_R

    def mix(self, q_RV: Floats, shown_R: Integers, lowered: _Lowered | None) -> None:
        """Replace q_{k-1} by q_k, where the contexts are shown."""
        pairs, rows_F = self.pairs, self.rows
        totals_F, reserved_F = pairs.totals[self.contexts], pairs.reserved[self.contexts]
        if lowered is not None:
            own = np.flatnonzero(lowered.counts[rows_F, self.length])  # of the F, G positions
            rows_G = rows_F[own]
            targets_G, counts_G = lowered.targets[rows_G], lowered.counts[rows_G, self.length]
            totals_F[own] -= 1
            reserved_F[own] += pairs.discount(counts_G - 1) - pairs.discount(counts_G)
        is_used_F = (shown_R[rows_F] >= self.length) & (totals_F > 0)
        shares_F = np.divide(1.0, totals_F, where=is_used_F, out=np.zeros(len(rows_F)))
        factors_R = np.ones(len(q_RV))
        factors_R[rows_F[is_used_F]] = (reserved_F * shares_F)[is_used_F]
        q_RV *= factors_R[:, None]
        if lowered is not None:
            lower_G = q_RV[rows_G, targets_G]
        places_S = np.repeat(rows_F * q_RV.shape[1], self.lengths) + pairs.ids[self.seen]
        q_RV.reshape(-1)[places_S] += pairs.kept[self.seen] * np.repeat(shares_F, self.lengths)
        if lowered is not None:
            # Subtracting what is lost would leave nothing but rounding of a very small probability.
            q_RV[rows_G, targets_G] = lower_G + pairs.rest(counts_G - 1) * shares_F[own]


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
        order, ready_CV = self.ready
        found = [
            _Found.of(length, self.orders[length], keys_KR[length], lengths_R >= length)
            for length in range(order, self.order)
        ]
        lowered = None if left_out is None else self._lowered(left_out, keys_KR, found)
        rows_F, contexts_F = self.orders[order - 1].known(keys_KR[order - 1], shown_R >= order - 1)
        q_RV = np.empty((len(contexts_RK), self.vocabulary_size))
        q_RV[rows_F] = ready_CV[contexts_F]
        is_other_R = np.bincount(rows_F, minlength=len(q_RV)) == 0
        if lowered is not None:
            is_other_R |= lowered.counts[:, :order].any(axis=1)
        others = np.flatnonzero(is_other_R)
        some = None if lowered is None else lowered.of_rows(others)
        q_RV[others] = self._lowest(keys_KR[:order, others], shown_R[others], some)
        for each in found:
            each.mix(q_RV, shown_R, lowered)
        return q_RV

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
        ends_KC = [keys_C % np.uint64(self.vocabulary_size**length) for length in range(order)]
        lengths_C = np.full(len(keys_C), order - 1)
        return order, self._lowest(np.array(ends_KC), lengths_C, None)

    def _lowest(self, keys_KR: Keys, shown_R: Integers, lowered: _Lowered | None) -> Floats:
        """Return the probabilities of the lowest orders, those of the keys, (R, V)."""
        q_RV = np.full((len(shown_R), self.vocabulary_size), 1 / self.vocabulary_size)
        for length, keys_R in enumerate(keys_KR):
            found = _Found.of(length, self.orders[length], keys_R, shown_R >= length)
            found.mix(q_RV, shown_R, lowered)
        return q_RV

    def _lowered(self, left_out: LeftOut, keys_KR: Keys, found: list[_Found]) -> _Lowered:
        """Return the counts that are lower; `found` are the contexts of the highest orders."""
        targets_R, longest_R = left_out.targets, np.minimum(left_out.lengths, self.order - 1)
        counts_RK = np.zeros((len(targets_R), self.order), np.int64)
        vanishes_R = np.zeros(len(targets_R), bool)  # the pair of the next longer context
        for length in range(self.order - 1, -1, -1):
            is_gone_R = vanishes_R | ((longest_R == length) & (left_out.lengths > 0))
            if length >= self.order - len(found):
                counts_R = found[length - self.order].counts_of(targets_R)
                counts_RK[:, length] = np.where(is_gone_R, counts_R, 0)
            else:
                rows_F, pairs = np.flatnonzero(is_gone_R), self.orders[length]
                keys_F = pairs.pair_keys(keys_KR[length, rows_F], targets_R[rows_F])
                counts_RK[rows_F, length] = pairs.count_of(keys_F)
            vanishes_R = counts_RK[:, length] == 1
        return _Lowered(targets_R, counts_RK)


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


def _ranges(first_F: Integers, lengths_F: Integers) -> Integers:
    """Return the integers of ranges, joined."""
    ends_F = np.cumsum(lengths_F)
    shifts = np.repeat(first_F - (ends_F - lengths_F), lengths_F)
    ranges: Integers = np.arange(len(shifts)) + shifts
    return ranges
