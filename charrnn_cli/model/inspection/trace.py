"""One pass of the engine over a text, which keeps what the model expects and how it is activated.

The text is cut into chunks of 1,000 characters, which are read in parallel. Each first reads the
1,000 characters before it, so a model that forgets faster gives the bits of `scoring`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.document_scoring import no_character_error
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax, overflow_error
from charrnn_cli.model.inspection import LENGTH
from charrnn_cli.model.reading import end_symbol
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress

# N characters · G guesses · H hidden size · W steps of a window · R rows: chunks · V vocabulary

CHUNK = 1_000  # characters
WARM_UP = 1_000  # characters
GUESSES = 5
ROWS, SHORT_ROWS = 32, 256  # chunks read in parallel; more of them if they are short
SHORT = 100  # characters
WINDOW_NUMBERS = 1 << 17  # logits kept at a time

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Activations:
    """One part of the state of a layer, after each character was read."""

    layer: int
    """Counted from 0."""
    part: str
    """`h`, the hidden state, or `c`, tanh of an LSTM's cell state."""
    values: npt.NDArray[np.float16]
    """Of each unit after each character, (N, H)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a model expected and how it was activated at N characters."""

    text: str
    starts: Ids
    """Where each document starts, (D,); with the end symbol, if the text has one."""
    ids: Ids
    """Ids of the characters, (N,)."""
    bits: Floats
    """Surprise at each character in bits, (N,); NaN for those that nothing predicts."""
    guesses: npt.NDArray[np.int32]
    """Ids of the likeliest characters in the place of each, the likeliest first, (N, G)."""
    shares: Floats
    """Probabilities of the guesses, (N, G); NaN where nothing predicts."""
    activations: Sequence[Activations]

    @property
    def is_scored(self) -> npt.NDArray[np.bool_]:
        """Mask of the characters that are predicted, (N,)."""
        return ~np.isnan(self.bits)

    @property
    def bits_per_character(self) -> float:
        """The mean surprise of the characters that are predicted."""
        bits = self.bits[self.is_scored]
        return math.fsum(bits.tolist()) / len(bits)


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Chunks that are read in parallel: offsets in the text, each (R,)."""

    warm: Ids
    """Where reading begins."""
    start: Ids
    stop: Ids

    @property
    def longest(self) -> int:
        return int((self.stop - self.warm).max())


@np.errstate(over="ignore", invalid="ignore")  # an overflow is reported as an error
def trace(
    checkpoint: Checkpoint,
    corpus: Corpus,
    length: int = LENGTH,
    progress: ProgressCallback = no_progress,
) -> Trace:
    """Read the first `length` characters of a text, whose ids are those of the model.

    Documents with the model's end symbol are read one by one, each from the zero state.
    Raises ConfigError if nothing predicts any of them, and FileFormatError if the model's numbers
    overflow.
    """
    size = min(length, len(corpus))
    ids_N = corpus.read(0, size).astype(np.int64)
    has_documents = corpus.end is not None and corpus.end == end_symbol(checkpoint)
    starts_D = corpus.starts_D[corpus.starts_D < size] if has_documents else np.zeros(1, np.int64)
    recorder = _Recorder(checkpoint, ids_N, starts_D)
    first, done = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams), 0
    for chunks in _groups(starts_D, size):
        engine = first.repeat(len(chunks.start))
        window = max(1, WINDOW_NUMBERS // (len(chunks.start) * len(checkpoint.vocab)))
        for begin in range(0, chunks.longest, window):
            recorder.record(engine, chunks, begin, min(begin + window, chunks.longest))
            progress(min(done + begin * len(chunks.start) // 2, size), size)  # half is warm-up
        done += int((chunks.stop - chunks.start).sum())
    return recorder.finish(checkpoint.vocab.decode(ids_N.tolist()), starts_D)


def _groups(starts_D: Ids, size: int) -> Iterator[_Chunks]:
    """Yield chunks of similar length, the shortest first."""
    stops_D = np.append(starts_D[1:], size)
    chunks = [
        (max(first, start - WARM_UP), start, min(start + CHUNK, last))
        for first, last in zip(starts_D.tolist(), stops_D.tolist(), strict=True)
        for start in range(first, last, CHUNK)
    ]
    chunks.sort(key=lambda chunk: chunk[2] - chunk[0])
    at = 0
    while at < len(chunks):
        many = chunks[at : at + SHORT_ROWS]
        is_short = many[-1][2] - many[-1][0] <= SHORT
        group = np.array(many if is_short else many[:ROWS], np.int64)
        yield _Chunks(*group.T)
        at += len(group)


class _Recorder:
    """Keeps what an engine computes for chunks, at their places in the text."""

    def __init__(self, checkpoint: Checkpoint, ids_N: Ids, starts_D: Ids) -> None:
        size, guesses = len(ids_N), min(GUESSES, len(checkpoint.vocab))
        self._ids_N = ids_N
        self._is_empty_N = np.zeros(size + 1, bool)  # ends of empty documents are not predicted
        empty_D = starts_D[:-1][np.diff(starts_D) == 1]
        self._is_empty_N[empty_D + 1] = True
        self._bits_N = np.full(size, np.nan, np.float32)
        self._guesses_NG = np.zeros((size, guesses), np.int32)
        self._shares_NG = np.full((size, guesses), np.nan, np.float32)
        parts = "hc" if checkpoint.model.cell == "lstm" else "h"
        self._activations = [
            Activations(layer, part, np.zeros((size, checkpoint.model.size), np.float16))
            for layer in range(checkpoint.model.layers)
            for part in parts
        ]

    def record(self, engine: Engine, chunks: _Chunks, begin: int, end: int) -> None:
        """Read the characters of each chunk from offset `begin` to `end`."""
        places_WR = chunks.warm + np.arange(begin, end)[:, None]
        ids_WR = self._ids_N[np.minimum(places_WR, len(self._ids_N) - 1)]
        is_own_WR = (places_WR >= chunks.start) & (places_WR < chunks.stop)
        logits = []
        for step, logits_RV in enumerate(engine.read(ids_WR)):
            own_R = is_own_WR[step]
            if not own_R.any():  # all still warm up
                continue
            logits.append(logits_RV[own_R])
            parts = [part_RH for layer in engine.states() for part_RH in layer]
            for kept, part_RH in zip(self._activations, parts, strict=True):
                values = part_RH[own_R]
                kept.values[places_WR[step, own_R]] = (
                    np.tanh(values) if kept.part == "c" else values
                )
        if logits:
            self._expect(places_WR[is_own_WR] + 1, np.concatenate(logits))

    def _expect(self, places_P: Ids, logits_PV: Floats) -> None:
        """Keep what is expected at places of the text."""
        is_kept_P = (places_P < len(self._ids_N)) & ~self._is_empty_N[places_P]
        places_P, logits_PV = places_P[is_kept_P], logits_PV[is_kept_P]
        log_PV = log_softmax(logits_PV)
        rows_P1 = np.arange(len(places_P))[:, None]
        nats_P = -log_PV[rows_P1[:, 0], self._ids_N[places_P]]
        if np.isnan(nats_P).any():
            raise overflow_error()
        self._bits_N[places_P] = nats_P / math.log(2) + 0.0  # never -0.0
        guesses = self._guesses_NG.shape[1]
        found_PG = np.argpartition(-logits_PV, guesses - 1, axis=1)[:, :guesses]
        order_PG = np.argsort(-logits_PV[rows_P1, found_PG], axis=1, kind="stable")
        found_PG = found_PG[rows_P1, order_PG]
        self._guesses_NG[places_P] = found_PG
        self._shares_NG[places_P] = np.exp(log_PV[rows_P1, found_PG])

    def finish(self, text: str, starts_D: Ids) -> Trace:
        """Return the trace. Raises ConfigError if nothing was predicted."""
        if np.isnan(self._bits_N).all():
            raise no_character_error()
        return Trace(
            text,
            starts_D,
            self._ids_N,
            self._bits_N,
            self._guesses_NG,
            self._shares_NG,
            self._activations,
        )
