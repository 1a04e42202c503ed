"""Which stretches of a text are trained on and which are held out, and the windows of each."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TrainConfig, ValSplit
from charrnn_cli.corpus import Corpus
from charrnn_cli.errors import TextError

# B batch rows · T time · R validation rows · N characters

MAX_TAIL = 500_000  # characters; a larger tail costs time and tells nothing more
TAIL_ROWS = 20
SPREAD_ROWS = 100
MIN_ROW = 100  # characters; shorter rows would mostly measure the cold start
MIN_SEGMENT = 1_000
GAP_STRIDE = 4  # during training every fourth row of training text shows the gap; at the end all of them do

Span = tuple[int, int]
"""Characters from start to stop."""


@dataclass(frozen=True, slots=True)
class Split:
    """`train` is read as if its spans stood one behind the other; each span of `val` is a row of its own."""

    train: tuple[Span, ...]
    val: tuple[Span, ...]

    @property
    def train_characters(self) -> int:
        return sum(stop - start for start, stop in self.train)

    @property
    def val_characters(self) -> int:
        return sum(stop - start for start, stop in self.val)


def split_text(num_characters: int, val_fraction: float, val_split: ValSplit) -> Split:
    """Hold out a share of a text. Raises TextError when the share is not worth the name.

    `tail` holds out the end of the text, in up to 20 rows; `spread` the end of each of up to 100 segments.
    """
    if val_fraction == 0:
        return Split(((0, num_characters),), ())
    if val_split == "tail":
        held_out = min(round(num_characters * val_fraction), MAX_TAIL)
        start = num_characters - held_out
        rows = max(1, min(TAIL_ROWS, held_out // MIN_ROW))
        edges = [start + held_out * row // rows for row in range(rows + 1)]
        split = Split(((0, start),), tuple(itertools.pairwise(edges)))
    else:
        segments = max(1, min(SPREAD_ROWS, num_characters // MIN_SEGMENT))
        length = num_characters // segments
        kept = length - round(length * val_fraction)
        starts = [length * segment for segment in range(segments)]
        stops = [*starts[1:], num_characters]
        split = Split(
            tuple((start, start + kept) for start in starts),
            tuple((start + kept, stop) for start, stop in zip(starts, stops, strict=True)),
        )
    if split.val_characters < 2:
        raise TextError(
            f"validation needs at least 2 characters, and {val_fraction:g} of {num_characters:,} is less",
            hint="train without validation: --val-fraction 0",
        )
    return split


def matching_rows(split: Split) -> tuple[Span, ...]:
    """Stretches of the training text as many and as long as the validation rows, to compare losses with."""
    rows_per_span = max(1, len(split.val) // len(split.train))
    rows = []
    for row, (val_start, val_stop) in enumerate(split.val):
        first, last = split.train[min(row // rows_per_span, len(split.train) - 1)]
        slot = (last - first) // rows_per_span
        start = first + slot * (row % rows_per_span) + 1  # a row's first input is the character before it
        stop = start + min(val_stop - val_start, slot - 1)
        if start < stop:
            rows.append((start, stop))
    return tuple(rows)


def fitting_batch_size(train_characters: int, config: TrainConfig) -> int:
    """The configured batch, or the largest that leaves a whole window of text to each row.

    Raises TextError below seq len + 2 characters.
    """
    if train_characters < config.seq_len + 2:
        raise TextError(
            f"training needs at least seq len + 2 = {config.seq_len + 2:,} characters, "
            f"and this text leaves {train_characters:,}",
            hint="use a longer text, or a smaller --seq-len",
        )
    return min(config.batch_size, (train_characters - 1) // config.seq_len)


class TrainWindows:
    """The training text as B contiguous rows, cut into windows of T characters.

    An epoch has (N - 1) // (B·T) windows. A target is the text's next character, also across a window's edge.
    """

    def __init__(self, corpus: Corpus, spans: Sequence[Span], config: TrainConfig) -> None:
        self._corpus = corpus
        self._spans = spans
        self._starts = np.cumsum([0, *(stop - start for start, stop in spans)])
        self.num_characters = num_characters = int(self._starts[-1])
        self.batch_size, self.seq_len = config.batch_size, config.seq_len
        self.per_epoch = (num_characters - 1) // (self.batch_size * self.seq_len)
        if not self.per_epoch:
            needed = self.batch_size * self.seq_len + 1
            raise TextError(
                f"batch size {self.batch_size:,} x seq len {self.seq_len:,} needs {needed:,} characters "
                f"to train on, and this text leaves {num_characters:,}",
                hint=f"use --batch-size {max(1, (num_characters - 1) // self.seq_len)} or a smaller --seq-len",
            )
        self._row_length = num_characters // self.batch_size

    @property
    def num_symbols(self) -> int:
        return len(self._corpus.vocab)

    def __getitem__(self, window: int) -> npt.NDArray[np.int64]:
        """Ids of shape (T + 1, B): inputs are the first T rows, targets the last T."""
        ids_TB = np.empty((self.seq_len + 1, self.batch_size), np.int64)
        for row, start in enumerate(self.starts(window)):
            self.read_into(ids_TB[:, row], int(start))
        return ids_TB

    def starts(self, window: int) -> npt.NDArray[np.int64]:
        """Where each row of a window starts in the training text, (B,)."""
        return np.arange(self.batch_size) * self._row_length + window * self.seq_len

    def read_into(self, ids_T: npt.NDArray[Any], start: int) -> None:
        """Fill the array with the ids from `start` on in the training text."""
        filled = 0
        span = int(np.searchsorted(self._starts, start, side="right")) - 1
        while filled < len(ids_T):
            first, last = self._spans[span]
            begin = first + start + filled - int(self._starts[span])
            count = min(last - begin, len(ids_T) - filled)
            ids_T[filled : filled + count] = self._corpus.read(begin, begin + count)
            filled += count
            span += 1


IGNORED = -100
"""Target of positions behind a shorter row's end, as torch's cross entropy skips it."""


def row_windows(corpus: Corpus, rows: Sequence[Span], start: int, length: int) -> npt.NDArray[np.int64]:
    """Columns `start` to `start + length` of several rows side by side: (2, length, R), inputs and targets.

    Every character of a row is a target once; the first one's input is the character before the row.
    """
    both_TR = np.empty((2, length, len(rows)), np.int64)
    both_TR[0], both_TR[1] = 0, IGNORED
    for column, (first, last) in enumerate(rows):
        begin, end = first + start, min(first + start + length, last)
        if begin < end:
            ids = corpus.read(begin - 1, end)
            both_TR[0, : end - begin, column] = ids[:-1]
            both_TR[1, : end - begin, column] = ids[1:]
    return both_TR
