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

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.ngram_pairs import Floats, Integers, Keys, Mask, Pairs, as_keys

# R positions · K highest order · V vocabulary · C contexts of one order
# F positions whose context was seen · S pairs that were seen after their contexts

START = -1  # in a context, in place of the characters before the start of a span

Contexts = npt.NDArray[np.int32]

# Probabilities after short contexts are computed once: they take most of the time, and little room.
_MOST_READY = 3  # order
_READY_NUMBERS = 1 << 20  # 8 MB


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

    def probabilities(self, contexts_RK: Contexts, targets_R: Integers) -> Floats:
        """Return the probability of the target of each position, (R,)."""
        keys_KR, lengths_R = context_keys(contexts_RK, self.vocabulary_size)
        q_R = np.full(len(targets_R), 1 / self.vocabulary_size)
        for length, pairs in enumerate(self.orders):
            q_R = pairs.smooth(q_R, keys_KR[length], lengths_R >= length, targets_R)
        return q_R

    def distributions(self, contexts_RK: Contexts, left_out: "LeftOut | None" = None) -> Floats:
        """Return the probability of every character after each context, (R, V).

        With `left_out`, they are what they would be without one occurrence, another for each
        position; only the discounts stay those of all occurrences.
        """
        keys_KR, lengths_R = context_keys(contexts_RK, self.vocabulary_size)
        order, ready_CV = self.ready
        short = self.orders[:order]
        rows_F, contexts_F = short[-1].known(keys_KR[order - 1], lengths_R >= order - 1)
        q_RV = np.empty((len(contexts_RK), self.vocabulary_size))
        q_RV[rows_F] = ready_CV[contexts_F]
        is_other_R = np.ones(len(contexts_RK), bool)
        is_other_R[rows_F] = False
        if left_out is not None:
            is_other_R |= left_out.gone[:, :order].any(axis=1)
        others = np.flatnonzero(is_other_R)
        some = None if left_out is None else left_out.of_rows(others)
        q_RV[others] = self._mixed(short, keys_KR[:, others], lengths_R[others], some)
        for length in range(order, self.order):
            self._mix(length, q_RV, keys_KR[length], lengths_R >= length, left_out)
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
        return order, self._mixed(self.orders[:order], np.array(ends_KC), lengths_C, None)

    def _mixed(
        self,
        orders: tuple[Pairs, ...],
        keys_KR: Keys,
        lengths_R: Integers,
        left_out: "LeftOut | None",
    ) -> Floats:
        """Return the probabilities of the lowest orders, (R, V)."""
        q_RV = np.full((len(lengths_R), self.vocabulary_size), 1 / self.vocabulary_size)
        for length in range(len(orders)):
            self._mix(length, q_RV, keys_KR[length], lengths_R >= length, left_out)
        return q_RV

    def _mix(
        self,
        length: int,
        q_RV: Floats,
        keys_R: Keys,
        is_inside_R: Mask,
        left_out: "LeftOut | None",
    ) -> None:
        """Replace q_{k-1} by q_k, for contexts of `length` characters, k - 1."""
        pairs = self.orders[length]
        rows_F, contexts_F = pairs.known(keys_R, is_inside_R)
        totals_F, reserved_F = pairs.totals[contexts_F], pairs.reserved[contexts_F]
        if left_out is not None:
            own = np.flatnonzero(left_out.gone[rows_F, length])  # of the F, G positions
            rows_G, targets_G = rows_F[own], left_out.targets[rows_F[own]]
            counts_G = pairs.count_of(pairs.pair_keys(keys_R[rows_G], targets_G))
            lost_G = pairs.rest(counts_G) - pairs.rest(counts_G - 1)
            totals_F[own] -= 1
            reserved_F[own] += lost_G - 1
        is_left_F = totals_F > 0
        shares_F = np.divide(1.0, totals_F, where=is_left_F, out=np.zeros(len(rows_F)))
        factors_R = np.ones(len(q_RV))
        factors_R[rows_F[is_left_F]] = (reserved_F * shares_F)[is_left_F]
        q_RV *= factors_R[:, None]
        lengths_F = pairs.first[contexts_F + 1] - pairs.first[contexts_F]
        seen_S = _ranges(pairs.first[contexts_F], lengths_F)
        places_S = np.repeat(rows_F * q_RV.shape[1], lengths_F) + pairs.ids[seen_S]
        rest_S = pairs.rest(pairs.counts[seen_S])
        q_RV.reshape(-1)[places_S] += rest_S * np.repeat(shares_F, lengths_F)
        if left_out is not None:
            q_RV[rows_G, targets_G] -= lost_G * shares_F[own]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The occurrences that a model leaves out, one for each of R positions."""

    targets: Integers
    """The id at each position, (R,)."""
    gone: Mask
    """Where the count of the pair of each order is lower by one, (R, K)."""

    @classmethod
    def of(
        cls, model: NgramModel, contexts_RK: Contexts, targets_R: Integers, lengths_R: Integers
    ) -> "LeftOut":
        """Leave out each position's own occurrence in the text that the model counted.

        `lengths_R` says how many characters were before each position in its span when it was
        counted, and 0 where it was not: there, nothing is gone.
        """
        keys_KR, _ = context_keys(contexts_RK, model.vocabulary_size)
        gone_RK = np.zeros((len(targets_R), model.order), bool)
        longest_R = np.minimum(lengths_R, model.order - 1)
        vanishes_R = np.zeros(len(targets_R), bool)  # the pair of the next longer context
        for length in range(model.order - 1, -1, -1):
            gone_RK[:, length] = vanishes_R | ((longest_R == length) & (lengths_R > 0))
            rows_F, pairs = np.flatnonzero(gone_RK[:, length]), model.orders[length]
            counts_F = pairs.count_of(pairs.pair_keys(keys_KR[length, rows_F], targets_R[rows_F]))
            vanishes_R = np.zeros(len(targets_R), bool)
            vanishes_R[rows_F] = counts_F == 1
        return cls(targets_R, gone_RK)

    def of_rows(self, rows: Integers) -> "LeftOut":
        """Return the occurrences of some positions."""
        return LeftOut(self.targets[rows], self.gone[rows])


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
