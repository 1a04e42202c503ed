"""What each step reads."""

import itertools
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given, settings
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


def places(num_characters: int) -> Corpus:
    """Return a corpus whose ids are the places of its characters."""
    facts = CorpusHeader(name="places", characters=num_characters)
    read = partial(np.arange, dtype=np.uint32)
    return Corpus(Vocab("a"), np.zeros(1, np.uint64), read, facts, "0" * 64)


@given(st.integers(60, 400), st.integers(1, 5), st.integers(1, 12), SPLITS, st.integers(0, 99))
def test_targets_are_the_next_characters(
    num_characters: int, batch_size: int, seq_len: int, split: ValSplit, seed: int
) -> None:
    """No target crosses the text's end, and a row is reset unless it continues its last window."""
    spans = split_text(num_characters, 0.1, split).train
    flat = [index for start, stop in spans for index in range(start, stop)]
    follows = dict(itertools.pairwise(flat))
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len, reset=0.0)
    if len(flat) - 1 < batch_size * seq_len:
        with pytest.raises(TextError, match="--batch-size"):
            TrainWindows(places(num_characters), spans, config, seed)
        return
    windows = TrainWindows(places(num_characters), spans, config, seed)
    assert windows.per_epoch == (len(flat) - 1) // (batch_size * seq_len)
    last = np.full(batch_size, -1)
    for step in range(3 * windows.per_epoch):
        got = windows.at(step)
        assert got.count == got.targets.size
        assert [follows.get(place) for place in got.inputs.ravel().tolist()] == (
            got.targets.ravel().tolist()
        )
        reset = np.zeros(batch_size, bool) if got.reset_rows is None else got.reset_rows
        continues = (got.inputs[0] == last) & (step % windows.per_epoch > 0)
        assert (reset == ~continues).all()
        last = got.targets[-1]


@given(st.integers(66, 20_000), st.sampled_from([16, 64, 64, 100]), SPLITS, st.integers(0, 99))
@example(66, 64, "tail", 0)
@example(4_000, 64, "tail", 1)
@example(20_000, 64, "tail", 1)
@settings(max_examples=40, deadline=None)
def test_every_character_of_a_short_text_is_a_target(
    num_characters: int, seq_len: int, split: ValSplit, seed: int
) -> None:
    """In 20 epochs, every character but the first is a target at least 10 times."""
    check_coverage(num_characters, TrainConfig(seq_len=seq_len, val_split=split), seed, chosen=None)


@given(st.integers(66, 999), st.integers(4, 40), st.integers(1, 40), SPLITS, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_every_character_is_a_target_with_any_batch(
    num_characters: int, seq_len: int, batch_size: int, split: ValSplit, seed: int
) -> None:
    """The same is true for a chosen batch size."""
    check_coverage(num_characters, TrainConfig(seq_len=seq_len, val_split=split), seed, batch_size)


def check_coverage(num_characters: int, config: TrainConfig, seed: int, chosen: int | None) -> None:
    """Count the targets of 20 epochs of a text with this many training characters."""
    corpus = places(num_characters * 10 // 9)
    split = split_text(len(corpus), 0.1, config.val_split)
    if split.train_characters < config.seq_len + 2:
        return
    batch_size = fitting_batch_size(corpus, split, config)
    if chosen is not None:
        batch_size = min(chosen, (split.train_characters - 1) // config.seq_len)
    windows = TrainWindows(corpus, split.train, replace(config, batch_size=batch_size), seed)
    seen = np.zeros(len(corpus), np.int64)
    for step in range(20 * windows.per_epoch):
        np.add.at(seen, windows.at(step).targets.ravel(), 1)
    seen_in_training = np.concatenate([seen[start:stop] for start, stop in split.train])
    assert seen_in_training[0] == 0
    assert seen_in_training[1:].min() >= 10
    assert seen.sum() == seen_in_training.sum()


def test_the_seed_chooses_the_first_window() -> None:
    """Different seeds start at different windows, and a seed always starts at the same one."""
    config = TrainConfig(batch_size=2, seq_len=10)

    def first(seed: int) -> int:
        return int(TrainWindows(places(5_000), [(0, 5_000)], config, seed).at(0).inputs[0, 0])

    starts = [first(seed) for seed in range(20)]
    assert starts == [first(seed) for seed in range(20)]
    assert len(set(starts)) > 15


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
    """A short text gets the largest batch with 8 windows per row, one row, or is refused."""
    config = TrainConfig(batch_size=32, seq_len=10)
    corpus = Corpus.from_text("ab")

    def fitting(characters: int) -> int:
        return fitting_batch_size(corpus, Split(((0, characters),), ()), config)

    assert [fitting(characters) for characters in (2561, 2560, 161, 160, 12)] == [32, 31, 2, 1, 1]
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
    """A window holds one document, a reset marks its begin, and all are read equally often."""
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
    seen: Counter[int] = Counter()
    last = [-1] * batch_size
    for step in range(5 * windows.per_epoch):
        got = windows.at(step)
        assert got.count == (got.targets != IGNORED).sum()
        reset = np.zeros(batch_size, bool) if got.reset_rows is None else got.reset_rows
        for row in range(batch_size):
            targets = got.targets[:, row]
            targets = targets[targets != IGNORED]
            inputs = got.inputs[: len(targets), row]
            assert (targets == inputs + 1).all()
            assert not starts & set(targets.tolist())
            assert reset[row] == (step % windows.per_epoch == 0 or inputs[0] in starts)
            assert reset[row] or inputs[0] == last[row]
            last[row] = int(targets[-1])
            seen.update(targets.tolist())
    passes = 5 * windows.per_epoch * batch_size // total
    targets_of_all = set(range(len(corpus))) - starts
    assert {seen[target] for target in targets_of_all} <= {passes, passes + 1}


def test_shuffled_documents_come_in_another_order_each_epoch() -> None:
    """The order of shuffled documents is a function of (seed, pass); else it never changes."""
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
    assert np.mean(resets(1, 0.0)) < 0.03  # only where an epoch or the text starts
    assert np.mean(resets(1, 1.0)) == 1.0
