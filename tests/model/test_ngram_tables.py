"""The tables of a checkpoint hold all n-grams, in little room, and nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_cli.model.ngram_tables import (
    PARTS,
    Tables,
    count_tables,
    from_tables,
    num_bytes,
    to_tables,
)
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.spans import read_spans
from tests.helpers import count_ngrams
from tests.model.test_ngrams import ORDERS, SIZE, TEXTS, span_text


def assert_equal(one: NgramModel, other: NgramModel) -> None:
    assert len(one.orders) == len(other.orders)
    for ours, theirs in zip(one.orders, other.orders, strict=True):
        np.testing.assert_array_equal(ours.keys, theirs.keys)
        np.testing.assert_array_equal(ours.counts, theirs.counts)


@settings(max_examples=60)
@given(TEXTS, ORDERS)
def test_tables_hold_all_ngrams(spans: list[list[int]], order: int) -> None:
    """The model of a model's tables is the same, whatever was counted."""
    text = span_text(spans)
    model = count_tables(text, SIZE, order, 10_000)
    assert_equal(model, count_ngrams(text, SIZE, order))
    assert_equal(from_tables(to_tables(model), SIZE, order), model)


@pytest.mark.parametrize("size", [256, 257, 65_537])
def test_a_large_alphabet(size: int) -> None:
    """Ids and counts are as wide as they must be."""
    ids = np.array([0, size - 1, 1, size - 1, 0, size - 1, *[2] * 300], np.uint32)
    text = span_text([ids.tolist()], np.uint32)
    model = count_ngrams(text, size, 3)
    assert_equal(from_tables(to_tables(model), size, 3), model)
    assert to_tables(model)["ngrams.3.counts"].dtype == np.uint16


def test_the_order_follows_the_room(corpus: Corpus) -> None:
    """The highest order whose tables fit is taken, and at least 1."""
    text, size = read_spans(corpus, [(0, 2_000)]), len(corpus.vocab)
    sizes = [num_bytes(count_ngrams(text, size, order)) for order in range(1, 6)]
    assert sizes == sorted(sizes)
    for order, room in enumerate(sizes, 1):
        assert count_tables(text, size, 5, room).order == order
        assert count_tables(text, size, order, 10**9).order == order
        assert count_tables(text, size, 5, room - 1).order == max(1, order - 1)


def replaced(name: str, change: Callable[[np.ndarray], object]) -> Callable[[Tables], None]:
    def apply(tables: Tables) -> None:
        tables[name] = np.asarray(change(tables[name].copy()))

    return apply


def flipped(bits: np.ndarray, index: int) -> np.ndarray:
    unpacked = np.unpackbits(bits)
    unpacked[index] ^= 1
    return np.packbits(unpacked)


@pytest.mark.parametrize(
    "damage",
    [
        *(replaced(f"ngrams.2.{part}", lambda array: array[1:]) for part in PARTS),
        *(replaced(f"ngrams.2.{part}", lambda array: array[:0]) for part in PARTS),
        *(replaced(f"ngrams.2.{part}", lambda array: [*array, 0]) for part in PARTS),
        replaced("ngrams.2.contexts", lambda bits: flipped(bits, 0)),
        replaced("ngrams.2.contexts", lambda bits: flipped(bits, -1)),
        replaced("ngrams.2.first", lambda bits: flipped(bits, 0)),
        replaced("ngrams.2.first", lambda bits: flipped(bits, 1)),
        replaced("ngrams.2.repeated", lambda bits: flipped(bits, 0)),
        replaced("ngrams.2.ids", lambda ids: ids + SIZE),
        replaced("ngrams.2.ids", lambda ids: ids[::-1]),
        replaced("ngrams.2.counts", lambda counts: 0 * counts + 1),
        replaced("ngrams.2.first", lambda bits: bits.astype(np.uint16)),
    ],
)
def test_contradictions_are_refused(damage: Callable[[Tables], None]) -> None:
    """Tables that no text has are an error, not wrong probabilities or a crash."""
    tables = to_tables(count_ngrams(span_text([[0, 1, 2, 0, 1, 0, 1, 2, 2, 1]]), SIZE, 3))
    from_tables(dict(tables), SIZE, 3)
    damage(tables)
    with pytest.raises(ValueError, match="n-grams"):
        from_tables(tables, SIZE, 3)


def test_the_size_is_that_of_the_tables(corpus: Corpus) -> None:
    """The size is known before the tables are made."""
    model = count_ngrams(read_spans(corpus, [(0, 3_000)]), len(corpus.vocab), 7)
    assert num_bytes(model) == sum(table.nbytes for table in to_tables(model).values())


def test_longer_contexts_need_shorter_ones() -> None:
    """Tables without single characters, but with longer n-grams, are refused."""
    tables = to_tables(count_ngrams(span_text([[0, 1, 2, 0, 1]]), SIZE, 2))
    nothing = to_tables(count_ngrams(span_text([[0]]), SIZE, 1))
    with pytest.raises(ValueError, match="contradict"):
        from_tables({**tables, **nothing}, SIZE, 2)


@settings(max_examples=200)
@given(st.data())
def test_random_damage_never_crashes(data: st.DataObject) -> None:
    """Any change of a byte gives an error, or a model whose probabilities are valid."""
    tables = to_tables(count_ngrams(span_text([[0, 1, 2, 0, 1, 0, 1, 2, 2, 1]]), SIZE, 3))
    name = data.draw(st.sampled_from([name for name in tables if len(tables[name])]))
    array = tables[name].copy()
    array[data.draw(st.integers(0, len(array) - 1))] = data.draw(st.integers(0, 255))
    tables[name] = array
    try:
        model = from_tables(tables, SIZE, 3)
    except ValueError:
        return
    contexts = np.array([[x, y] for x in range(-1, SIZE) for y in range(-1, SIZE)], np.int32)
    rows = model.distributions(contexts)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-9)


def test_counting_can_be_stopped(corpus: Corpus) -> None:
    """`check` is called for each order, and what it raises ends the work."""
    text, size = read_spans(corpus, [(0, 2_000)]), len(corpus.vocab)
    calls: list[None] = []
    count_tables(text, size, 5, 10**9, lambda: calls.append(None))
    assert len(calls) == 5

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_tables(text, size, 5, 10**9, stop)
