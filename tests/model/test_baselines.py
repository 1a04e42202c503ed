"""Simple models as a scale for losses."""

import math

import numpy as np
import pytest

from charrnn_cli.model.baselines import Baselines, baselines, measure_baselines, ngram_bits
from charrnn_cli.text.corpus import Corpus
from tests.helpers import STORY


def by_hand(text: str, split: int, order: int, size: int) -> float:
    """The same definition, one character at a time."""

    def probability(position: int, order: int) -> float:
        if order == 0:
            return 1 / size
        lower = probability(position, order - 1)
        context, found = text[max(0, position - order + 1) : position], text[position]
        if position < order - 1:
            return lower
        successors = [
            text[i] for i in range(order - 1, split) if text[i - order + 1 : i] == context
        ]
        if not successors:
            return lower
        kinds = len(set(successors))
        return (successors.count(found) + kinds * lower) / (len(successors) + kinds)

    bits = [-math.log2(probability(position, order)) for position in range(split, len(text))]
    return sum(bits) / len(bits)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngrams_are_what_they_say(order: int) -> None:
    """N-grams equal the definition, computed one character at a time."""
    generator = np.random.Generator(np.random.PCG64(1))
    ids = generator.integers(0, 3, 400)
    text = "".join("abc"[index] for index in ids)
    assert ngram_bits(ids, 300, 3, (order,)) == pytest.approx([by_hand(text, 300, order, 3)])


def test_order_of_quality(corpus: Corpus) -> None:
    """On a repetitive text, each model is better than the one before."""
    found = measure_baselines(corpus)
    assert found.uniform == pytest.approx(math.log2(len(set(STORY))))
    assert found.uniform > found.unigram > found.trigram > found.fivegram
    assert found.lzma < found.unigram


def test_random_text_has_no_structure() -> None:
    """On random text no model beats uniform, and longer contexts overfit more."""
    ids = np.random.Generator(np.random.PCG64(1)).integers(0, 16, 50_000)
    found = measure_baselines(Corpus.from_text("".join(chr(97 + index) for index in ids)))
    assert 3.99 < found.unigram < 4.01
    assert found.unigram < found.trigram < found.fivegram < 5


def test_they_are_cached(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is measured once."""
    measured = baselines(corpus)
    assert measured == measure_baselines(corpus)
    monkeypatch.delattr("charrnn_cli.model.baselines.measure_baselines")
    assert baselines(corpus) == measured


def test_they_are_shown_by_name() -> None:
    """The text form names each model and the unit."""
    shown = str(Baselines(uniform=6.0, unigram=4.5, trigram=3.0, fivegram=2.25, lzma=2.0))
    assert shown == (
        "uniform 6.00, unigram 4.50, 3-gram 3.00, 5-gram 2.25, lzma 2.00 bits per character"
    )
