"""Scoring documents from end symbol to end symbol, each from the zero state.

The first character of a document is predicted from the end symbol before it, and its own end is
predicted, too. A document of more than 20,000 characters is cut into chunks as a long text is.
Documents are read in the order of their lengths and contents, and equal ones only once, so that
rounding, too, is the same for any order of the same documents.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import ConfigError
from charrnn_cli.model.filters import overflow_error
from charrnn_cli.model.scoring import CHUNK, ROWS, WARM_UP, WINDOW, Losses, Predictor
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.item_split import document_hashes
from charrnn_cli.text.rows import Span, row_windows

# T time · R rows: documents or their chunks · N characters · D documents · U different documents

SHORT = 1_000  # characters; of shorter documents, more are read in parallel
SHORT_ROWS = 256

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DocumentLosses:
    """The losses of a text's documents."""

    spans: Integers
    """Where the scored characters of each document start and stop, its end included, (D, 2)."""
    losses: Losses
    """Nats of every character and end, (N,); 0 for the first end symbol."""

    @property
    def characters(self) -> int:
        """Number of characters that were scored, the ends of documents included."""
        return int((self.spans[:, 1] - self.spans[:, 0]).sum())

    @property
    def nats(self) -> float:
        """The exact sum of all losses."""
        return math.fsum(self.losses)


def document_losses(
    predictor: Predictor, corpus: Corpus, progress: ProgressCallback = no_progress
) -> DocumentLosses:
    """Score every document of a text that has end symbols, in the ids of the model.

    Empty documents are left out. Raises ConfigError if there is no other, and FileFormatError if
    the model's numbers overflow.
    """
    spans_D2 = corpus.document_spans() + np.array([1, 0])
    hashes_D = document_hashes(corpus)
    is_empty_D = spans_D2[:, 1] - spans_D2[:, 0] < 2
    spans_D2, hashes_D = spans_D2[~is_empty_D], hashes_D[~is_empty_D]
    if not len(spans_D2):
        raise no_character_error()
    lengths_D = spans_D2[:, 1] - spans_D2[:, 0]
    order_D = np.lexsort((hashes_D, lengths_D))
    is_same_D = np.arange(len(order_D)) > 0  # as the one before in this order
    for key_D in (lengths_D[order_D], hashes_D[order_D]):
        is_same_D[1:] &= key_D[1:] == key_D[:-1]
    first_D = order_D[~is_same_D][np.cumsum(~is_same_D) - 1]
    losses_N, done = np.zeros(len(corpus), np.float32), 0
    for chunks in _groups(spans_D2[order_D[~is_same_D]]):
        _score_chunks(predictor, corpus, chunks, losses_N)
        done += sum(stop - start for _, start, stop in chunks)
        progress(done, len(corpus))
    for document, first in zip(order_D.tolist(), first_D.tolist(), strict=True):
        if document != first:
            (start, stop), (from_start, from_stop) = spans_D2[[document, first]].tolist()
            losses_N[start:stop] = losses_N[from_start:from_stop]
    return DocumentLosses(spans_D2, losses_N)


def no_character_error() -> ConfigError:
    """Return the error for a text without items, or without characters."""
    return ConfigError("scoring needs at least one character; this text has none")


Chunk = tuple[int, int, int]
"""The first character that is read, the first that is scored, and the one after the last."""


def _groups(spans_U2: Integers) -> Iterator[list[Chunk]]:
    """Yield the chunks of documents in ascending order of length, in groups to read in parallel."""
    group: list[Chunk] = []
    for first in range(0, len(spans_U2), SHORT_ROWS):
        for start, stop in spans_U2[first : first + SHORT_ROWS].tolist():
            if group and len(group) >= (SHORT_ROWS if stop - start <= SHORT else ROWS):
                yield group
                group = []
            group.extend(
                (max(start, scored - WARM_UP + 1), scored, min(scored + CHUNK, stop))
                for scored in range(start, stop, CHUNK)
            )
    yield group


def _score_chunks(
    predictor: Predictor, corpus: Corpus, chunks: list[Chunk], losses_N: Losses
) -> None:
    """Read chunks in parallel, and write the losses of their characters to `losses_N`."""
    for first in range(0, len(chunks), SHORT_ROWS):
        some = chunks[first : first + SHORT_ROWS]
        rows: list[Span] = [(warm, stop) for warm, _, stop in some]
        predictor.start(len(rows))
        longest = max(stop - warm for warm, stop in rows)
        for begin in range(0, longest, WINDOW):
            length = min(WINDOW, longest - begin)
            losses_TR = predictor.losses(*row_windows(corpus, rows, begin, length))
            for row, (warm, scored, stop) in enumerate(some):
                start, end = max(scored, warm + begin), min(stop, warm + begin + length)
                if start < end:
                    losses_N[start:end] = losses_TR[start - warm - begin : end - warm - begin, row]
        if any(np.isnan(losses_N[scored:stop]).any() for _, scored, stop in some):
            raise overflow_error()
