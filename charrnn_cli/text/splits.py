"""Splitting a text into training and validation spans."""

import dataclasses
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TrainConfig, ValSplit
from charrnn_cli.errors import TextError
from charrnn_cli.text.corpus import CHUNK_CHARACTERS, Corpus
from charrnn_cli.text.held_out import MIN_ROW, JoinedCorpus
from charrnn_cli.text.item_split import document_hashes, held_out_documents
from charrnn_cli.text.rows import Span, SpanArray, span_array
from charrnn_cli.text.spans import spread_indexes

# V vocabulary

MAX_TAIL = 500_000  # characters; a longer tail takes time and adds no precision
MAX_TAIL_ROWS = 20
MAX_SEGMENTS = 100
MIN_SEGMENT = 1_000  # characters
MOST_OF_DOCUMENT = MAX_TAIL // MAX_TAIL_ROWS  # characters of a held-out one that are evaluated
MIN_SPLIT_FILES = 200  # with fewer, the held-out files would rarely be like the others
_AFTER_END = np.array([1, 0], np.int64)  # the end symbol before a document is only an input
_WITHOUT_VALIDATION = "train without validation: --val-fraction 0"


@dataclass(frozen=True, slots=True)
class Split:
    """Training and validation spans of a text.

    Training reads the spans of `train` as one text; each span of `val` is a row of its own.
    """

    train: Sequence[Span]
    val: Sequence[Span]
    whole_documents: bool = False
    """Whether each span is a document with its end. Those of `train` begin with the end symbol
    before it, which is only an input."""
    test: Sequence[Span] = ()
    """Rows of a test text, like those of `val`."""

    @property
    def train_characters(self) -> int:
        """Number of characters to train on."""
        return _length(self.train) - (len(self.train) if self.whole_documents else 0)

    @property
    def val_characters(self) -> int:
        """Number of characters to validate on."""
        return _length(self.val)

    @property
    def test_characters(self) -> int:
        """Number of characters of the test text."""
        return _length(self.test)

    def cut_at(self, starts: Sequence[int], *, is_ended: bool = False) -> "Split":
        """Cut every span where a document starts, at the offsets `starts`.

        The first character of a document cannot be predicted, because nothing precedes it, so it is
        left out of `val`. If documents are ended, this character is the end symbol, and the
        document before ends with it. Spans with nothing to predict are dropped.
        """
        firsts = set(starts)
        shared = firsts if is_ended else set[int]()

        def cut(spans: Sequence[Span]) -> Iterator[Span]:
            for start, stop in _cut(spans, starts):
                yield start, stop + (stop in shared)

        val = ((start + (start in firsts), stop) for start, stop in cut(self.val))
        return Split(
            tuple(span for span in cut(self.train) if span[1] - span[0] > 1),
            tuple(span for span in val if span[0] < span[1]),
        )


def _length(spans: Sequence[Span]) -> int:
    spans_S2 = span_array(spans)
    return int((spans_S2[:, 1] - spans_S2[:, 0]).sum())


def _cut(spans: Sequence[Span], starts: Sequence[int]) -> Iterator[Span]:
    for first, last in spans:
        inside = starts[bisect_right(starts, first) : bisect_left(starts, last)]
        yield from itertools.pairwise([first, *inside, last])


def split_corpus(corpus: Corpus, config: TrainConfig) -> Split:
    """Split a text according to the settings, and between documents if they are kept apart.

    Items, and 200 files or more, are held out whole, as `item_split` chooses them; the first 25,000
    characters of each are evaluated. Of a text whose validation text has files of its own, nothing
    is held out.
    Raises TextError if fewer than 2 characters are left for validation.
    """
    if not isinstance(corpus, JoinedCorpus):
        return _split_alone(corpus, config)
    if not corpus.val:
        return dataclasses.replace(_split_alone(corpus, config), test=corpus.test)
    train = _all_spans(corpus, config)
    return Split(train, corpus.val, whole_documents=corpus.has_items, test=corpus.test)


def _all_spans(corpus: Corpus, config: TrainConfig) -> Sequence[Span]:
    """Return the whole text as spans to train on."""
    if corpus.has_items:
        return SpanArray(corpus.document_spans())
    whole = Split(((0, len(corpus)),), ())
    if not keeps_documents_apart(corpus, config):
        return whole.train
    return whole.cut_at(corpus.starts_D.tolist(), is_ended=corpus.end is not None).train


def _split_alone(corpus: Corpus, config: TrainConfig) -> Split:
    """Hold out a part of a text for validation. Raises TextError."""
    if splits_documents(corpus):
        return _split_documents(corpus, config.val_fraction)
    split = split_text(len(corpus), config.val_fraction, config.val_split)
    if not keeps_documents_apart(corpus, config):
        return split
    cut = split.cut_at(corpus.starts_D.tolist(), is_ended=corpus.end is not None)
    if split.val and cut.val_characters < 2:
        raise TextError(
            "validation needs at least 2 characters that do not start a document; "
            f"the held-out fraction ({config.val_fraction:g}) has {cut.val_characters}",
            hint=_WITHOUT_VALIDATION,
        )
    return cut


