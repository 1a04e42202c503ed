"""How well a model predicts a text: nats per character, by one definition for every engine.

The text is cut into chunks of 20,000 characters. Each chunk starts from the zero state and first
reads the 1,000 characters before it, which are not scored again. The text's first character is not
scored, because nothing predicts it.
"""

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.text.corpus import Corpus, Ids, ProgressCallback, no_progress
from charrnn_cli.text.rows import row_windows
from charrnn_cli.text.vocab import Vocab, named_character

# T time · R rows: chunks side by side · N characters · V vocabulary · B blocks · D documents

CHUNK = 20_000  # characters
WARM_UP = 1_000  # characters
ROWS = 64  # chunks scored side by side
WINDOW = 250  # characters of each chunk per call of the predictor

BLOCK = 1 << 12  # characters; skipped characters are counted per block
BLOCKS_PER_PIECE = 64  # read at a time

Losses = npt.NDArray[np.float32]


class Predictor(Protocol):
    """A model that reads several rows of text side by side."""

    def start(self, rows: int) -> None:
        """Prepare `rows` rows, all at the zero state."""

    def losses(self, inputs_TR: npt.NDArray[np.int64], targets_TR: npt.NDArray[np.int64]) -> Losses:
        """Read the inputs and return the nats of each target, shape (T, R).

        Where a target is negative, the returned number has no meaning.
        """


class NumpyPredictor:
    """A predictor that uses the sampling engine."""

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


def character_losses(
    predictor: Predictor, corpus: Corpus, progress: ProgressCallback = no_progress
) -> Iterator[Losses]:
    """Yield the nats of all characters but the first, in the text's order, as arrays (N,).

    `corpus` must hold ids of the model's vocabulary; see `in_vocabulary`.
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
            yield losses_TR[max(scored, 1) - warm : stop - warm, row]


def in_vocabulary(
    corpus: Corpus, vocab: Vocab, unknown: Literal["error", "skip"] = "error"
) -> Corpus:
    """Return the text with the ids of `vocab`, and with the same name and digest.

    With `unknown="skip"`, characters outside `vocab` are left out; the text gets shorter by their
    number. Otherwise they raise UnknownCharacterError. Nothing is copied: ids are translated when
    they are read.
    """
    if corpus.vocab == vocab:
        return corpus
    unknown_characters = [
        character for character in corpus.vocab.characters if character not in vocab
    ]
    if unknown_characters and unknown == "error":
        raise _unknown_error(corpus.name, unknown_characters)
    known_V = np.array([character in vocab for character in corpus.vocab.characters], bool)
    ids_V = np.zeros(len(known_V), np.uint32)
    ids_V[known_V] = vocab.encode("".join(c for c in corpus.vocab.characters if c in vocab))
    counts_V = np.zeros(len(vocab), np.uint64)
    counts_V[ids_V[known_V]] = corpus.counts_V[known_V]
    if not unknown_characters:
        return Corpus(
            vocab,
            counts_V,
            lambda start, stop: ids_V[corpus.read(start, stop)],
            corpus.metadata,
            corpus.starts,
        )
    kept = _KnownCharacters(corpus, known_V)
    return Corpus(
        vocab,
        counts_V,
        lambda start, stop: ids_V[kept.read(start, stop)],
        {**corpus.metadata, "characters": kept.count},
        kept.starts,
    )


def _unknown_error(name: str, characters: list[str]) -> UnknownCharacterError:
    named = ", ".join(named_character(character) for character in characters[:5])
    more = f" and {len(characters) - 5:,} more" if len(characters) > 5 else ""
    return UnknownCharacterError(
        f"the text {name!r} has characters the model never saw: {named}{more}",
        hint="leave them out with --unknown skip, or score a model that was trained on them",
    )


class _KnownCharacters:
    """A text without the characters that a vocabulary lacks, in the text's own ids.

    One pass counts the known characters before each block, so that any stretch can be read later.
    """

    def __init__(self, corpus: Corpus, known_V: npt.NDArray[np.bool_]) -> None:
        self._corpus, self._known_V = corpus, known_V
        starts_D = np.array(corpus.starts)
        new_starts_D = np.zeros_like(starts_D)
        before_B: list[int] = []
        self.count = 0
        piece = BLOCK * BLOCKS_PER_PIECE
        for start in range(0, len(corpus), piece):
            stop = min(start + piece, len(corpus))
            known_N = known_V[corpus.read(start, stop)]
            before_N = self.count + np.cumsum(known_N) - known_N
            before_B += before_N[::BLOCK].tolist()
            here = slice(*np.searchsorted(starts_D, (start, stop)))
            new_starts_D[here] = before_N[starts_D[here] - start]
            self.count += int(np.count_nonzero(known_N))
        new_starts_D[starts_D >= len(corpus)] = self.count
        self.starts: list[int] = new_starts_D.tolist()
        self._before_B = np.array([*before_B, self.count])

    def read(self, start: int, stop: int) -> Ids:
        """Ids of the known characters from `start` to `stop`, shape (stop - start,)."""
        first = int(np.searchsorted(self._before_B, start, side="right")) - 1
        last = max(first, int(np.searchsorted(self._before_B, stop)))
        begin, end = (min(block * BLOCK, len(self._corpus)) for block in (first, last))
        ids = self._corpus.read(begin, end)
        skipped = int(self._before_B[first])
        return ids[self._known_V[ids]][start - skipped : stop - skipped]
