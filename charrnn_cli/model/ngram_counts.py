"""Counting the n-grams of a text."""

from collections.abc import Iterator

import numpy as np

from charrnn_cli.model.ngram_pairs import Floats, Integers, Keys, Pairs, as_keys
from charrnn_cli.model.ngrams import START, Contexts, Known, NgramModel
from charrnn_cli.text.spans import SpanText

# N characters · R positions · K highest order

NUM_KEYS = 2**64


def longest_order(vocabulary_size: int, limit: int) -> int:
    """Return the highest order, up to `limit`, whose pairs have keys of 64 bits."""
    return max(order for order in range(1, limit + 1) if vocabulary_size**order < NUM_KEYS)


def count_ngrams(text: SpanText, vocabulary_size: int, order: int) -> NgramModel:
    """Count the n-grams of spans, up to an order that `longest_order` allows.

    No context crosses the start of a span. The first character of a span is part of contexts, but
    is not counted as a next character, because nothing precedes it.
    """
    keys = _RollingKeys(text, vocabulary_size)
    at_start = [keys.lengthen() for _ in range(order)]
    orders = [Pairs.count(keys.all(), vocabulary_size)]
    for shorter in range(order - 1, 0, -1):
        orders.append(_continuations(orders[-1], at_start[shorter - 1], vocabulary_size, shorter))
    return NgramModel(vocabulary_size, tuple(reversed(orders)))


def probabilities_by_order(
    text: SpanText, vocabulary_size: int, order: int, contexts_RK: Contexts, targets_R: Integers
) -> Iterator[Floats]:
    """Yield the probabilities of targets, (R,), under the models of order 1, 2 and so on.

    They are those of `count_ngrams` for each order, at a fraction of the cost.
    """
    keys, at_start = _RollingKeys(text, vocabulary_size), []
    lower_R = np.full(len(targets_R), 1 / vocabulary_size)  # with continuation counts at the top
    known, targets_F = Known.all(len(targets_R)), np.zeros(0, np.uint64)
    for longest in range(1, order + 1):
        at_start.append(keys.lengthen())
        pairs = Pairs.count(keys.all(), vocabulary_size)
        if longest > 1:
            # The keys are those of the round before, so the positions that are known are, too.
            lower_R[known.rows] = _continuations(
                pairs, at_start[-2], vocabulary_size, longest - 1
            ).smoothed(known.slots, targets_F, lower_R[known.rows])
        known = known.longer(longest, pairs, contexts_RK, vocabulary_size)
        targets_F = known.pair_keys(targets_R, vocabulary_size)
        q_R = lower_R.copy()
        q_R[known.rows] = pairs.smoothed(known.slots, targets_F, lower_R[known.rows])
        del pairs  # up to 300 MB, before the next ones are counted
        yield q_R


def contexts_and_targets(text: SpanText, order: int) -> tuple[Contexts, Integers]:
    """Return contexts (R, K - 1) and ids (R,) of all characters but the first of each span."""
    where_R = np.flatnonzero(text.before)
    contexts_RK = np.full((len(where_R), order - 1), START, np.int32)
    for back in range(1, order):
        is_inside_R = text.before[where_R] >= back
        contexts_RK[is_inside_R, back - 1] = text.ids[where_R[is_inside_R] - back]
    return contexts_RK, text.ids[where_R].astype(np.int64)


class _RollingKeys:
    """The key of each position's pair, for one order after the other."""

    def __init__(self, text: SpanText, vocabulary_size: int) -> None:
        self._text, self._vocabulary_size, self._order = text, vocabulary_size, 0
        self._keys_N = np.zeros(len(text.ids), np.uint64)

    def lengthen(self) -> Keys:
        """Go to the next order; return the keys whose context begins at the start of a span."""
        length, ids_N = self._order, self._text.ids  # of the context
        digits_N = as_keys(ids_N[: max(0, len(ids_N) - length)])
        digits_N *= np.uint64(self._vocabulary_size**length)
        self._keys_N[length:] += digits_N  # a key that crosses the start of a span is not used
        self._order += 1
        return self._keys_N[self._text.before == length] if length else self._keys_N[:0]

    def all(self) -> Keys:
        """Return the keys of the positions whose context is long enough."""
        return self._keys_N[self._text.before >= max(1, self._order - 1)]


def _continuations(longer: Pairs, at_start: Keys, vocabulary_size: int, order: int) -> Pairs:
    """Count the different characters before each pair, and its occurrences at a span's start."""
    suffixes = longer.keys % np.uint64(vocabulary_size**order)
    return Pairs.count(np.concatenate([suffixes, at_start]), vocabulary_size)
