"""Splits of a text into training and validation spans, and their rows."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.config import UNMARKED, TextOptions, TrainConfig, ValSplit
from charrnn_cli.errors import TextError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import encode_text
from charrnn_cli.text.rows import IGNORED, Span, row_windows
from charrnn_cli.text.splits import (
    Split,
    matching_rows,
    split_corpus,
    split_text,
    symbol_frequencies,
)

SPLITS = st.sampled_from(["tail", "spread"])


@given(st.integers(100, 10_000_000), st.floats(0.05, 0.5), SPLITS)
def test_a_split_is_a_partition(
    num_characters: int, val_fraction: float, val_split: ValSplit
) -> None:
    """The training and validation spans cover the text once."""
    split = split_text(num_characters, val_fraction, val_split)
    spans = sorted([*split.train, *split.val])
    assert spans[0][0] == 0
    assert spans[-1][1] == num_characters
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    if val_split == "tail":
        assert split.val_characters == min(round(num_characters * val_fraction), 500_000)


def test_the_tail_and_the_spread_of_a_book() -> None:
    """A book's tail has 20 rows, and its spread has a row at the end of each of 100 segments."""
    tail, spread = split_text(1_985_223, 0.1, "tail"), split_text(1_985_223, 0.1, "spread")
    assert (len(tail.val), tail.val_characters) == (20, 198_522)
    assert len(spread.val) == 100
    assert spread.val_characters == 198_523


def test_no_validation() -> None:
    """A fraction of 0 leaves the whole text for training."""
    split = split_text(1000, 0, "tail")
    assert (split.train, split.val) == (((0, 1000),), ())


def test_too_little_to_validate_on() -> None:
    """A validation part of less than 2 characters is an error."""
    with pytest.raises(TextError) as caught:
        split_text(10, 0.1, "tail")
    assert caught.value.message == (
        "validation needs at least 2 characters; a fraction of 0.1 of this text's 10 is too small"
    )
    assert caught.value.hint == "train without validation: --val-fraction 0"


@given(st.integers(50, 300), st.integers(1, 40), SPLITS)
def test_every_validation_character_is_scored_once(
    num_characters: int, length: int, val_split: ValSplit
) -> None:
    """Each validation character is a target once, and its input is the character before it."""
    text = "".join(chr(0x4E00 + index) for index in range(num_characters))
    corpus, split = Corpus.from_text(text), split_text(num_characters, 0.2, val_split)
    longest = max(stop - start for start, stop in split.val)
    scored: list[int] = []
    for start in range(0, longest, length):
        inputs_TR, targets_TR = row_windows(corpus, split.val, start, min(length, longest - start))
        known = targets_TR != IGNORED
        assert (inputs_TR[known] == targets_TR[known] - 1).all()
        scored += targets_TR[known].tolist()
    assert sorted(scored) == [index for start, stop in split.val for index in range(start, stop)]


@given(st.integers(100, 1_000_000), st.floats(0.05, 0.5), SPLITS)
def test_matching_rows_are_training_text(
    num_characters: int, val_fraction: float, val_split: ValSplit
) -> None:
    """Matching rows are as many and as long as the validation rows, and separate training text."""
    split = split_text(num_characters, val_fraction, val_split)
    rows = matching_rows(split)
    for (start, stop), (val_start, val_stop) in zip(rows, split.val, strict=True):
        assert stop - start <= val_stop - val_start
        assert stop - start == val_stop - val_start or val_fraction > 0.4  # no room
    for start, stop in rows:
        assert any(first < start < stop <= last for first, last in split.train)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(sorted(rows)))


def test_documents_too_short_to_validate_on(tmp_path: Path) -> None:
    """Held-out documents of one character are an error, unless no validation is wanted."""
    for number in range(18):
        (tmp_path / f"{number:02}").write_text("abcdef" if number < 10 else "a")
    options = TextOptions(keep_duplicates=True, documents=UNMARKED)
    corpus = encode_text(tmp_path, tmp_path / "out.safetensors", options)
    with pytest.raises(TextError) as caught:
        split_corpus(corpus, TrainConfig(val_fraction=0.1))
    assert caught.value.message == (
        "validation needs at least 2 characters that do not start a document; "
        "the held-out fraction (0.1) has 0"
    )
    assert caught.value.hint == "train without validation: --val-fraction 0"
    assert split_corpus(corpus, TrainConfig(val_fraction=0)).val == ()
    assert split_corpus(corpus, TrainConfig(val_fraction=0.2)).val_characters == 5


def test_matching_rows_of_tiny_documents() -> None:
    """Training spans too short to share among the validation rows are rows themselves."""
    train, val = ((0, 2), (2, 5), (6, 8)), tuple((start, start + 1) for start in range(8, 20))
    assert matching_rows(Split(train, val)) == ((1, 2), (3, 5), (7, 8))
    assert matching_rows(Split(((0, 2), (2, 4)), ((5, 6),))) == ((1, 2),)
    assert matching_rows(Split(train, ())) == ()


@given(
    st.integers(100, 2000), st.sets(st.integers(1, 1999), max_size=30), st.floats(0.05, 0.5), SPLITS
)
def test_documents_cut_the_spans(
    num_characters: int, inner: set[int], val_fraction: float, val_split: ValSplit
) -> None:
    """Cut spans are the longest that cross no document's start and hold only what is predicted.

    In validation a document's first character is never predicted; a training span of one character
    predicts nothing.
    """
    starts = [0, *sorted(start for start in inner if start < num_characters)]
    whole = split_text(num_characters, val_fraction, val_split)

    def document_of(index: int) -> int:
        return sum(start <= index for start in starts)

    def pieces(spans: Sequence[Span], unused: set[int]) -> list[Span]:
        """Group the characters of each span by their documents, one character at a time."""
        found = []
        for first, last in spans:
            used = [index for index in range(first, last) if index not in unused]
            for _, group in itertools.groupby(used, document_of):
                indices = list(group)
                found.append((indices[0], indices[-1] + 1))
        return found

    cut = whole.cut_at(starts)
    assert list(cut.val) == pieces(whole.val, unused=set(starts))
    assert list(cut.train) == [
        (first, last) for first, last in pieces(whole.train, unused=set()) if last - first > 1
    ]


def test_a_split_without_documents_is_itself() -> None:
    """Cutting the spans of a text of one document changes nothing."""
    split = Split(((1, 10), (20, 30)), ((10, 20),))
    assert split.cut_at([0]) == split


@given(st.text("abcdef", min_size=20, max_size=300), SPLITS)
def test_frequencies_are_those_of_the_training_text(text: str, val_split: ValSplit) -> None:
    """Symbol frequencies count the training spans only, with one more of each symbol."""
    corpus = Corpus.from_text(text, "text")
    split = split_text(len(text), 0.3, val_split)
    trained = "".join(text[start:stop] for start, stop in split.train)
    counts = [trained.count(character) + 1 for character in corpus.vocab.characters]
    assert symbol_frequencies(corpus, split).tolist() == pytest.approx(
        [count / sum(counts) for count in counts]
    )
