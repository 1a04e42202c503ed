"""Splits and windows: every character where it belongs, once."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.batches import (
    IGNORED,
    TrainWindows,
    fitting_batch_size,
    matching_rows,
    row_windows,
    split_text,
)
from charrnn_cli.config import TrainConfig, ValSplit
from charrnn_cli.corpus import Corpus
from charrnn_cli.errors import TextError

SPLITS = st.sampled_from(["tail", "spread"])


@given(st.integers(100, 10_000_000), st.floats(0.05, 0.5), SPLITS)
def test_a_split_is_a_partition(num_characters: int, val_fraction: float, val_split: ValSplit) -> None:
    """Training and validation text together are the text, without overlap."""
    split = split_text(num_characters, val_fraction, val_split)
    spans = sorted([*split.train, *split.val])
    assert spans[0][0] == 0
    assert spans[-1][1] == num_characters
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    if val_split == "tail":
        assert split.val_characters == min(round(num_characters * val_fraction), 500_000)


def test_the_tail_and_the_spread_of_a_book() -> None:
    """20 rows of the end; 100 rows of a tenth each."""
    tail, spread = split_text(1_985_223, 0.1, "tail"), split_text(1_985_223, 0.1, "spread")
    assert (len(tail.val), tail.val_characters) == (20, 198_522)
    assert len(spread.val) == 100
    assert spread.val_characters == pytest.approx(198_522, abs=200)


def test_no_validation() -> None:
    split = split_text(1000, 0, "tail")
    assert (split.train, split.val) == (((0, 1000),), ())


def test_too_little_to_validate_on() -> None:
    with pytest.raises(TextError, match="at least 2 characters"):
        split_text(10, 0.1, "tail")


@given(st.integers(60, 400), st.integers(1, 5), st.integers(1, 12), SPLITS)
def test_targets_are_the_next_characters(num_characters: int, batch_size: int, seq_len: int, split: ValSplit) -> None:
    """Also across the edge of a window; windows follow one another, and rows cover equal stretches."""
    text = "".join(chr(0x4E00 + index) for index in range(num_characters))
    corpus = Corpus.from_text(text)
    spans = split_text(num_characters, 0.1, split).train
    flat = [index for start, stop in spans for index in range(start, stop)]
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len)
    if len(flat) - 1 < batch_size * seq_len:
        with pytest.raises(TextError, match="batch size"):
            TrainWindows(corpus, spans, config)
        return
    windows = TrainWindows(corpus, spans, config)
    assert windows.per_epoch == (len(flat) - 1) // (batch_size * seq_len)
    for row in range(batch_size):
        start = row * (len(flat) // batch_size)
        for window in range(windows.per_epoch):
            begin = start + window * seq_len
            assert windows[window][:, row].tolist() == flat[begin : begin + seq_len + 1]


def test_the_notebooks_windows() -> None:
    """1,985,223 characters are 198 windows of 100 x 100."""
    corpus = Corpus(None, None, lambda start, stop: np.zeros(stop - start, np.uint8), {"characters": 1_985_223})  # type: ignore[arg-type]
    config = TrainConfig(batch_size=100, seq_len=100)
    assert TrainWindows(corpus, [(0, 1_985_223)], config).per_epoch == 198


def test_a_short_text_shrinks_the_batch() -> None:
    """To the largest that gives every row a window; below seq len + 2 characters there is none."""
    config = TrainConfig(batch_size=32, seq_len=10)
    assert fitting_batch_size(1000, config) == 32
    assert fitting_batch_size(101, config) == 10
    assert fitting_batch_size(12, config) == 1
    with pytest.raises(TextError, match="at least seq len \\+ 2 = 12 characters"):
        fitting_batch_size(11, config)


@given(st.integers(50, 300), st.integers(1, 40), SPLITS)
def test_every_validation_character_is_scored_once(num_characters: int, length: int, val_split: ValSplit) -> None:
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
def test_matching_rows_are_training_text(num_characters: int, val_fraction: float, val_split: ValSplit) -> None:
    """As many as the validation's where the text has room, none longer, each within one stretch of training text."""
    split = split_text(num_characters, val_fraction, val_split)
    rows = matching_rows(split)
    assert len(rows) <= len(split.val)
    for start, stop in rows:
        assert any(first < start < stop <= last for first, last in split.train)
        assert stop - start <= max(last - first for first, last in split.val)
