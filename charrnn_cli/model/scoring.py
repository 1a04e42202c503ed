"""Scoring a text in nats per character, by the same definition for every engine.

The text is cut into chunks of 20,000 characters. Each chunk starts from the zero state and first
reads the 1,000 characters before it, which are not scored again. The text's first character is not
scored, because nothing predicts it.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax, overflow_error
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.rows import row_windows

# T time · R rows: chunks in parallel · N characters

CHUNK = 20_000  # characters
WARM_UP = 1_000  # characters
ROWS = 64  # chunks scored in parallel
WINDOW = 250  # characters of each chunk per call of the predictor


Losses = npt.NDArray[np.float32]


def check_length(characters: int, which: str = "") -> None:
    """Raise ConfigError for less than two characters; `which` ends its message."""
    if characters < 2:
        found = "only one" if characters else "none"
        raise ConfigError(f"scoring needs at least two characters; this text has {found}{which}")


class Predictor(Protocol):
    """A model that reads several rows of text in parallel."""

    def start(self, rows: int) -> None:
        """Prepare `rows` rows, all at the zero state."""

    def losses(self, inputs_TR: npt.NDArray[np.int64], targets_TR: npt.NDArray[np.int64]) -> Losses:
        """Read the inputs and return the nats of each target, shape (T, R).

        The loss of a negative target, which is padding, has no meaning.
        """


class NumpyPredictor:
    """A predictor that uses the sampling engine."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._first = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)

    def start(self, rows: int) -> None:
        self._engine = self._first.repeat(rows)

    @np.errstate(over="ignore", invalid="ignore")  # `character_losses` reports an overflow
    def losses(self, inputs_TR: npt.NDArray[np.int64], targets_TR: npt.NDArray[np.int64]) -> Losses:
        losses_TR = np.empty(inputs_TR.shape, np.float32)
        for time, logits_RV in enumerate(self._engine.read(inputs_TR)):
            log_probabilities_RV = log_softmax(logits_RV)
            targets_R1 = np.maximum(targets_TR[time], 0)[:, None]
            losses_TR[time] = -np.take_along_axis(log_probabilities_RV, targets_R1, axis=1)[:, 0]
        return losses_TR


def character_losses(
    predictor: Predictor, corpus: Corpus, progress: ProgressCallback = no_progress
) -> Iterator[Losses]:
    """Yield the nats of all characters except the first, in order, as arrays (N,).

    `corpus` must hold ids of the model's vocabulary; see `in_vocabulary`. Raises FileFormatError if
    the model's numbers overflow.
    """
    starts = range(0, len(corpus), CHUNK)
    for first in range(0, len(starts), ROWS):
        chunks = [
            (start, min(start + CHUNK, len(corpus))) for start in starts[first : first + ROWS]
        ]
        # A row's first input is the character before the row: the first character of the warm-up.
        rows = [(max(1, start - WARM_UP + 1), stop) for start, stop in chunks]
        if rows[0][0] >= rows[0][1]:
            return  # a text of one character
        predictor.start(len(rows))
        longest = max(stop - start for start, stop in rows)
        windows = []
        for start in range(0, longest, WINDOW):
            windows.append(
                predictor.losses(*row_windows(corpus, rows, start, min(WINDOW, longest - start)))
            )
            progress(min(first * CHUNK + start * len(rows), len(corpus)), len(corpus))
        losses_TR = np.concatenate(windows)
        for row, ((warm, stop), (scored, _)) in enumerate(zip(rows, chunks, strict=True)):
            losses_N = losses_TR[max(scored, 1) - warm : stop - warm, row]
            if np.isnan(losses_N).any():
                raise overflow_error()
            yield losses_N
