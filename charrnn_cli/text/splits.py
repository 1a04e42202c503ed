"""Which stretches of a text are trained on and which are held out, and the windows of each."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TrainConfig, ValSplit
from charrnn_cli.errors import TextError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span

# B batch rows · T time · R validation rows · N characters

MAX_TAIL = 500_000  # characters; a larger tail costs time and tells nothing more
TAIL_ROWS = 20
SPREAD_ROWS = 100
MIN_ROW = 100  # characters; shorter rows would mostly measure the cold start
MIN_SEGMENT = 1_000
CHUNK = 1 << 20
GAP_STRIDE = (
    4  # during training every fourth row of training text shows the gap; at the end all of them do
)


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

    def cut_at(self, starts: Sequence[int]) -> "Split":
        """The same characters, each span cut where a document starts; a row of `val` begins with a second character.

        What is left of a document must have two characters, one to foretell the other.
        """
        firsts = set(starts)
        val = ((start + (start in firsts), stop) for start, stop in _cut(self.val, starts))
        return Split(
            tuple(span for span in _cut(self.train, starts) if span[1] - span[0] > 1),
            tuple(span for span in val if span[0] < span[1]),
        )


def _cut(spans: Sequence[Span], starts: Sequence[int]) -> Iterator[Span]:
    for first, last in spans:
        inside = starts[bisect_right(starts, first) : bisect_left(starts, last)]
        yield from itertools.pairwise([first, *inside, last])


def split_corpus(corpus: Corpus, config: TrainConfig) -> Split:
    """Hold out a share of a text. Raises TextError when the share is not worth the name.

    Where documents are kept apart, the spans of both parts are theirs.
    """
    split = split_text(len(corpus), config.val_fraction, config.val_split)
    return split.cut_at(corpus.starts) if keeps_documents_apart(corpus, config) else split


def keeps_documents_apart(corpus: Corpus, config: TrainConfig) -> bool:
    """Whether the model starts afresh with each document: where no separator tells it, or they are shuffled."""
    return len(corpus.starts) > 1 and (not corpus.separator or config.shuffle_documents)


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
        start = (
            first + slot * (row % rows_per_span) + 1
        )  # a row's first input is the character before it
        stop = start + min(val_stop - val_start, slot - 1)
        if start < stop:
            rows.append((start, stop))
    return tuple(rows)


def symbol_frequencies(corpus: Corpus, split: Split) -> npt.NDArray[np.float64]:
    """How much of the training text each symbol is, (V,); one more of each is counted, so that none is 0."""
    counts_V = corpus.counts_V.astype(np.float64) + 1
    for start, stop in split.val:  # the smaller part
        for first in range(start, stop, CHUNK):
            counts_V -= np.bincount(
                corpus.read(first, min(stop, first + CHUNK)), minlength=len(counts_V)
            )
    frequencies_V: npt.NDArray[np.float64] = counts_V / counts_V.sum()
    return frequencies_V
