"""Texts that are held out in files of their own, as they follow the training text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.errors import TextError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.held_out import (
    HeldOut,
    JoinedCorpus,
    held_out_of,
    held_out_rows,
    shared_items,
)
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.text.splits import split_corpus, symbol_frequencies
from tests.helpers import STORY, TINY


def held_out(corpus: Corpus, text: str) -> Corpus:
    """Encode a text in the vocabulary of another one."""
    return in_vocabulary(Corpus.from_text(text, "other"), corpus.vocab)


@pytest.fixture
def joined(corpus: Corpus) -> JoinedCorpus:
    texts = HeldOut(held_out(corpus, STORY[:700]), held_out(corpus, "the rat sat on the mat.\n"))
    return JoinedCorpus(corpus, texts)


def test_all_texts_are_read_as_one(corpus: Corpus, joined: JoinedCorpus) -> None:
    """Spans beyond the training text read the validation text, and then the test text."""
    whole = corpus.vocab.encode(STORY + STORY[:700] + "the rat sat on the mat.\n")
    length = len(STORY)
    for start, stop in ((0, 5), (length - 3, length + 4), (length, length + 720), (7, 7)):
        assert joined.read(start, stop).tolist() == whole[start:stop]
    assert joined.read(0, len(whole)).tolist() == whole
    with pytest.raises(IndexError):
        joined.read(0, len(whole) + 1)
    assert (len(joined), joined.sha256) == (len(corpus), corpus.sha256)
    assert held_out_of(corpus) == HeldOut()
    assert held_out_of(joined).val_sha256 == Corpus.from_text(STORY[:700]).sha256


def test_the_whole_training_text_is_trained_on(corpus: Corpus, joined: JoinedCorpus) -> None:
    """With a validation text of its own, nothing of the training text is held out or counted."""
    split = split_corpus(joined, TINY)
    assert split.train == ((0, len(corpus)),)
    assert (split.val_characters, split.test_characters) == (699, 23)
    assert split.val[0][0] == len(corpus) + 1  # nothing predicts the first character
    assert split.test[0][0] == len(corpus) + 701
    counts_V = corpus.counts_V + 1
    np.testing.assert_allclose(symbol_frequencies(joined, split), counts_V / counts_V.sum())


def test_a_test_text_alone(corpus: Corpus) -> None:
    """Without a validation text of its own, a part of the training text is held out as ever."""
    alone = split_corpus(corpus, TINY)
    split = split_corpus(JoinedCorpus(corpus, HeldOut(test=held_out(corpus, "the mat"))), TINY)
    assert (split.train, split.val) == (alone.train, alone.val)
    assert split.test == [(len(corpus) + 1, len(corpus) + 7)]


def test_items_are_held_out_whole() -> None:
    """Rows of a list are its items with their ends; those of both lists are counted."""
    corpus = Corpus.from_items(["anna", "ben", "cleo", "dora"])
    val = in_vocabulary(Corpus.from_items(["ben", "nora", "dan"]), corpus.vocab)
    joined = JoinedCorpus(corpus, HeldOut(val))
    split = split_corpus(joined, TINY)
    characters = corpus.vocab.characters
    rows = ["".join(characters[index] for index in joined.read(*span)) for span in split.val]
    assert rows == ["ben\n", "nora\n", "dan\n"]
    assert len(split.train) == 4
    assert split.whole_documents
    assert shared_items(joined) == pytest.approx(1 / 3)
    assert shared_items(corpus) == 0


@pytest.mark.parametrize("text", ["", "a"])
def test_nothing_to_predict(corpus: Corpus, text: str) -> None:
    """A text without a second character is refused."""
    with pytest.raises(TextError, match="validation needs at least 2 characters"):
        JoinedCorpus(corpus, HeldOut(held_out(corpus, text)))


@given(st.integers(1, 60_000), st.sets(st.integers(1, 59_999), max_size=5), st.booleans())
def test_rows_have_each_character_once(length: int, others: set[int], is_ended: bool) -> None:
    """Rows cover all characters but those that begin documents; ends belong to what they end."""
    starts = [0, *sorted(start for start in others if start < length)]
    rows = held_out_rows(length, starts, is_ended=is_ended)
    covered = sorted(at for start, stop in rows for at in range(start, stop))
    first = {0} if is_ended else set(starts)
    missing = set(range(length)) - set(covered)
    assert missing <= first
    assert len(covered) == len(set(covered))
    assert all(stop - start <= 25_001 for start, stop in rows)
