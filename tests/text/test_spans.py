"""Spans of a text, read together and sampled."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.text.spans import evenly_sampled, joined, read_spans


def test_spans_are_read_in_order() -> None:
    """Ids are joined, and each has the number of characters before it in its span."""
    corpus = Corpus.from_text("abcdefgh" * 100)
    text = read_spans(corpus, [(0, 3), (3, 4), (2, 4), (8, 8), (16, 320)])
    assert text.ids[:6].tolist() == [0, 1, 2, 3, 2, 3]
    assert text.ids[6:].tolist() == [*range(8)] * 38
    assert text.before[:6].tolist() == [0, 1, 2, 0, 0, 1]
    assert text.before[6:].tolist() == [min(255, offset) for offset in range(304)]


def test_no_spans() -> None:
    """Nothing is read where nothing is asked for."""
    text = read_spans(Corpus.from_text("abc"), [])
    assert (len(text.ids), len(text.before)) == (0, 0)


def test_joined_spans() -> None:
    """Spans are joined where one starts at the end of the one before."""
    assert joined([(0, 2), (2, 3), (4, 6), (6, 9)]) == [(0, 3), (4, 9)]


@st.composite
def ordered_spans(draw: st.DrawFn) -> list[Span]:
    """Some spans with gaps, in order."""
    edges = sorted(draw(st.sets(st.integers(0, 20_000), max_size=40)))
    return list(itertools.pairwise(edges))[::2]


@given(ordered_spans(), st.integers(1, 10_000))
def test_samples(spans: list[Span], most: int) -> None:
    """A sample is inside the spans, in order, not much shorter than asked for, and spread out."""
    total = sum(stop - start for start, stop in spans)
    sampled = evenly_sampled(spans, most)
    if total <= most:
        assert sampled == spans
        return
    assert most - 1_000 < sum(stop - start for start, stop in sampled) <= most
    edges = list(itertools.chain.from_iterable(sampled))
    assert edges == sorted(edges)
    assert all(
        any(start <= first < last <= stop for start, stop in spans) for first, last in sampled
    )


def test_samples_are_spread_evenly() -> None:
    """Each tenth of a long span gives a tenth of the sample."""
    taken = evenly_sampled([(0, 1_000_000)], 100_000)
    tenths = [0] * 10
    for start, stop in taken:
        tenths[start // 100_000] += stop - start
    assert tenths == [10_000] * 10
