"""Kneser-Ney n-grams: every number equals a slow implementation of the same formulas."""

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_cli.model.ngram_counts import (
    contexts_and_targets,
    probabilities_by_order,
)
from charrnn_cli.model.ngram_pairs import estimate_discounts
from charrnn_cli.model.ngrams import START, Contexts, LeftOut
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.spans import SpanText, read_spans
from tests.helpers import STORY, count_ngrams
from tests.model.slow_ngrams import Occurrence, SlowModel, occurrences, slow_model

SIZE = 4  # of the alphabet, whose last character is in no text
TEXTS = st.lists(st.lists(st.integers(0, SIZE - 2), max_size=40), max_size=4)
ORDERS = st.integers(1, 6)


def span_text(spans: Sequence[Sequence[int]], dtype: type = np.uint8) -> SpanText:
    """Encode spans as `read_spans` reads them."""
    before = [min(offset, 255) for span in spans for offset in range(len(span))]
    ids = list(itertools.chain.from_iterable(spans))
    return SpanText(np.array(ids, dtype), np.array(before, np.uint8))


def as_contexts(pasts: Sequence[tuple[int, ...]], order: int) -> Contexts:
    """Return contexts as models take them: of equal length, the nearest character first."""
    rows = [[*reversed(past), *[START] * order][: order - 1] for past in pasts]
    return np.array(rows, np.int32).reshape(len(pasts), order - 1)


def every_past(order: int) -> list[tuple[int, ...]]:
    """Return all contexts up to the length of an order, seen or not."""
    return [
        past for length in range(order) for past in itertools.product(range(SIZE), repeat=length)
    ]


@settings(max_examples=60)
@given(TEXTS, ORDERS)
def test_probabilities_equal_the_definition(spans: list[list[int]], order: int) -> None:
    """Each probability is that of dictionaries with the same formulas, and none is 0."""
    model = count_ngrams(span_text(spans), SIZE, order)
    definition = slow_model(occurrences(spans), order, SIZE)
    pasts = every_past(order)[-60:]
    expected = np.array([[definition.probability(past, x) for x in range(SIZE)] for past in pasts])
    contexts = as_contexts(pasts, order)
    distributions = model.distributions(contexts)
    np.testing.assert_allclose(distributions, expected, rtol=1e-12)
    assert expected.min() > 0


@settings(max_examples=60)
@given(TEXTS, ORDERS)
def test_distributions_sum_to_one(spans: list[list[int]], order: int) -> None:
    """The probabilities after any context, seen or not, sum to 1, also without an occurrence."""
    text = span_text(spans)
    model = count_ngrams(text, SIZE, order)
    rows = model.distributions(as_contexts(every_past(order), order))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)
    contexts, targets = contexts_and_targets(text, order)
    lengths = text.before[text.before > 0].astype(np.int64)
    rows = model.distributions(contexts, left_out=LeftOut(targets, lengths))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)


@settings(max_examples=60)
@given(TEXTS, ORDERS)
def test_orders_together(spans: list[list[int]], order: int) -> None:
    """The models of all orders, counted together, equal those counted one by one."""
    text = span_text(spans)
    contexts, targets = contexts_and_targets(span_text([[3, 1, 0, 2, 2, 1, 0], *spans]), order)
    together = probabilities_by_order(text, SIZE, order, contexts, targets)
    for each, found in enumerate(together, 1):
        rows = count_ngrams(text, SIZE, each).distributions(contexts[:, : each - 1])
        alone = rows[np.arange(len(targets)), targets]
        np.testing.assert_allclose(found, alone, rtol=1e-12)


def without_one(
    found: list[Occurrence], left_out: int, row: tuple[int, ...], all_of_them: SlowModel
) -> list[float]:
    """Count all occurrences but one, with the discounts of all, and return a distribution."""
    rest = [*found[:left_out], *found[left_out + 1 :]]
    order = len(all_of_them.counts)
    model = slow_model(rest, order, SIZE, all_of_them.discounts)
    return [model.probability(row, x) for x in range(SIZE)]


