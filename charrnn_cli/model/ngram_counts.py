"""Counting the n-grams of a text."""

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn_cli.model.ngram_pairs import Floats, Integers, Keys, Pairs, as_keys
from charrnn_cli.model.ngrams import START, Contexts, context_keys
from charrnn_cli.text.rows import Span
from charrnn_cli.text.spans import SpanText, evenly_sampled

# N characters · R positions · K highest order

MAX_COUNTED = 16_000_000  # characters: 10 s of one core and 1 GB


def counted_spans(spans: Sequence[Span]) -> list[Span]:
    """Return the spans to count: those of the training text, or an evenly spread sample of them."""
    return evenly_sampled(spans, MAX_COUNTED)


def probabilities_by_order(
    text: SpanText, vocabulary_size: int, order: int, contexts_RK: Contexts, targets_R: Integers
) -> Iterator[Floats]:
    """Yield the probabilities of targets, (R,), under the models of order 1, 2 and so on.

    They are those of `count_tables` for each order, without the cost of models.
    """
    keys_KR, lengths_R = context_keys(contexts_RK, vocabulary_size)
    lower_R = np.full(len(targets_R), 1 / vocabulary_size)  # with continuation counts at the top
    pairs = pairs_by_order(text, vocabulary_size, order)
    for length, (continuations, occurrences) in enumerate(pairs):
        if continuations is not None:
            shorter = length - 1
            is_inside_R = lengths_R >= shorter
            lower_R = continuations.smooth(lower_R, keys_KR[shorter], is_inside_R, targets_R)
        yield occurrences.smooth(lower_R, keys_KR[length], lengths_R >= length, targets_R)


def contexts_and_targets(text: SpanText, order: int) -> tuple[Contexts, Integers]:
    """Return contexts (R, K - 1) and ids (R,) of all characters but the first of each span."""
    where_R = np.flatnonzero(text.before)
    contexts_RK = np.full((len(where_R), order - 1), START, np.int32)
    for back in range(1, order):
        is_inside_R = text.before[where_R] >= back
        contexts_RK[is_inside_R, back - 1] = text.ids[where_R[is_inside_R] - back]
    return contexts_RK, text.ids[where_R].astype(np.int64)


def pairs_by_order(
    text: SpanText, vocabulary_size: int, order: int
) -> Iterator[tuple[Pairs | None, Pairs]]:
    """Yield, for each order k, the different characters before pairs of k - 1, and pairs of k.

    No context crosses the start of a span. The first character of a span is part of contexts, but
    is not counted as a next character, because nothing precedes it.
    """
    keys, at_start = _RollingKeys(text, vocabulary_size), np.zeros(0, np.uint64)
    for longest in range(1, order + 1):
        at_shorter_start, at_start = at_start, keys.lengthen()
        occurrences, continuations = Pairs.count(keys.all(), vocabulary_size), None
        if longest > 1:
            suffixes = occurrences.keys % np.uint64(vocabulary_size ** (longest - 1))
            both = np.concatenate([suffixes, at_shorter_start])
            continuations = Pairs.count(both, vocabulary_size)
        yield continuations, occurrences
        del occurrences, continuations  # up to 300 MB, before the next ones are counted


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
