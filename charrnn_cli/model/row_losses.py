"""The losses of a model on rows of a text, each row from the zero state."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.filters import overflow_error
from charrnn_cli.model.scoring import WINDOW, Predictor
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.rows import Span, row_windows

# T time · R rows

MOST_ROWS = 64  # rows that are read in parallel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RowLosses:
    """The losses of a model on each of R rows."""

    nats: Floats
    """The sum over the characters of each row, (R,)."""
    characters: Floats
    """Their number, (R,)."""

    @property
    def mean(self) -> float:
        """Mean nats per character."""
        return float(self.nats.sum() / self.characters.sum())


def row_losses(
    predictor: Predictor,
    corpus: Corpus,
    rows: Sequence[Span],
    progress: ProgressCallback = no_progress,
) -> RowLosses:
    """Score rows as the evaluations of a run do: every character of a row once.

    `corpus` must hold ids of the model's vocabulary. Raises as `Corpus.read` does, and
    FileFormatError if the model's numbers overflow.
    """
    lengths_R = np.array([stop - start for start, stop in rows], np.int64)
    order_R = np.argsort(lengths_R, kind="stable")  # a group takes as long as its longest row
    nats_R, done, total = np.zeros(len(rows)), 0, int(lengths_R.sum())
    for first in range(0, len(rows), MOST_ROWS):
        some = order_R[first : first + MOST_ROWS]
        spans = [rows[row] for row in some.tolist()]
        predictor.start(len(spans))
        for start in range(0, int(lengths_R[some].max()), WINDOW):
            length = min(WINDOW, int(lengths_R[some].max()) - start)
            inputs_TR, targets_TR = row_windows(corpus, spans, start, length)
            losses_TR = predictor.losses(inputs_TR, targets_TR)
            nats_R[some] += np.where(targets_TR < 0, 0.0, losses_TR).sum(axis=0, dtype=np.float64)
            progress(min(done + (start + length) * len(spans), total), total)
        done += int(lengths_R[some].sum())
    if not np.isfinite(nats_R).all():
        raise overflow_error()
    return RowLosses(nats_R, lengths_R.astype(np.float64))


def beginnings(rows: Sequence[Span], most: float) -> tuple[Span, ...]:
    """Return the first part of every row, of equal shares, with at most `most` characters.

    At least one character of each row is kept.
    """
    total = sum(stop - start for start, stop in rows)
    share = min(1.0, most / max(total, 1))
    return tuple((start, start + max(1, int((stop - start) * share))) for start, stop in rows)
