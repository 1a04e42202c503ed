"""The training text as windows, one per step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import TextError
from charrnn_cli.seeds import derive_seed
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import IGNORED, Span
from charrnn_cli.text.splits import Split, keeps_documents_apart

# B batch rows · T time · N characters of training text · D documents · W windows of an epoch


@dataclass(frozen=True, slots=True)
class Window:
    """The inputs and targets of one step."""

    inputs: npt.NDArray[np.int64]
    """Ids, (T, B)."""
    targets: npt.NDArray[np.int64]
    """The character after each input, (T, B); IGNORED after the end of a document."""
    reset_rows: npt.NDArray[np.bool_] | None
    """Mask (B,) of rows whose state is reset before this window; None if no row is."""
    count: int
    """Targets that are not IGNORED."""


class Windows(Protocol):
    """The window of each step, which depends only on the step."""

    per_epoch: int
    """Windows in one pass over the text."""

    def at(self, step: int) -> Window:
        """Return the window of a step, counted from 0 over all epochs."""


def make_windows(
    corpus: Corpus, split: Split, config: TrainConfig, seed: int
) -> "TrainWindows | DocumentWindows":
    """Build the windows of a training text. Raises TextError for a text too short for the batch."""
    if keeps_documents_apart(corpus, config):
        return DocumentWindows(corpus, split.train, config, seed)
    return TrainWindows(corpus, split.train, config, seed)


def fitting_batch_size(corpus: Corpus, split: Split, config: TrainConfig) -> int:
    """Return the configured batch size, or the largest that gives each row a window of text.

    Raises TextError for a text below seq len + 2 characters, unless documents are kept apart.
    """
    if keeps_documents_apart(corpus, config):
        windows = int(_windows_per_document(split.train, config.seq_len).sum())
        if not windows:
            raise TextError(
                "every document is a single character, so there is nothing to predict",
                hint="join the documents with --separator '\\n'",
            )
        return min(config.batch_size, windows)
    if split.train_characters < config.seq_len + 2:
        part = "the training part of this text" if split.val else "this text"
        raise TextError(
            f"training needs at least {config.seq_len + 2:,} characters (--seq-len + 2); "
            f"{part} has {split.train_characters:,}",
            hint="use a longer text, or a smaller --seq-len",
        )
    return min(config.batch_size, (split.train_characters - 1) // config.seq_len)


class TrainWindows:
    """A training text as B contiguous rows, cut into windows of T characters.

    An epoch has (N - 1) // (B·T) windows. A target is the text's next character, even across the
    edge of a window. The recurrent state is carried from window to window. It is reset to zero at
    the start of every epoch, and in a fraction `reset` of all windows: otherwise, the model hardly
    ever sees the beginning of a text, and generates nonsense after a short prime.
    """

    def __init__(
        self, corpus: Corpus, spans: Sequence[Span], config: TrainConfig, seed: int
    ) -> None:
        self._corpus = corpus
        self._spans = spans
        self._starts = np.cumsum([0, *(stop - start for start, stop in spans)])
        self.num_characters = num_characters = int(self._starts[-1])
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
        self._row_length = num_characters // self.batch_size
        self._reset_probability, self._seed = config.reset, seed

    @property
    def num_symbols(self) -> int:
        return len(self._corpus.vocab)

    def at(self, step: int) -> Window:
        """Return the window of a step."""
        ids_TB = np.empty((self.seq_len + 1, self.batch_size), np.int64)
        for row, start in enumerate(self.starts(step % self.per_epoch)):
            self.read_into(ids_TB[:, row], int(start))
        return Window(ids_TB[:-1], ids_TB[1:], self.reset_rows(step), ids_TB[1:].size)

    def reset_rows(self, step: int) -> npt.NDArray[np.bool_] | None:
        """Return the mask (B,) of rows that start from the zero state; None if no row does.

        All rows do in an epoch's first window; later, a random fraction set by (seed, step).
        """
        if step % self.per_epoch == 0:
            return np.ones(self.batch_size, bool)
        if not self._reset_probability:
            return None
        words = derive_seed("reset", self._seed, step)
        raw_B = np.random.PCG64(words).random_raw(self.batch_size)
        mask_B: npt.NDArray[np.bool_]
        mask_B = (raw_B >> np.uint64(11)) * 2.0**-53 < self._reset_probability
        return mask_B if mask_B.any() else None

    def starts(self, window: int) -> npt.NDArray[np.int64]:
        """Return the start of each row of a window in the training text, (B,)."""
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


class DocumentWindows:
    """Separate documents, each cut into windows of T characters.

    The last window of a document is padded with IGNORED targets. The windows of all documents, W,
    follow one another; each of the B rows reads W // B of them. The state is zero where a document
    or the epoch starts. With `shuffle_documents`, the order is a function of (seed, epoch).
    """

    def __init__(
        self, corpus: Corpus, spans: Sequence[Span], config: TrainConfig, seed: int
    ) -> None:
        self._corpus = corpus
        self._spans_D2 = np.array(spans, np.int64).reshape(-1, 2)
        self._windows_D = _windows_per_document(spans, config.seq_len)
        self._seed = seed if config.shuffle_documents else None
        self.batch_size, self.seq_len = config.batch_size, config.seq_len
        total = int(self._windows_D.sum())
        self.per_epoch = total // self.batch_size
        if not self.per_epoch:
            raise TextError(
                f"--batch-size {self.batch_size} needs at least {self.batch_size} windows of "
                f"{self.seq_len:,} characters; this text's documents have {total:,}",
                hint=f"use --batch-size {max(1, total)}",
            )
        self._epoch, self._order_D = -1, np.arange(len(spans))
        self._ends_D = np.cumsum(self._windows_D)

    def at(self, step: int) -> Window:
        """Return the window of a step."""
        epoch, window = divmod(step, self.per_epoch)
        self._shuffle(epoch)
        inputs_TB = np.zeros((self.seq_len, self.batch_size), np.int64)
        targets_TB = np.full_like(inputs_TB, IGNORED)
        reset_rows_B, total = np.full(self.batch_size, window == 0), 0
        for row in range(self.batch_size):
            start, stop, is_first = self._place(row * self.per_epoch + window)
            count = stop - start
            ids = self._corpus.read(start, stop + 1)
            inputs_TB[:count, row], targets_TB[:count, row] = ids[:-1], ids[1:]
            reset_rows_B[row] |= is_first
            total += count
        return Window(inputs_TB, targets_TB, reset_rows_B if reset_rows_B.any() else None, total)

    def _place(self, window: int) -> tuple[int, int, bool]:
        """Return a window's inputs as (start, stop), and whether a document starts there."""
        rank = int(np.searchsorted(self._ends_D, window, side="right"))
        document = self._order_D[rank]
        number = window - int(self._ends_D[rank] - self._windows_D[document])
        first, last = (int(edge) for edge in self._spans_D2[document])
        start = first + number * self.seq_len
        return start, min(start + self.seq_len, last - 1), number == 0

    def _shuffle(self, epoch: int) -> None:
        if self._seed is None or epoch == self._epoch:
            return
        # Sorting raw numbers gives the same order in every numpy; a library's shuffle may change.
        words = derive_seed("shuffle", self._seed, epoch)
        raw_D = np.random.PCG64(words).random_raw(len(self._windows_D))
        self._epoch, self._order_D = epoch, np.argsort(raw_D, kind="stable")
        self._ends_D = np.cumsum(self._windows_D[self._order_D])


def _windows_per_document(spans: Sequence[Span], seq_len: int) -> npt.NDArray[np.int64]:
    """Return the windows per document, (D,); each character except the last is an input."""
    lengths_D = np.array([stop - start for start, stop in spans], np.int64)
    return -((1 - lengths_D) // seq_len)
