"""How much of a validation part also stands in the training part, which makes its loss too low."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.text.spans import joined, spread_indexes
from charrnn_cli.text.splits import Split
from charrnn_cli.text.window_hashes import FILTER_SIZE, Hashes, filter_key, window_hashes

# W windows of the validation part · N characters

WINDOW = 200  # characters: longer than what texts repeat by themselves
MAX_WINDOWS = 2_000  # of the validation part to look for, so that the result is right to 1 %
MAX_READ = 12_000_000  # characters of the training part: half a second
PIECE = 4_096  # characters to read at a time from a longer training part
BATCH = 1 << 18  # characters to hash at a time: 2 MB per array, which caches hold


def validation_overlap(corpus: Corpus, split: Split) -> float:
    """Return the fraction of the validation part that stands in the training part word for word.

    It is measured by windows of 200 characters, spread evenly over the validation part; parts
    shorter than a window do not count, nor do items, which are never in both parts. Of a training
    part of more than 12 million characters, pieces are read that are spread evenly over it, and the
    result is an estimate that is rather too low. Raises as `Corpus.read` does.
    """
    if corpus.has_items:
        return 0.0
    spans = [(start, stop) for start, stop in joined(split.val) if stop - start >= WINDOW]
    if not spans:
        return 0.0
    wanted = np.unique(_window_hashes_of(corpus, spans))
    occurrences = np.zeros(len(wanted), np.int64)
    maybe = np.zeros(FILTER_SIZE, bool)
    maybe[filter_key(wanted)] = True
    pieces, read = _pieces(joined(split.train))
    for ids_N in _batches(corpus, pieces):
        hashes = window_hashes(ids_N, WINDOW)
        hashes = hashes[maybe[filter_key(hashes)]]
        slots = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
        occurrences += np.bincount(slots[wanted[slots] == hashes], minlength=len(wanted))
    long_enough = sum(stop - start for start, stop in spans) / split.val_characters
    return long_enough * min(1.0, _num_found(occurrences, read) / len(wanted))


def _num_found(occurrences: npt.NDArray[np.int64], read: float) -> float:
    """Return the number of windows that occur, from their occurrences in a part of the text.

    `read` is the fraction of the text that was read. Licenses and other boilerplate, which occur
    many times, must not be scaled up like a passage that occurs once: the windows that were missed
    are estimated from those found once and twice (Chao 1984, the bias-corrected form).
    """
    seen = float(np.count_nonzero(occurrences))
    if read == 1.0 or not seen:
        return seen
    once, twice = (int(np.count_nonzero(occurrences == number)) for number in (1, 2))
    return min(seen + once * (once - 1) / (2 * (twice + 1)), seen / read)


def _window_hashes_of(corpus: Corpus, spans: Sequence[Span]) -> Hashes:
    """Return the hashes of windows, spread evenly over spans no shorter than a window, (W,)."""
    starts = np.array([start for start, _ in spans], np.int64)
    counts = np.array([stop - start - WINDOW + 1 for start, stop in spans], np.int64)
    offsets = spread_indexes(int(counts.sum()), MAX_WINDOWS)
    ends = np.cumsum(counts)
    span = np.searchsorted(ends, offsets, side="right")
    first = starts[span] + offsets - (ends[span] - counts[span])
    windows = [
        window_hashes(corpus.read(start, start + WINDOW).astype(np.uint64), WINDOW)
        for start in first.tolist()
    ]
    return np.concatenate(windows)


def _pieces(spans: Sequence[Span]) -> tuple[list[Span], float]:
    """Return the parts of spans to read, and the fraction of their characters that these are."""
    total = sum(stop - start for start, stop in spans)
    if total <= MAX_READ:
        return list(spans), 1.0
    starts = np.array([start for start, _ in spans], np.int64)
    ends = np.cumsum([stop - start for start, stop in spans])
    offsets = spread_indexes(total, MAX_READ // PIECE)
    span = np.searchsorted(ends, offsets, side="right")
    lengths = np.array([stop - start for start, stop in spans], np.int64)
    first = starts[span] + offsets - (ends[span] - lengths[span])
    last = np.minimum(first + PIECE, starts[span] + lengths[span])
    # A window that a piece cuts off is in no other piece.
    windows = int(np.maximum(0, last - first - WINDOW + 1).sum())
    return list(zip(first.tolist(), last.tolist(), strict=True)), windows / total


def _batches(corpus: Corpus, pieces: Sequence[Span]) -> Iterator[Hashes]:
    """Yield the ids of pieces, many short ones together, and of a long one in overlapping parts."""
    held: list[Hashes] = []
    length = 0
    for start, stop in pieces:
        for first in range(start, max(start + 1, stop - WINDOW + 1), BATCH):
            ids_N = corpus.read(first, min(first + BATCH + WINDOW - 1, stop))
            held.append(ids_N.astype(np.uint64))
            length += len(ids_N)
            if length >= BATCH:
                yield np.concatenate(held)
                held, length = [], 0
    if held:
        yield np.concatenate(held)
