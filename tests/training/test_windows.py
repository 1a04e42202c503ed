"""What each step reads."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.config import TrainConfig, ValSplit
from charrnn_cli.errors import TextError
from charrnn_cli.storage.corpus_header import CorpusHeader
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED
from charrnn_cli.text.splits import Split, split_text
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.windows import DocumentWindows, TrainWindows, fitting_batch_size

SPLITS = st.sampled_from(["tail", "spread"])


@given(st.integers(60, 400), st.integers(1, 5), st.integers(1, 12), SPLITS)
def test_targets_are_the_next_characters(
    num_characters: int, batch_size: int, seq_len: int, split: ValSplit
) -> None:
    """A target is the next character, also across windows; rows cover equal stretches of text."""
    text = "".join(chr(0x4E00 + index) for index in range(num_characters))
    corpus = Corpus.from_text(text)
    spans = split_text(num_characters, 0.1, split).train
    flat = [index for start, stop in spans for index in range(start, stop)]
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len, reset=0.0)
    if len(flat) - 1 < batch_size * seq_len:
        with pytest.raises(TextError, match="--batch-size"):
            TrainWindows(corpus, spans, config, seed=1)
        return
    windows = TrainWindows(corpus, spans, config, seed=1)
    assert windows.per_epoch == (len(flat) - 1) // (batch_size * seq_len)
    for row in range(batch_size):
        start = row * (len(flat) // batch_size)
        for window in range(windows.per_epoch):
            begin = start + window * seq_len
            got = windows.at(window)
            assert got.inputs[:, row].tolist() == flat[begin : begin + seq_len]
            assert got.targets[:, row].tolist() == flat[begin + 1 : begin + seq_len + 1]
            assert (got.reset_rows is None) == (window > 0)


def test_the_notebooks_windows() -> None:
    """1,985,223 characters make 198 windows of 100 x 100."""
    facts = CorpusHeader(name="anna", characters=1_985_223)
    counts_V = np.zeros(1, np.uint64)
    corpus = Corpus(
        Vocab("a"), counts_V, lambda start, stop: np.zeros(stop - start, np.uint8), facts, "0" * 64
    )
    config = TrainConfig(batch_size=100, seq_len=100)
    assert TrainWindows(corpus, [(0, 1_985_223)], config, seed=1).per_epoch == 198


def test_a_short_text_shrinks_the_batch() -> None:
    """A short text gets the largest batch with a window per row, or is refused."""
    config = TrainConfig(batch_size=32, seq_len=10)
    corpus = Corpus.from_text("ab")

    def fitting(characters: int) -> int:
        return fitting_batch_size(corpus, Split(((0, characters),), ()), config)

    assert [fitting(characters) for characters in (1000, 101, 12)] == [32, 10, 1]
    with pytest.raises(
        TextError, match=r"at least 12 characters \(--seq-len \+ 2\); this text has 11"
    ):
        fitting(11)


LENGTHS = st.lists(st.integers(2, 40), min_size=1, max_size=12)


def documents(lengths: list[int]) -> tuple[Corpus, list[tuple[int, int]]]:
    """Return a text of distinct characters, and the spans of its documents."""
    text = "".join(chr(0x4E00 + index) for index in range(sum(lengths)))
    edges = [0, *itertools.accumulate(lengths)]
    return Corpus.from_text(text), list(itertools.pairwise(edges))


@given(LENGTHS, st.integers(1, 4), st.integers(1, 9), st.booleans())
def test_documents_are_kept_apart(
    lengths: list[int], batch_size: int, seq_len: int, shuffle: bool
) -> None:
    """A window holds one document, a reset marks its begin, and no target comes twice."""
    corpus, spans = documents(lengths)
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len, shuffle_documents=shuffle)
    total = sum(-((1 - length) // seq_len) for length in lengths)
    if total < batch_size:
        with pytest.raises(TextError, match="--batch-size"):
            DocumentWindows(corpus, spans, config, seed=1)
        return
    windows = DocumentWindows(corpus, spans, config, seed=1)
    assert windows.per_epoch == total // batch_size
    starts = {start for start, _ in spans}
    for epoch in range(2):
        seen: list[int] = []
        last = [-1] * batch_size
        for window in range(windows.per_epoch):
            got = windows.at(epoch * windows.per_epoch + window)
            assert got.count == (got.targets != IGNORED).sum()
            reset = np.zeros(batch_size, bool) if got.reset_rows is None else got.reset_rows
            for row in range(batch_size):
                targets = got.targets[:, row]
                targets = targets[targets != IGNORED]
                inputs = got.inputs[: len(targets), row]
                assert (targets == inputs + 1).all()
                assert not starts & set(targets.tolist())
                assert reset[row] == (window == 0 or inputs[0] in starts)
                assert reset[row] or inputs[0] == last[row]
                last[row] = int(targets[-1])
                seen += targets.tolist()
        assert len(seen) == len(set(seen))


def test_shuffled_documents_come_in_another_order_each_epoch() -> None:
    """The order of shuffled documents is a function of (seed, epoch); else it never changes."""
    corpus, spans = documents([10] * 20)

    def order(seed: int, epoch: int, shuffle: bool = True) -> list[int]:
        config = TrainConfig(batch_size=1, seq_len=16, shuffle_documents=shuffle)
        windows = DocumentWindows(corpus, spans, config, seed)
        steps = range(epoch * windows.per_epoch, (epoch + 1) * windows.per_epoch)
        return [int(windows.at(step).inputs[0, 0]) for step in steps]

    assert order(1, 0) == order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert (
        sorted(order(1, 3))
        == order(1, 0, False)
        == order(1, 1, False)
        == [start for start, _ in spans]
    )


def test_a_fraction_of_the_windows_is_reset() -> None:
    """Rows are reset by (seed, step) alone, and all of them at the start of an epoch."""
    corpus = Corpus.from_text("ab" * 5000)

    def resets(seed: int, reset: float) -> list[list[bool]]:
        config = TrainConfig(batch_size=20, seq_len=5, reset=reset)
        windows = TrainWindows(corpus, [(0, len(corpus))], config, seed)
        found = [windows.at(step).reset_rows for step in range(2 * windows.per_epoch)]
        masks = [[False] * 20 if rows is None else rows.tolist() for rows in found]
        assert all(all(masks[epoch * windows.per_epoch]) for epoch in range(2))
        return masks

    assert resets(1, 0.1) == resets(1, 0.1) != resets(2, 0.1)
    assert np.mean(resets(1, 0.1)) == pytest.approx(0.1, abs=0.03)
    assert np.mean(resets(1, 0.0)) < 0.03
    assert np.mean(resets(1, 1.0)) == 1.0
