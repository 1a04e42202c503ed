"""What each step reads of a list of items."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn_cli.config import TrainConfig
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED
from charrnn_cli.text.splits import split_corpus
from charrnn_cli.training.item_windows import ItemWindows, length_classes
from charrnn_cli.training.windows import fitting_batch_size, make_windows

ITEMS = st.lists(st.text("abc", min_size=1, max_size=40), min_size=1, max_size=40)


def what_rows_read(windows: ItemWindows, epoch: int, vocab: str) -> Counter[str]:
    """Count the items that an epoch reads, as their targets; check their inputs."""
    found: Counter[str] = Counter()
    inputs, targets = list[str](), list[str]()
    for step in range(epoch * windows.per_epoch, (epoch + 1) * windows.per_epoch):
        window = windows.at(step)
        assert window.inputs.shape[1] == windows.num_rows(step) == len(window.reset_rows)
        assert window.count == np.count_nonzero(window.targets != IGNORED) > 0
        is_new = bool(window.reset_rows.all())
        assert is_new == bool(window.reset_rows.any())
        if is_new:
            found.update(targets)
            assert inputs == ["\n" + target[:-1] for target in targets]
            inputs, targets = ([""] * window.inputs.shape[1] for _ in range(2))
        for row, (reads, predicts) in enumerate(
            zip(window.inputs.T, window.targets.T, strict=True)
        ):
            count = int(np.count_nonzero(predicts != IGNORED))
            assert (predicts[count:] == IGNORED).all()
            inputs[row] += "".join(vocab[index] for index in reads[:count])
            targets[row] += "".join(vocab[index] for index in predicts[:count])
    found.update(targets)
    assert inputs == ["\n" + target[:-1] for target in targets]
    return found


@given(ITEMS, st.integers(1, 4), st.integers(1, 50), st.integers(0, 99))
def test_an_epoch_reads_every_item_once(
    items: list[str], batch_size: int, seq_len: int, seed: int
) -> None:
    """Every character and every end is a target once, and the end symbol an input once per item.

    An item is read from the zero state, in windows of the sequence length.
    """
    corpus = Corpus.from_items(items)
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len)
    windows = ItemWindows(corpus, corpus.document_spans().tolist(), config, seed)
    expected = Counter(f"{item}\n" for item in items)
    for epoch in range(3):
        assert what_rows_read(windows, epoch, corpus.vocab.characters) == expected
    for step in range(windows.per_epoch):
        window, positions_TB = windows.at(step), windows.positions(step)
        assert len(window.inputs) <= seq_len
        assert (window.reset_rows == windows.reset_rows(step)).all()
        assert ((positions_TB < 0) == (window.targets == IGNORED)).all()
        known = positions_TB >= 0
        ids = [int(corpus.read(at, at + 1)[0]) for at in positions_TB[known].tolist()]
        assert ids == window.targets[known].tolist()


def test_three_names() -> None:
    """The inputs of a name are the end symbol and its characters; its targets end with the end."""
    corpus = Corpus.from_items(["emma", "olivia", "ava"])
    config = TrainConfig(batch_size=3, seq_len=10)
    windows = ItemWindows(corpus, corpus.document_spans().tolist(), config, seed=1)
    found = what_rows_read(windows, 0, corpus.vocab.characters)
    assert found == {"emma\n": 1, "olivia\n": 1, "ava\n": 1}
    assert windows.per_epoch == 1


@given(ITEMS, st.integers(0, 99))
@example(["aa", "a" * 32], 0)
def test_items_are_packed_by_length(items: list[str], seed: int) -> None:
    """Each batch has about as many characters as the setting says, and epochs differ in order."""
    corpus = Corpus.from_items([*items, *"abc" * 30])
    config = TrainConfig(batch_size=4, seq_len=16)
    windows = ItemWindows(corpus, corpus.document_spans().tolist(), config, seed)
    steps = [windows.at(step) for step in range(windows.per_epoch)]
    assert all(window.inputs.size <= 64 for window in steps)
    full = sum(window.inputs.size > 32 for window in steps)
    num_windows = [-(-(len(item) + 1) // 16) for item in items]  # ends included
    assert full >= len(steps) - 2 - sum(number for number in num_windows if number > 1)
    orders = [
        [windows.at(epoch * windows.per_epoch + step).inputs.tolist() for step in range(2)]
        for epoch in range(5)
    ]
    assert any(order != orders[0] for order in orders)


@pytest.mark.parametrize("seq_len", [7, 20, 64])
def test_classes_of_lengths(seq_len: int) -> None:
    """Classes ascend, hold lengths within a sixteenth, and one number of windows."""
    lengths_D = np.arange(1, 2_000)
    classes_D = length_classes(lengths_D, seq_len)
    assert (np.diff(classes_D) >= 0).all()
    for each in np.unique(classes_D):
        own = lengths_D[classes_D == each]
        assert len(own) == 1 or own[-1] <= own[0] * 17 / 16
        assert len(np.unique(-(-own // seq_len))) == 1


def test_a_short_list_gets_smaller_batches() -> None:
    """A list of few characters still has several steps per epoch."""
    corpus = Corpus.from_items([f"{number:03}" for number in range(300)])
    split = split_corpus(corpus, TrainConfig())
    batch_size = fitting_batch_size(corpus, split, TrainConfig())
    windows = make_windows(corpus, split, TrainConfig(batch_size=batch_size), seed=1)
    assert batch_size < 32
    assert windows.per_epoch >= 8
