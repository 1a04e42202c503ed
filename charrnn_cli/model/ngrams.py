"""Character n-grams with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998).

The probability of character x after the context h of k - 1 characters is

    q_k(x|h) = (c_k(h, x) - D(c_k(h, x)) + d_k(h) · q_{k-1}(x|h')) / n_k(h)

where h' is h without its first character, n_k(h) and d_k(h) are the sums of c_k(h, x) and of
D(c_k(h, x)) over x, and q_0 = 1 / V. After a context that was never seen, q_k = q_{k-1}. At the
highest order, c_k is the number of occurrences of h x. Below it, c_k is the number of different
characters before h x, and each occurrence at the start of a span counts as one more: nothing can
stand before it, so a context that occurs only there has its plain counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.ngram_pairs import Floats, Integers, Keys, Pairs, as_keys, find

# R positions · K highest order · V vocabulary
# F positions whose context was seen · S pairs that were seen after their contexts

START = -1  # in a context, in place of the characters before the start of a span

Contexts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class NgramModel:
    """Probabilities of the next character after up to K - 1 characters.

    Contexts are arrays (R, K - 1): the ids of the characters before each position, the nearest
    first, and START before the start of the text.
    """

    vocabulary_size: int
    orders: tuple[Pairs, ...]
    """Pairs of the orders 1 to K."""

    def probabilities(self, contexts_RK: Contexts, targets_R: Integers) -> Floats:
        """Return the probability of the target of each position, (R,)."""
        q_R = np.full(len(targets_R), 1 / self.vocabulary_size)
        for pairs, known in self.known(contexts_RK):
            keys_F = known.pair_keys(targets_R, self.vocabulary_size)
            q_R[known.rows] = pairs.smoothed(known.slots, keys_F, q_R[known.rows])
        return q_R

    def distributions(self, contexts_RK: Contexts, left_out: "LeftOut | None" = None) -> Floats:
        """Return the probability of every character after each context, (R, V).

        With `left_out`, they are what they would be without one occurrence, another for each
        position; only the discounts stay those of all occurrences.
        """
        size = self.vocabulary_size
        q_RV = np.full((len(contexts_RK), size), 1 / size)
        for order, (pairs, known) in enumerate(self.known(contexts_RK), 1):
            totals_F, reserved_F = pairs.totals[known.slots], pairs.reserved[known.slots]
            if left_out is not None:
                gone_F, freed_F = left_out.removed(order, pairs, known, size)
                totals_F, reserved_F = totals_F - gone_F, reserved_F - freed_F
                is_left_F = totals_F > 0
                known, lost_F = known.among(is_left_F), (gone_F - freed_F)[is_left_F]
                totals_F, reserved_F = totals_F[is_left_F], reserved_F[is_left_F]
            q_RV[known.rows] *= (reserved_F / totals_F)[:, None]
            lengths_F = pairs.first[known.slots + 1] - pairs.first[known.slots]
            seen_S = _ranges(pairs.first[known.slots], lengths_F)
            ids_S = pairs.keys[seen_S] - np.repeat(known.keys * np.uint64(size), lengths_F)
            counts_S = pairs.counts[seen_S]
            rest_S = counts_S - pairs.discount(counts_S)
            q_RV[np.repeat(known.rows, lengths_F), ids_S] += rest_S / np.repeat(totals_F, lengths_F)
            if left_out is not None:
                q_RV[known.rows, left_out.targets[known.rows]] -= lost_F / totals_F
        return q_RV

    def distribution(self, context: Contexts) -> Floats:
        """Return the probability of every character after one context, (K - 1,); shape (V,).

        It is a row of `distributions`, in a third of the time: 60 us.
        """
        size, key = self.vocabulary_size, 0
        q_V = np.full(size, 1 / size)
        for order, pairs in enumerate(self.orders, 1):
            if order > 1:
                if context[order - 2] == START:
                    break
                key += int(context[order - 2]) * size ** (order - 2)
            slot = int(pairs.contexts.searchsorted(np.uint64(key)))
            if slot == len(pairs.contexts) or pairs.contexts[slot] != key:
                break
            seen = slice(pairs.first[slot], pairs.first[slot + 1])
            counts_S, total = pairs.counts[seen], pairs.totals[slot]
            q_V *= pairs.reserved[slot] / total
            q_V[pairs.keys[seen] - np.uint64(key * size)] += (
                counts_S - pairs.discount(counts_S)
            ) / total
        return q_V

    def known(self, contexts_RK: Contexts) -> Iterator[tuple[Pairs, "Known"]]:
        """Yield the pairs of each order, from 1 on, and the positions whose context was seen."""
        known = Known.all(len(contexts_RK))
        for order, pairs in enumerate(self.orders, 1):
            known = known.longer(order, pairs, contexts_RK, self.vocabulary_size)
            yield pairs, known


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The occurrences that a model leaves out, one for each of R positions."""

    targets: Integers
    """The id at each position, (R,)."""
    gone: npt.NDArray[np.bool_]
    """Where the count of the pair of each order is lower by one, (R, K)."""

    @classmethod
    def of(cls, model: NgramModel, contexts_RK: Contexts, targets_R: Integers) -> Self:
        """Leave out each position's own occurrence in the text that the model counted.

        The contexts are those with which the positions were counted. Nothing is gone at the start
        of a span, or where the model has not seen the pair.
        """
        gone_RK = np.zeros((len(targets_R), len(model.orders)), bool)
        found = list(model.known(contexts_RK))
        longest_R = 1 + (contexts_RK != START).sum(axis=1)
        vanishes_R = np.zeros(len(targets_R), bool)  # the pair of the next longer context
        for order, (pairs, known) in reversed(list(enumerate(found, 1))):
            counts_R = np.zeros(len(targets_R), np.int64)
            counts_R[known.rows] = pairs.count_of(known.pair_keys(targets_R, model.vocabulary_size))
            is_longest_R = (longest_R == order) & (counts_R > 0) & ((order > 1) | (len(found) == 1))
            gone_RK[:, order - 1] = is_longest_R | vanishes_R
            vanishes_R = gone_RK[:, order - 1] & (counts_R == 1)
        return cls(targets_R, gone_RK)

    def removed(
        self, order: int, pairs: Pairs, known: "Known", size: int
    ) -> tuple[Integers, Floats]:
        """Return by how much the totals and the reserved sums of known contexts are lower, (F,)."""
        gone_F = self.gone[known.rows, order - 1].astype(np.int64)
        counts_F = pairs.count_of(known.pair_keys(self.targets, size))
        return gone_F, pairs.discount(counts_F) - pairs.discount(counts_F - gone_F)