def keeps_documents_apart(corpus: Corpus, config: TrainConfig) -> bool:
    """Return whether documents are kept apart, because they are shuffled or not separated."""
    if corpus.end is not None:
        return True
    return corpus.num_documents > 1 and (not corpus.separator or config.shuffle_documents)


def splits_documents(corpus: Corpus) -> bool:
    """Return whether whole documents are held out, not characters."""
    is_many = corpus.num_documents >= MIN_SPLIT_FILES
    return corpus.has_items or (corpus.end is not None and is_many)


def _split_documents(corpus: Corpus, val_fraction: float) -> Split:
    spans_D2 = corpus.document_spans()
    if val_fraction == 0:
        return Split(SpanArray(spans_D2), (), whole_documents=True)
    is_val_D = held_out_documents(document_hashes(corpus), val_fraction)
    rows_S2 = spans_D2[is_val_D] + _AFTER_END
    rows_S2[:, 1] = np.minimum(rows_S2[:, 1], rows_S2[:, 0] + MOST_OF_DOCUMENT)
    return Split(SpanArray(spans_D2[~is_val_D]), SpanArray(rows_S2), whole_documents=True)


def split_text(num_characters: int, val_fraction: float, val_split: ValSplit) -> Split:
    """Hold out a fraction of a text for validation; none if the fraction is 0.

    `tail` takes the end of the text, at most 500,000 characters in up to 20 rows; `spread` takes
    the end of each of up to 100 equal segments. Raises TextError if that is less than 2 characters.
    """
    if val_fraction == 0:
        return Split(((0, num_characters),), ())
    match val_split:
        case "tail":
            split = _tail(num_characters, val_fraction)
        case "spread":
            split = _spread(num_characters, val_fraction)
    if split.val_characters < 2:
        raise TextError(
            "validation needs at least 2 characters; "
            f"a fraction of {val_fraction:g} of this text's {num_characters:,} is too small",
            hint=_WITHOUT_VALIDATION,
        )
    return split


def _tail(num_characters: int, val_fraction: float) -> Split:
    held_out = min(round(num_characters * val_fraction), MAX_TAIL)
    start = num_characters - held_out
    rows = max(1, min(MAX_TAIL_ROWS, held_out // MIN_ROW))
    edges = [start + held_out * row // rows for row in range(rows + 1)]
    return Split(((0, start),), tuple(itertools.pairwise(edges)))


def _spread(num_characters: int, val_fraction: float) -> Split:
    segments = max(1, min(MAX_SEGMENTS, num_characters // MIN_SEGMENT))
    length = num_characters // segments
    kept = length - round(length * val_fraction)
    starts = [length * segment for segment in range(segments)]
    stops = [*starts[1:], num_characters]
    return Split(
        tuple((start, start + kept) for start in starts),
        tuple((start + kept, stop) for start, stop in zip(starts, stops, strict=True)),
    )


def matching_rows(split: Split) -> Sequence[Span]:
    """Return rows of training text that match the validation rows, to compare the two losses.

    Their number and lengths are those of `split.val`, as far as the training text allows. If it is
    in spans too short for that, the rows are its first spans. Of whole documents, as many are
    spread evenly over the training part; those longer than the longest of `split.val` are cut off.
    """
    if split.whole_documents:
        train_S2 = span_array(split.train)
        rows_S2 = train_S2[spread_indexes(len(train_S2), len(split.val))] + _AFTER_END
        longest = int(np.diff(span_array(split.val)).max(initial=0))
        rows_S2[:, 1] = np.minimum(rows_S2[:, 1], rows_S2[:, 0] + longest)
        return SpanArray(rows_S2)
    rows_per_span = max(1, len(split.val) // len(split.train))
    rows = []
    for row, (val_start, val_stop) in enumerate(split.val):
        first, last = split.train[min(row // rows_per_span, len(split.train) - 1)]
        slot = (last - first) // rows_per_span
        # The first input of a row is the character before it.
        start = first + slot * (row % rows_per_span) + 1
        stop = start + min(val_stop - val_start, slot - 1)
        if start < stop:
            rows.append((start, stop))
    if not rows:
        rows = [(first + 1, last) for first, last in split.train if last - first > 1]
    return tuple(rows[: len(split.val)])


def symbol_frequencies(corpus: Corpus, split: Split) -> npt.NDArray[np.float64]:
    """Return the relative frequency of each symbol in the training text, (V,).

    Each count is increased by one, so that no frequency is 0. Raises as `Corpus.read` does.
    """
    counts_V = corpus.counts_V.astype(np.float64) + 1
    inside = (span for span in split.val if span[0] < len(corpus))
    for start, stop in inside:  # usually the smaller part
        for first in range(start, stop, CHUNK_CHARACTERS):
            ids = corpus.read(first, min(stop, first + CHUNK_CHARACTERS))
            counts_V -= np.bincount(ids, minlength=len(counts_V))
    frequencies_V: npt.NDArray[np.float64] = counts_V / counts_V.sum()
    return frequencies_V
