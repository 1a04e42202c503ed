"""Simple models as a scale for losses."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import InterruptionError
from charrnn_cli.model.baselines import Baselines, baselines, measure_baselines
from charrnn_cli.model.ngram_counts import contexts_and_targets
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.spans import read_spans
from charrnn_cli.text.splits import Split, split_corpus, split_text
from tests.helpers import STORY, count_ngrams

CONFIG = TrainConfig()


def test_ngrams_are_those_of_the_model(corpus: Corpus) -> None:
    """The bits of n-grams are those of their models on what validation predicts."""
    split = split_corpus(corpus, TrainConfig(val_split="spread", val_fraction=0.2))
    found = measure_baselines(corpus, split)
    text = read_spans(corpus, split.train)
    rows = read_spans(corpus, [(start - 1, stop) for start, stop in split.val])
    for order, bits in (
        (1, found.unigram),
        (3, found.trigram),
        (5, found.fivegram),
        (found.best_order, found.best_ngram),
    ):
        contexts, targets = contexts_and_targets(rows, order)
        assert len(targets) == split.val_characters
        model = count_ngrams(text, len(corpus.vocab), order)
        taken = model.distributions(contexts)[np.arange(len(targets)), targets]
        assert bits == pytest.approx(-np.log2(taken).mean())


def test_order_of_quality(corpus: Corpus) -> None:
    """On a repetitive text, each model is better than the one before."""
    found = measure_baselines(corpus, split_corpus(corpus, CONFIG))
    assert found.uniform == pytest.approx(math.log2(len(set(STORY))))
    assert found.fivegram is not None
    assert found.uniform > found.unigram > found.trigram > found.fivegram >= found.best_ngram
    assert found.lzma < found.unigram


def test_random_text_has_no_structure() -> None:
    """On random text no model beats uniform, and the best n-grams have the shortest context."""
    ids = np.random.Generator(np.random.PCG64(1)).integers(0, 16, 50_000)
    corpus = Corpus.from_text("".join(chr(97 + index) for index in ids))
    found = measure_baselines(corpus, split_corpus(corpus, CONFIG))
    assert 3.99 < found.unigram < 4.01
    assert found.fivegram is not None
    assert found.unigram < found.trigram < found.fivegram < 4.3
    assert (found.best_order, found.best_ngram) == (1, found.unigram)


def test_large_alphabets() -> None:
    """An alphabet too large for 5-grams has none."""
    corpus = Corpus.from_text("".join(map(chr, range(0x4E00, 0x4E00 + 8_000))) * 2)
    found = measure_baselines(corpus, split_corpus(corpus, CONFIG))
    assert found.fivegram is None
    assert found.best_order <= 4
    assert "5-gram" not in found.labelled


@pytest.mark.parametrize("text", ["a", "ab", "aaaaaaaa", "abcdefghijk", "ab" * 20])
def test_tiny_texts(text: str) -> None:
    """Even a text that is too short to train on has finite figures."""
    found = baselines(Corpus.from_text(text))
    assert found.uniform == math.log2(len(set(text)))
    assert all(0 <= bits < 1_000 for bits in found.labelled.values())


def test_documents_are_kept_apart(tmp_path: Path) -> None:
    """N-grams see no other document than the one they predict, as a model that is trained."""
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text(f"x{number:06b}y")
    corpus = cached_corpus(tmp_path)
    found = baselines(corpus)
    split = split_corpus(corpus, CONFIG)
    assert len(split.train) == 36
    assert found == measure_baselines(corpus, split)
    whole = split_text(len(corpus), CONFIG.val_fraction, CONFIG.val_split)
    assert found != measure_baselines(corpus, whole)


def test_they_are_cached(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A split of a text is measured once."""
    tail, spread = (
        split_corpus(corpus, TrainConfig(val_split=val_split)) for val_split in ("tail", "spread")
    )
    measured = baselines(corpus, tail)
    assert measured == measure_baselines(corpus, tail)
    assert baselines(corpus, spread) == measure_baselines(corpus, spread) != measured
    with monkeypatch.context() as patch:
        patch.delattr("charrnn_cli.model.baselines.measure_baselines")
        assert baselines(corpus, tail) == measured
        assert baselines(corpus) == measured
        assert baselines(corpus, Split(((0, len(corpus)),), ())) == measured


def test_they_can_be_stopped(corpus: Corpus, home: Path) -> None:
    """A signal ends the work, and nothing is cached."""

    def stop() -> None:
        raise InterruptionError(signum=2)

    with pytest.raises(InterruptionError):
        baselines(corpus, should_stop=stop)
    assert not list(home.rglob("*.baselines.json"))


def test_they_are_shown_by_name() -> None:
    """Each model has a name, and the weakest comes first."""
    found = Baselines(
        uniform=6.0,
        unigram=4.5,
        trigram=3.0,
        fivegram=2.0,
        best_ngram=1.75,
        best_order=7,
        lzma=2.25,
    )
    names = ["uniform", "unigram", "3-gram", "lzma", "5-gram", "7-gram"]
    assert list(found.labelled.items()) == list(
        zip(names, [6.0, 4.5, 3.0, 2.25, 2.0, 1.75], strict=True)
    )
    best = dataclasses.replace(found, best_ngram=2.0, best_order=5)
    assert list(best.labelled) == ["uniform", "unigram", "3-gram", "lzma", "5-gram"]
    random = dataclasses.replace(found, best_ngram=4.5, best_order=1)
    assert list(random.labelled) == ["uniform", "unigram", "3-gram", "lzma", "5-gram"]