@dataclass(frozen=True, slots=True)
class Known:
    """The positions whose context of one order was seen."""

    rows: Integers
    """Indexes of the positions, (F,)."""
    keys: Keys
    """Keys of their contexts, (F,)."""
    slots: Integers
    """Indexes of their contexts among all, (F,)."""

    @classmethod
    def all(cls, num_positions: int) -> Self:
        """Start with all positions, before order 1."""
        zeros_R = np.zeros(num_positions, np.int64)
        return cls(np.arange(num_positions), as_keys(zeros_R), zeros_R)

    def among(self, is_kept_F: npt.NDArray[np.bool_]) -> "Known":
        """Keep some of the positions."""
        return Known(self.rows[is_kept_F], self.keys[is_kept_F], self.slots[is_kept_F])

    def longer(
        self, order: int, pairs: Pairs, contexts_RK: Contexts, vocabulary_size: int
    ) -> "Known":
        """Keep the positions whose context of the next order, `order`, was seen."""
        rows_F, keys_F = self.rows, self.keys
        if order > 1:
            ids_F = contexts_RK[rows_F, order - 2]
            is_inside_F = ids_F != START
            rows_F, ids_F = rows_F[is_inside_F], ids_F[is_inside_F]
            unit = np.uint64(vocabulary_size ** (order - 2))
            keys_F = keys_F[is_inside_F] + as_keys(ids_F) * unit
        slots_F, is_known_F = find(pairs.contexts, keys_F)
        return Known(rows_F[is_known_F], keys_F[is_known_F], slots_F[is_known_F])

    def pair_keys(self, targets_R: Integers, vocabulary_size: int) -> Keys:
        """Return the keys of the contexts with the targets after them, (F,)."""
        return self.keys * np.uint64(vocabulary_size) + as_keys(targets_R[self.rows])


def _ranges(first_F: Integers, lengths_F: Integers) -> Integers:
    """Return the integers of ranges, joined."""
    ends_F = np.cumsum(lengths_F)
    shifts = np.repeat(first_F - (ends_F - lengths_F), lengths_F)
    ranges: Integers = np.arange(len(shifts)) + shifts
    return ranges
