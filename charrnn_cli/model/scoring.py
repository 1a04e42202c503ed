"""How well a model foretells a text: nats a character, by one definition for every engine.

The text is cut into chunks of 20,000 characters. Each starts from the zero state and reads the 1,000 characters
before it, which are not scored again; the text's first character, which nothing foretells, is not scored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.rows import row_windows
from charrnn_cli.text.vocab import Vocab, named_character

# T time · R rows: chunks side by side

CHUNK = 20_000  # characters
WARM_UP = 1_000
ROWS = 64  # chunks at a time
WINDOW = 250  # characters of each at a time

Losses = npt.NDArray[np.float32]


class Predictor(Protocol):
    """A model at work on several rows of text."""

    def start(self, rows: int) -> None:
        """So many rows from now on, all at the zero state."""

    def losses(self, inputs_TR: npt.NDArray[np.int64], targets_TR: npt.NDArray[np.int64]) -> Losses:
        """Nats of each target (T, R), after its input and all before it; any figure where the target is below 0."""


class NumpyPredictor:
    """The engine that samples."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._first = Engine(checkpoint.model, checkpoint.weights)

    def start(self, rows: int) -> None:
        self._engine = self._first.repeat(rows)

    def losses(self, inputs_TR: npt.NDArray[np.int64], targets_TR: npt.NDArray[np.int64]) -> Losses:
        losses_TR = np.empty(inputs_TR.shape, np.float32)
        for time, inputs_R in enumerate(inputs_TR):
            log_probabilities_RV = log_softmax(self._engine.step(inputs_R))
            targets_R1 = np.maximum(targets_TR[time], 0)[:, None]
            losses_TR[time] = -np.take_along_axis(log_probabilities_RV, targets_R1, axis=1)[:, 0]
        return losses_TR


@dataclass(frozen=True, slots=True)
class Score:
    """Of a whole text."""

    characters: int
    """That were foretold: all but the first."""
    nats: float
    """A character, on average."""


def score(predictor: Predictor, corpus: Corpus, progress: ProgressCallback = no_progress) -> Score:
    """The mean over a text; 0 of 0 characters where nothing is foretold."""
    total, characters = 0.0, 0
    for losses_N in character_losses(predictor, corpus, progress):
        total += float(losses_N.sum(dtype=np.float64))
        characters += len(losses_N)
    return Score(characters, total / characters if characters else 0.0)


def character_losses(
    predictor: Predictor, corpus: Corpus, progress: ProgressCallback = no_progress
) -> Iterator[Losses]:
    """Nats of every character but the first, in the text's order, in pieces."""
    starts = range(0, len(corpus), CHUNK)
    for first in range(0, len(starts), ROWS):
        chunks = [
            (start, min(start + CHUNK, len(corpus))) for start in starts[first : first + ROWS]
        ]
        # A row's first input is the character before it: the first of those that warm up.
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
            yield losses_TR[max(scored, 1) - warm : stop - warm, row]


def in_vocabulary(corpus: Corpus, vocab: Vocab) -> Corpus:
    """The text with another vocabulary's ids. Raises UnknownCharacterError for a character that it does not have."""
    if corpus.vocab == vocab:
        return corpus
    unknown = [character for character in corpus.vocab.characters if character not in vocab]
    if unknown:
        where = f"the text {corpus.name!r} has characters the model never saw"
        named = ", ".join(named_character(character) for character in unknown[:5])
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise UnknownCharacterError(
            f"{where}: {named}{more}",
            hint="use --unknown skip to leave them out, or a model that was trained on them",
        )
    table_V = np.array(vocab.encode(corpus.vocab.characters), np.uint32)
    counts_V = np.zeros(len(vocab), np.uint64)
    counts_V[table_V] = corpus.counts_V
    return Corpus(
        vocab, counts_V, lambda start, stop: table_V[corpus.read(start, stop)], corpus.metadata
    )