@settings(max_examples=40)
@given(TEXTS, ORDERS, st.integers(0, 5))
def test_leaving_one_out(spans: list[list[int]], order: int, shown: int) -> None:
    """Without one occurrence, distributions are those of a text in which it was not counted.

    That is also true if the model is shown fewer characters than were before the position.
    """
    text, found = span_text(spans), occurrences(spans)
    model, definition = count_ngrams(text, SIZE, order), slow_model(found, order, SIZE)
    contexts, targets = contexts_and_targets(text, order)
    lengths = text.before[text.before > 0].astype(np.int64)
    rows = model.distributions(contexts, np.full(len(found), shown), LeftOut(targets, lengths))
    for which, (past, _) in enumerate(found):
        row = past[len(past) - min(shown, len(past)) :]
        expected = without_one(found, which, row, definition)
        np.testing.assert_allclose(rows[which], expected, rtol=1e-9)


def test_nothing_to_leave_out() -> None:
    """Nothing is left out where a position was not counted."""
    model = count_ngrams(span_text([[0, 1, 0, 1, 2]]), SIZE, 3)
    contexts, targets = as_contexts([(), (2, 2), (0, 1)], 3), np.array([0, 2, 0])
    rows = model.distributions(contexts, left_out=LeftOut(targets, np.zeros(3, np.int64)))
    np.testing.assert_allclose(rows, model.distributions(contexts), rtol=1e-12)


def test_very_small_probabilities() -> None:
    """Where all documents begin alike, what is left of a pair that occurs once is still exact."""
    names = [[0] * 9 + [1, 0, 2]] * 700
    names[3] = [0] * 9 + [2, 0, 1]
    text = span_text(names)
    model, found = count_ngrams(text, SIZE, 8), occurrences(names)
    contexts, targets = contexts_and_targets(text, 8)
    lengths = text.before[text.before > 0].astype(np.int64)
    rows = model.distributions(contexts, left_out=LeftOut(targets, lengths))
    which = next(at for at, (past, x) in enumerate(found) if past == (0,) * 9 and x == 2)
    expected = without_one(found, which, found[which][0], slow_model(found, 8, SIZE))
    assert 0 < expected[2] < 1e-15
    np.testing.assert_allclose(rows[which], expected, rtol=1e-9)


def test_starts_of_documents() -> None:
    """A context that stands only at the start of documents has its plain counts."""
    end = 0
    names = [[end, 1, 2, end], [end, 1, 2, end], [end, 1, 1, end], [end, 2, 1, end]]
    model = count_ngrams(span_text(names), 3, 3)
    keys, counts = model.orders[1].keys.tolist(), model.orders[1].counts.tolist()
    after_end = {key % 3: count for key, count in zip(keys, counts, strict=True) if key < 3}
    assert after_end == {1: 3, 2: 1}
    # Elsewhere, different characters count: `1 2` follows the end alone, twice; `2 end` follows 1.
    assert dict(zip(keys, counts, strict=True))[2 * 3 + end] == 1


def test_real_text(corpus: Corpus) -> None:
    """On a text that repeats itself, long contexts predict nearly every character."""
    text = read_spans(corpus, [(0, 3_000)])
    model = count_ngrams(text, len(corpus.vocab), 8)
    contexts, targets = contexts_and_targets(read_spans(corpus, [(3_000, len(STORY))]), 8)
    rows = model.distributions(contexts)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)
    taken = rows[np.arange(len(targets)), targets]
    assert -np.log2(taken[8:]).mean() < 0.3


def test_a_large_alphabet() -> None:
    """Keys of nearly 64 bits are exact."""
    size = 7_131  # the largest for order 5
    generator = np.random.Generator(np.random.PCG64(1))
    span = (size - 1 - generator.integers(0, 3, 200) ** 2).tolist()
    text = SpanText(np.array(span, np.uint16), np.minimum(np.arange(200), 255).astype(np.uint8))
    model = count_ngrams(text, size, 5)
    definition = slow_model(occurrences([span]), 5, size)
    contexts, targets = contexts_and_targets(text, 5)
    expected = [definition.probability(past[-4:], target) for past, target in occurrences([span])]
    found = model.distributions(contexts)[np.arange(len(targets)), targets]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_discounts_of_few_counts() -> None:
    """Discounts that counts of counts cannot give, or give out of range, are half the count."""
    for counts_of_counts, discounts in (
        ([0, 0, 0, 0], [0, 0.5, 1, 1.5]),
        ([10, 0, 1, 9], [0, 1, 1, 1.5]),
        ([40, 20, 10, 5], [0, 0.5, 1.25, 2]),
    ):
        found = estimate_discounts(np.array(counts_of_counts))
        np.testing.assert_allclose(found, discounts)
