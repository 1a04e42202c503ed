"""The training text as windows: what a step reads in each row, and where a row starts afresh."""

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
    """What one step trains on."""

    inputs: npt.NDArray[np.int64]
    """Ids, (T, B)."""
    targets: npt.NDArray[np.int64]
    """The character after each input, (T, B); IGNORED where a document has ended."""
    reset_rows: npt.NDArray[np.bool_] | None
    """Rows whose state is zero before this window, (B,); None where there is none such."""
    count: int
    """Targets that count."""


class Windows(Protocol):
    """Every step's window: a function of the step alone."""

    per_epoch: int
    batch_size: int
    seq_len: int

    def at(self, step: int) -> Window:
        """The window of a step, counted from 0 over all epochs."""


def make_windows(
    corpus: Corpus, split: Split, config: TrainConfig
) -> "TrainWindows | DocumentWindows":
    """Raises TextError for a text that is too short for the batch."""
    apart = keeps_documents_apart(corpus, config)
    return (
        DocumentWindows(corpus, split.train, config)
        if apart
        else TrainWindows(corpus, split.train, config)
    )


def fitting_batch_size(corpus: Corpus, split: Split, config: TrainConfig) -> int:
    """The configured batch, or the largest that leaves a window of text to each row.

    Raises TextError for a text below seq len + 2 characters; documents that are kept apart may be shorter.
    """
    if keeps_documents_apart(corpus, config):
        windows = int(_windows_of(split.train, config.seq_len).sum())
        if not windows:
            raise TextError(
                "every document is a single character, so there is nothing to predict",
                hint="join the documents with --separator '\\n'",
            )
        return min(config.batch_size, windows)
    if split.train_characters < config.seq_len + 2:
        raise TextError(
            f"training needs at least seq len + 2 = {config.seq_len + 2:,} characters, "
            f"and this text leaves {split.train_characters:,}",
            hint="use a longer text, or a smaller --seq-len",
        )
    return min(config.batch_size, (split.train_characters - 1) // config.seq_len)


class TrainWindows:
    """The training text as B contiguous rows, cut into windows of T characters.

    An epoch has (N - 1) // (B·T) windows. A target is the text's next character, also across a window's edge.
    The state goes from window to window, and starts at zero each epoch and in a share of all windows: else the model
    would hardly ever see how a text begins, and write nonsense after a short prime.
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
        self._reset, self._seed = config.reset, config.seed or 0

    @property
    def num_symbols(self) -> int:
        return len(self._corpus.vocab)

    def at(self, step: int) -> Window:
        """The window of a step."""
        ids_TB = np.empty((self.seq_len + 1, self.batch_size), np.int64)
        for row, start in enumerate(self.starts(step % self.per_epoch)):
            self.read_into(ids_TB[:, row], int(start))
        return Window(ids_TB[:-1], ids_TB[1:], self.reset_rows(step), ids_TB[1:].size)

    def reset_rows(self, step: int) -> npt.NDArray[np.bool_] | None:
        """Rows that start at the zero state, (B,): all at an epoch's first window, later a share by (seed, step)."""
        if step % self.per_epoch == 0:
            return np.ones(self.batch_size, bool)
        if not self._reset:
            return None
        raw_B = np.random.PCG64(derive_seed("reset", self._seed, step)).random_raw(self.batch_size)
        reset_rows_B: npt.NDArray[np.bool_] = (raw_B >> np.uint64(11)) * 2.0**-53 < self._reset
        return reset_rows_B if reset_rows_B.any() else None

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


class DocumentWindows:
    """Documents kept apart: each is cut into windows of T characters, the last filled up with targets that are ignored.

    The windows of all documents, W, stand one behind the other; each of the B rows reads W // B of them, its state
    zero where a document or the epoch starts. Documents are shuffled by (seed, epoch) where that is wanted.
    """

    def __init__(self, corpus: Corpus, spans: Sequence[Span], config: TrainConfig) -> None:
        self._corpus = corpus
        self._spans_D2 = np.array(spans, np.int64).reshape(-1, 2)
        self._windows_D = _windows_of(spans, config.seq_len)
        self._seed = config.seed if config.shuffle_documents else None
        self.batch_size, self.seq_len = config.batch_size, config.seq_len
        total = int(self._windows_D.sum())
        self.per_epoch = total // self.batch_size
        if not self.per_epoch:
            raise TextError(
                f"batch size {self.batch_size:,} needs as many windows of {self.seq_len:,} characters, "
                f"and these {len(spans):,} documents have {total:,}",
                hint=f"use --batch-size {max(1, total)}",
            )
        self._epoch, self._order_D, self._ends_D = (
            -1,
            np.arange(len(spans)),
            np.cumsum(self._windows_D),
        )

    def at(self, step: int) -> Window:
        """The window of a step."""
        epoch, window = divmod(step, self.per_epoch)
        self._arrange(epoch)
        inputs_TB = np.zeros((self.seq_len, self.batch_size), np.int64)
        targets_TB = np.full_like(inputs_TB, IGNORED)
        reset_rows_B, total = np.full(self.batch_size, window == 0), 0
        for row in range(self.batch_size):
            place = row * self.per_epoch + window
            rank = int(np.searchsorted(self._ends_D, place, side="right"))
            document = self._order_D[rank]
            number = place - int(self._ends_D[rank] - self._windows_D[document])
            start = int(self._spans_D2[document, 0]) + number * self.seq_len
            count = min(self.seq_len, int(self._spans_D2[document, 1]) - 1 - start)
            ids = self._corpus.read(start, start + count + 1)
            inputs_TB[:count, row], targets_TB[:count, row] = ids[:-1], ids[1:]
            reset_rows_B[row] |= number == 0
            total += count
        return Window(inputs_TB, targets_TB, reset_rows_B if reset_rows_B.any() else None, total)

    def _arrange(self, epoch: int) -> None:
        if self._seed is None or epoch == self._epoch:
            return
        # Raw numbers sorted: the same for ever, as a library's shuffle is not.
        raw = np.random.PCG64(derive_seed("shuffle", self._seed, epoch)).random_raw(
            len(self._windows_D)
        )
        self._epoch, self._order_D = epoch, np.argsort(raw, kind="stable")
        self._ends_D = np.cumsum(self._windows_D[self._order_D])


def _windows_of(spans: Sequence[Span], seq_len: int) -> npt.NDArray[np.int64]:
    """How many windows each document has, (D,): its characters but the last are inputs."""
    lengths_D = np.array([stop - start for start, stop in spans], np.int64)
    return -((1 - lengths_D) // seq_len)
