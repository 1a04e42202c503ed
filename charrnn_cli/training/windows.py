"""The training text as windows, one per step."""

import functools
import itertools
import operator
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import TextError
from charrnn_cli.seeds import derive_seed
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED, Span
from charrnn_cli.text.splits import Split, keeps_documents_apart
from charrnn_cli.training.item_windows import ItemWindows
from charrnn_cli.training.window import WHOLE, Share, Window, Windows

# B batch rows · T time · N characters of training text · D documents · W windows of the text
# S spans of the training text

MIN_WINDOWS_PER_ROW = 8  # longer rows of a short text mean more steps per epoch

_Order = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def make_windows(corpus: Corpus, split: Split, config: TrainConfig, seed: int) -> Windows:
    """Build the windows of a training text. Raises TextError for a text too short for the batch."""
    if corpus.has_items:
        return ItemWindows(corpus, split.train, config, seed)
    if keeps_documents_apart(corpus, config):
        return DocumentWindows(corpus, split.train, config, seed)
    return TrainWindows(corpus, split.train, config, seed)


def fitting_batch_size(corpus: Corpus, split: Split, config: TrainConfig) -> int:
    """Return the configured batch size, or a smaller one that gives each row at least 8 windows.

    A text of fewer than 8 windows gets one row. Raises TextError for a text below seq len + 2
    characters, unless documents are kept apart.
    """
    if corpus.has_items:
        windows = split.train_characters // config.seq_len
    elif keeps_documents_apart(corpus, config):
        windows = int(_windows_per_document(split.train, config.seq_len).sum())
        if not windows:
            raise TextError(
                "every document is a single character, so there is nothing to predict",
                hint="join the documents with --separator '\\n'",
            )
    else:
        if split.train_characters < config.seq_len + 2:
            part = "the training part of this text" if split.val else "this text"
            raise TextError(
                f"training needs at least {config.seq_len + 2:,} characters (--seq-len + 2); "
                f"{part} has {split.train_characters:,}",
                hint="use a longer text, or a smaller --seq-len",
            )
        windows = (split.train_characters - 1) // config.seq_len
    return min(config.batch_size, max(1, windows // MIN_WINDOWS_PER_ROW))


class TrainWindows:
    """A training text as W windows of T characters, read by B rows.

    A target is the text's next character, even across the edge of a window; no window crosses the
    end of the text. If T does not divide N - 1, the last window is moved back to end with the text.
    The rows of an epoch read (N - 1) // (B·T) windows each, and together one stretch of the text.
    An epoch begins where the epoch before it ended; after the last window comes the first. So all
    windows are read equally often, up to one time. The seed chooses the first one.

    The recurrent state is carried from window to window. It is reset to zero at the start of every
    epoch, before the first window of the text, before a last window that was moved back, and in a
    fraction `reset` of all windows: otherwise, the model hardly ever sees the beginning of a text,
    and generates nonsense after a short prime.
    """

    def __init__(
        self, corpus: Corpus, spans: Sequence[Span], config: TrainConfig, seed: int
    ) -> None:
        self._corpus = corpus
        self._spans = spans
        self._starts = [0, *itertools.accumulate(stop - start for start, stop in spans)]
        firsts = (first for first, _ in spans)
        self._shifts_S = np.array([*map(operator.sub, firsts, self._starts)], np.int64)
        self.num_characters = num_characters = self._starts[-1]
        self.batch_size, self.seq_len = config.batch_size, config.seq_len
        self.per_epoch = (num_characters - 1) // (self.batch_size * self.seq_len)
        if not self.per_epoch:
            needed = self.batch_size * self.seq_len + 1
            fitting = max(1, (num_characters - 1) // self.seq_len)
            raise TextError(
                f"--batch-size {self.batch_size} x --seq-len {self.seq_len} needs {needed:,} "
                f"characters of training text; "
                f"the training part of this text has {num_characters:,}",
                hint=f"use --batch-size {fitting} or a smaller --seq-len",
            )
        self.num_windows = -((1 - num_characters) // self.seq_len)
        """Windows of the text, W; an epoch leaves out at most B of them."""
        self.last_start = num_characters - 1 - self.seq_len
        """Start of the text's last window."""
        self._last_is_moved = self.last_start % self.seq_len != 0
        self._rows_B = np.arange(self.batch_size) * self.per_epoch
        raw = int(np.random.PCG64(derive_seed("start", seed)).random_raw())
        self._first_window = raw % self.num_windows
        self._reset_probability, self._seed = config.reset, seed

    @property
    def num_symbols(self) -> int:
        return len(self._corpus.vocab)

    @property
    def shifts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where each span starts in the training text, and how much farther in the whole, (S,)."""
        return np.array(self._starts[:-1], np.int64), self._shifts_S

    def num_rows(self, step: int) -> int:
        """Return the number of rows of a step, B."""
        return self.batch_size

    def at(self, step: int, share: Share = WHOLE) -> Window:
        """Return the rows of a share in the window of a step."""
        rows = share.of(self.batch_size)
        starts_B = self.starts(step)[rows]
        ids_TB = np.empty((self.seq_len + 1, len(starts_B)), np.int64)
        for row, start in enumerate(starts_B.tolist()):
            self.read_into(ids_TB[:, row], start)
        count = self.seq_len * self.batch_size
        return Window(ids_TB[:-1], ids_TB[1:], self.reset_rows(step)[rows], count)

    def positions(self, step: int, share: Share = WHOLE) -> npt.NDArray[np.int64]:
        """Return where each target of a step is in the text, (T, B)."""
        starts_B = self.starts(step)[share.of(self.batch_size)]
        targets_TB = starts_B + np.arange(1, self.seq_len + 1)[:, None]
        spans_TB = np.searchsorted(self._starts, targets_TB, side="right") - 1
        positions_TB: npt.NDArray[np.int64] = targets_TB + self._shifts_S[spans_TB]
        return positions_TB

    def reset_rows(self, step: int) -> npt.NDArray[np.bool_]:
        """Return the mask (B,) of rows that start from the zero state.

        All rows do in an epoch's first window; later, rows where the text starts or a last window
        was moved back, and a random fraction set by (seed, step).
        """
        if step % self.per_epoch == 0:
            return np.ones(self.batch_size, bool)
        windows_B = self._windows(step)
        mask_B: npt.NDArray[np.bool_] = windows_B == 0
        if self._last_is_moved:
            mask_B |= windows_B == self.num_windows - 1
        if self._reset_probability:
            words = derive_seed("reset", self._seed, step)
            raw_B = np.random.PCG64(words).random_raw(self.batch_size)
            mask_B |= (raw_B >> np.uint64(11)) * 2.0**-53 < self._reset_probability
        return mask_B

    def first_window(self, step: int) -> int:
        """Return the number of the first row's window; row b is `b * per_epoch` windows ahead."""
        epoch, window = divmod(step, self.per_epoch)
        read_before = epoch * self.batch_size * self.per_epoch
        return (self._first_window + read_before + window) % self.num_windows

    def starts(self, step: int) -> npt.NDArray[np.int64]:
        """Return where each row of a step starts in the training text, (B,)."""
        return np.minimum(self._windows(step) * self.seq_len, self.last_start)

    def _windows(self, step: int) -> npt.NDArray[np.int64]:
        """Return the number of each row's window, (B,)."""
        return (self._rows_B + self.first_window(step)) % self.num_windows

    def read_into(self, ids_T: npt.NDArray[Any], start: int) -> None:
        """Fill the array with the ids from `start` on in the training text."""
        filled = 0
        span = bisect_right(self._starts, start) - 1
        while filled < len(ids_T):
            first, last = self._spans[span]
            begin = first + start + filled - self._starts[span]
            count = min(last - begin, len(ids_T) - filled)
            ids_T[filled : filled + count] = self._corpus.read(begin, begin + count)
            filled += count
            span += 1


class DocumentWindows:
    """Separate documents, each cut into windows of T characters.

    The last window of a document is padded with IGNORED targets. The W windows of all documents
    follow one another. The rows of an epoch read W // B windows each, and together one stretch of
    this sequence. An epoch begins where the epoch before it ended; after the last window comes the
    first. So all windows are read equally often, up to one time. The state is zero where a document
    or the epoch starts. With `shuffle_documents`, each pass over the sequence has an order that is
    a function of (seed, pass).
    """

    def __init__(
        self, corpus: Corpus, spans: Sequence[Span], config: TrainConfig, seed: int
    ) -> None:
        self._corpus = corpus
        self._spans_D2 = np.array(spans, np.int64).reshape(-1, 2)
        self._windows_D = _windows_per_document(spans, config.seq_len)
        self._seed = seed if config.shuffle_documents else None
        self.batch_size, self.seq_len = config.batch_size, config.seq_len
        self._num_windows = int(self._windows_D.sum())
        self.per_epoch = self._num_windows // self.batch_size
        if not self.per_epoch:
            raise TextError(
                f"--batch-size {self.batch_size} needs at least {self.batch_size} windows of "
                f"{self.seq_len:,} characters; "
                f"this text's documents have {self._num_windows:,}",
                hint=f"use --batch-size {max(1, self._num_windows)}",
            )
        # The rows of a step are in at most two passes; another thread may be a step ahead.
        self._order_of_pass = functools.lru_cache(maxsize=3)(self._order)
        self._places = functools.lru_cache(maxsize=4)(self._find_places)  # asked for several times

    def at(self, step: int, share: Share = WHOLE) -> Window:
        """Return the rows of a share in the window of a step."""
        rows, places = share.of(self.batch_size), self._places(step)
        inputs_TB = np.zeros((self.seq_len, len(places[rows])), np.int64)
        targets_TB = np.full_like(inputs_TB, IGNORED)
        for row, (start, stop, _) in enumerate(places[rows]):
            count = stop - start
            ids = self._corpus.read(start, stop + 1)
            inputs_TB[:count, row], targets_TB[:count, row] = ids[:-1], ids[1:]
        total = sum(stop - start for start, stop, _ in places)
        return Window(inputs_TB, targets_TB, self.reset_rows(step)[rows], total)

    def positions(self, step: int, share: Share = WHOLE) -> npt.NDArray[np.int64]:
        """Return where each target of a step is in the text, (T, B); -1 if it is IGNORED."""
        places = self._places(step)[share.of(self.batch_size)]
        positions_TB = np.full((self.seq_len, len(places)), -1, np.int64)
        for row, (start, stop, _) in enumerate(places):
            positions_TB[: stop - start, row] = np.arange(start + 1, stop + 1)
        return positions_TB

    def reset_rows(self, step: int) -> npt.NDArray[np.bool_]:
        """Return the mask (B,) of rows that start from the zero state.

        All rows do in an epoch's first window; later, rows where a document starts.
        """
        is_first_B = np.array([is_first for _, _, is_first in self._places(step)])
        return is_first_B | (step % self.per_epoch == 0)

    def num_rows(self, step: int) -> int:
        """Return the number of rows of a step, B."""
        return self.batch_size

    def _find_places(self, step: int) -> list[tuple[int, int, bool]]:
        """Return the `_place` of each row's window."""
        epoch, window = divmod(step, self.per_epoch)
        first = epoch * self.batch_size * self.per_epoch + window
        return [self._place(first + row * self.per_epoch) for row in range(self.batch_size)]

    def _place(self, number: int) -> tuple[int, int, bool]:
        """Return a window's inputs as (start, stop), and whether a document starts there.

        The windows are numbered over all passes.
        """
        number_of_pass, place = divmod(number, self._num_windows)
        order_D, ends_D = self._order_of_pass(0 if self._seed is None else number_of_pass)
        rank = int(ends_D.searchsorted(place, side="right"))
        document = order_D[rank]
        window = place - int(ends_D[rank] - self._windows_D[document])
        first, last = (int(edge) for edge in self._spans_D2[document])
        start = first + window * self.seq_len
        return start, min(start + self.seq_len, last - 1), window == 0

    def _order(self, number: int) -> _Order:
        """Return the documents in the order of a pass, and the place after each one's windows."""
        order_D = np.arange(len(self._windows_D))
        if self._seed is not None:
            # Sorting raw numbers gives the same order in every numpy; a library's shuffle may not.
            words = derive_seed("shuffle", self._seed, number)
            raw_D = np.random.PCG64(words).random_raw(len(self._windows_D))
            order_D = np.argsort(raw_D, kind="stable")
        return order_D, np.cumsum(self._windows_D[order_D])


def _windows_per_document(spans: Sequence[Span], seq_len: int) -> npt.NDArray[np.int64]:
    """Return the windows per document, (D,); each character except the last is an input."""
    lengths_D = np.array([stop - start for start, stop in spans], np.int64)
    return -((1 - lengths_D) // seq_len)
