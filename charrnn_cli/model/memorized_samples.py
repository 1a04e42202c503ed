"""How much of a model's samples stands verbatim in its training text."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn_cli.config import SampleConfig
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.memorization import find_memorized
from charrnn_cli.model.reading import as_read
from charrnn_cli.model.samples import draw_samples
from charrnn_cli.model.sampling import Writer
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.text.spans import evenly_sampled, read_spans

SAMPLES, LENGTH = 16, 320  # characters per sample
MOST_COMPARED = 10_000_000  # characters of the text: half a second


@dataclass(frozen=True, slots=True)
class SampleCopies:
    """The overlap of samples with a training text."""

    characters: int
    """Characters of all samples."""
    share: float
    """Fraction of them in spans of 30 or more characters that are in the text, too."""
    longest: int
    """Characters of the longest span that is in both."""
    compared: int
    """Characters of the text that were compared."""


def compare_samples(
    checkpoint: Checkpoint, corpus: Corpus, spans: Sequence[Span], seed: int, seconds: float
) -> SampleCopies:
    """Draw samples as `charrnn sample --count 16 -n 320` does, and compare them with a text.

    The text is that of `spans`; of more than 10 million characters, an evenly spread part is read.
    The samples are shorter if drawing them takes more than `seconds`.
    Raises as `Corpus.read` does, FileFormatError if the model's numbers overflow.
    """
    return _compare(draw(checkpoint, seed, seconds), corpus, spans)


def draw(checkpoint: Checkpoint, seed: int, seconds: float) -> list[str]:
    """Return samples of equal lengths, at the default settings; see `compare_samples`."""
    writer = Writer(checkpoint, SampleConfig(length=LENGTH, seed=seed))
    writer.read(as_read(checkpoint.default_prime, checkpoint.data.reading, checkpoint.vocab))
    texts = [""] * SAMPLES
    deadline = time.monotonic() + seconds
    for piece in draw_samples(
        writer, LENGTH, SAMPLES, should_stop=lambda: time.monotonic() > deadline
    ):
        texts[piece.sample] += piece.text
    return texts


def _compare(samples: Sequence[str], corpus: Corpus, spans: Sequence[Span]) -> SampleCopies:
    characters = sum(map(len, samples))
    part = _in_memory(corpus, evenly_sampled(spans, MOST_COMPARED))
    joined = _apart(part.vocab.characters).join(samples)
    found = find_memorized(joined, part)
    share = min(1.0, found.share * len(joined) / max(1, characters))
    return SampleCopies(characters, share, found.longest, len(part))


def _in_memory(corpus: Corpus, spans: Sequence[Span]) -> Corpus:
    """Return spans of a text as one text."""
    ids_N = read_spans(corpus, spans).ids
    return Corpus(
        corpus.vocab,
        np.bincount(ids_N, minlength=len(corpus.vocab)).astype(np.uint64),
        lambda start, stop: ids_N[start:stop],
        dataclasses.replace(corpus.header, characters=len(ids_N)),
        corpus.sha256,
    )


def _apart(characters: str) -> str:
    """Return a character that is not among these, and so matches nothing in the text."""
    known = set(characters)
    return next(chr(code) for code in range(len(known) + 1) if chr(code) not in known)
