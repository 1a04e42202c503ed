"""The part of a validation text that also stands in the training text."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_cli.config import TrainConfig, ValSplit
from charrnn_cli.text import overlap
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.corpus_file import Ids
from charrnn_cli.text.overlap import WINDOW, validation_overlap
from charrnn_cli.text.splits import Split, split_corpus
from charrnn_cli.training.advice import warn_of_overlap


def prose(seed: int, characters: int) -> str:
    """Random words, of which no long stretch occurs twice."""
    generator = random.Random(seed)
    words = ["".join(generator.choices("abcdefgh", k=generator.randint(2, 8))) for _ in range(999)]
    return " ".join(generator.choices(words, k=characters // 3))[:characters]


def measured(text: str, val_split: ValSplit = "tail") -> float:
    corpus = Corpus.from_text(text)
    return validation_overlap(corpus, split_corpus(corpus, TrainConfig(val_split=val_split)))


@pytest.mark.parametrize("val_split", ["tail", "spread"])
def test_a_text_without_copies(val_split: ValSplit) -> None:
    """Nothing is found in a text that does not repeat itself."""
    assert measured(prose(1, 50_000), val_split) == 0
    assert warn_of_overlap(0) is None


@pytest.mark.parametrize(("copies", "val_split"), [(2, "tail"), (3, "tail"), (3, "spread")])
def test_a_text_that_is_repeated(copies: int, val_split: ValSplit) -> None:
    """All of it is found if a text is repeated, and that is a warning."""
    fraction = measured(prose(1, 100_000) * copies, val_split)
    assert fraction == pytest.approx(1, abs=0.02)
    advice = warn_of_overlap(fraction)
    assert advice is not None
    assert advice == (
        "about 100% of the validation text also stands in the training text: "
        "val loss will be too low; remove the copies from the text"
    )


@given(st.integers(0, 600), st.integers(1, 400))
@settings(max_examples=20)
def test_the_fraction(copied: int, piece: int) -> None:
    """The fraction is that of the windows that a copied stretch has, in pieces of any size."""
    train, val = f"X{prose(1, 800)}", prose(2, 600)
    corpus = Corpus.from_text(val[:copied] + train + val)
    start = copied + len(train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "MAX_WINDOWS", 5000)
        patch.setattr(overlap, "BATCH", piece)
        found = validation_overlap(corpus, Split(((0, start),), ((start, len(corpus)),)))
    windows = len(val) - WINDOW + 1
    assert found == pytest.approx(max(0, copied - WINDOW + 1) / windows)


def test_short_parts_do_not_count() -> None:
    """Parts of the validation text that are shorter than a window count as not copied."""
    text = prose(1, 1000)
    corpus = Corpus.from_text(text * 2)
    assert validation_overlap(corpus, Split(((0, 1000),), ((1000, 1150),))) == 0
    half = Split(((0, 1000),), ((1000, 1300), (1301, 1400), (1500, 1600), (1601, 1701)))
    assert validation_overlap(corpus, half) == pytest.approx(0.5, abs=0.01)


def test_a_long_text_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long training text, pieces are read, and the estimate is not above the truth."""
    monkeypatch.setattr(overlap, "MAX_READ", 40_000)
    monkeypatch.setattr(overlap, "PIECE", 1000)
    train, val, notice = prose(1, 200_000), prose(2, 20_000), prose(3, 400)
    read: list[int] = []

    def measured(text: str) -> float:
        corpus = Corpus.from_text(text + val)
        plain = corpus.read

        def counted(start: int, stop: int) -> Ids:
            read.append(stop - start)
            return plain(start, stop)

        monkeypatch.setattr(corpus, "read", counted)
        return validation_overlap(corpus, Split(((0, len(text)),), ((len(text), len(corpus)),)))

    assert measured(train) == 0
    assert 0.7 < measured(train[:100_000] + val + train[100_000:]) <= 1
    assert sum(read) < 2 * (40_000 + 1 + 2_000 * WINDOW)
    # A notice in every chapter is a twentieth of the validation text, and is not scaled up.
    val = "".join(val[start : start + 7600] + notice for start in range(0, 20_000, 7600))
    chapters = "".join(train[start : start + 2000] + notice for start in range(0, 200_000, 2000))
    assert measured(chapters) < 0.06


def test_validation_of_documents() -> None:
    """Documents that were cut apart are compared as they are."""
    text = prose(1, 600)
    corpus = Corpus.from_text(text * 3)
    split = Split(((0, 1200),), ((1201, 1800),))
    assert validation_overlap(corpus, split) == pytest.approx(1)
    assert np.isfinite(validation_overlap(corpus, split))


def test_short_documents_have_no_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long training part of documents that are shorter than a window shares nothing."""
    monkeypatch.setattr(overlap, "MAX_READ", 2_000)
    corpus = Corpus.from_text("".join(map(chr, range(300, 1_300))) * 10)
    train = tuple((start, start + 100) for start in range(0, 9_000, 100))
    assert validation_overlap(corpus, Split(train, ((9_000, 10_000),))) == 0.0


def test_items_are_never_in_both_parts() -> None:
    """Items are held out whole, so that nothing is looked for."""
    corpus = Corpus.from_items(["x" * 300, "y" * 300] * 20)
    assert validation_overlap(corpus, split_corpus(corpus, TrainConfig(val_fraction=0.5))) == 0.0
