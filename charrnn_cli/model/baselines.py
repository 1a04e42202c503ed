"""Bits per character of simple models on the held-out part of a text: a scale for losses."""

import hashlib
import json
import lzma
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from charrnn_cli.architecture import longest_order
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import CharrnnError, StorageError, TextError
from charrnn_cli.model.ngram_counts import (
    MAX_COUNTED,
    contexts_and_targets,
    counted_spans,
    probabilities_by_order,
)
from charrnn_cli.settings import Settings, required
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.opening import read_small
from charrnn_cli.storage.paths import corpora_directory, make_directory
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.text.spans import evenly_sampled, read_spans
from charrnn_cli.text.splits import MAX_TAIL, Split, split_corpus

# R held-out characters

MAX_COMPRESSED = 1_000_000  # characters of training text: a second
MAX_ORDER = 8  # longer contexts change the bits by less than 0.01
MAX_CACHED_BYTES = 4096
_METHOD = 2  # part of the cache's keys: change it with any of the models or limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Baselines(Settings):
    """Bits per character of simple models of a training text on the held-out text."""

    uniform: float = field(metadata=required("Equal probabilities."))
    unigram: float = field(metadata=required("Frequencies of the characters."))
    trigram: float = field(metadata=required("Counts after two characters."))
    fivegram: float | None = field(
        metadata=required("Counts after four; None for a huge alphabet.")
    )
    best_ngram: float = field(metadata=required("Counts after the best number of characters."))
    best_order: int = field(metadata=required("That number and one.", low=1))
    lzma: float = field(metadata=required("A compressor."))

    @property
    def labelled(self) -> dict[str, float]:
        """The numbers under their usual names, the weakest model first."""
        named = {"uniform": self.uniform, "unigram": self.unigram, "3-gram": self.trigram}
        if self.fivegram is not None:
            named["5-gram"] = self.fivegram
        if self.best_order > 1:
            named[f"{self.best_order}-gram"] = self.best_ngram
        named["lzma"] = self.lzma
        return dict(sorted(named.items(), key=lambda item: -item[1]))


def baselines(
    corpus: Corpus, split: Split | None = None, should_stop: Callable[[], None] = lambda: None
) -> Baselines:
    """Return the baselines of a text, from the cache if the same split of it was measured before.

    Without a split, or with one that has no validation part, it is that of `default_split`. The
    other arguments are those of `measure_baselines`.
    """
    if split is None or not split.val:
        split = default_split(corpus)
    try:
        path = _cached_path(corpus, split)
    except StorageError:  # no home directory
        return measure_baselines(corpus, split, should_stop)
    try:
        return Baselines.from_json(json.loads(read_small(path, MAX_CACHED_BYTES)))
    except (CharrnnError, ValueError, AttributeError, RecursionError):
        pass  # absent or damaged: measure now
    measured = measure_baselines(corpus, split, should_stop)
    try:
        make_directory(path.parent)
        with atomic_write(path, replace=True, private=True) as file:
            file.write(json.dumps(measured.to_json()).encode())
    except CharrnnError:
        pass  # the cache is optional
    return measured


def default_split(corpus: Corpus) -> Split:
    """Split a text as training does by default; of a very short one, hold out the end."""
    try:
        return split_corpus(corpus, TrainConfig())
    except TextError:
        return Split(((0, len(corpus) - 1),), ((len(corpus) - 1, len(corpus)),))


def _cached_path(corpus: Corpus, split: Split) -> Path:
    """Return the path for a text's baselines in the cache. Raises StorageError."""
    digest = hashlib.sha256(f"{_METHOD} {corpus.sha256}".encode())
    for spans in (split.train, split.val):
        digest.update(np.array([len(spans), *np.ravel(spans)], "<i8").tobytes())
    return corpora_directory() / f"{digest.hexdigest()[:32]}.baselines.json"


def seconds_to_measure(split: Split) -> float:
    """Estimate the duration of `measure_baselines` on one core."""
    characters = split.train_characters
    return 1.3e-6 * min(characters, MAX_COMPRESSED) + 5.5e-7 * min(characters, MAX_COUNTED)


def measure_baselines(
    corpus: Corpus, split: Split, should_stop: Callable[[], None] = lambda: None
) -> Baselines:
    """Measure the uniform distribution, n-grams, and lzma.

    N-grams are counted on the training part of the split. They predict the characters that
    validation predicts, from no more than validation shows: its rows start without a past. Of a
    large text, an evenly spread sample is counted, and another is predicted. The order of the best
    n-grams is chosen on the held-out text, among those up to 8. The cost of lzma is how much the
    held-out text adds to the compressed size of the end of the training part.
    `should_stop` is called often; it may raise an exception to stop. Raises as `Corpus.read` does.
    """
    size, held_out = len(corpus.vocab), evenly_sampled(split.val, MAX_TAIL)
    order = longest_order(size, MAX_ORDER)
    rows = [(max(0, start - 1), stop) for start, stop in held_out]
    contexts_RK, targets_R = contexts_and_targets(read_spans(corpus, rows), order)
    text = read_spans(corpus, counted_spans(split.train))
    bits = []
    for q_R in probabilities_by_order(text, size, order, contexts_RK, targets_R):
        should_stop()
        bits.append(float(-np.log2(q_R).sum()) / max(1, len(q_R)) + 0.0)  # never -0.0
    best = int(np.argmin(bits))
    return Baselines(
        uniform=math.log2(size),
        unigram=bits[0],
        trigram=bits[2],
        fivegram=bits[4] if order > 4 else None,
        best_ngram=bits[best],
        best_order=best + 1,
        lzma=_lzma_bits(corpus, _end_of(split.train, MAX_COMPRESSED), held_out, should_stop),
    )


def _lzma_bits(
    corpus: Corpus, train: list[Span], held_out: list[Span], should_stop: Callable[[], None]
) -> float:
    """Return how much the held-out text adds to the compressed size of the training text."""
    before, after = (_encoded(corpus, spans) for spans in (train, held_out))
    added = len(lzma.compress(before + after))
    should_stop()
    added -= len(lzma.compress(before))
    return 8 * added / sum(stop - start for start, stop in held_out)


def _encoded(corpus: Corpus, spans: Sequence[Span]) -> bytes:
    code_points_V = np.frombuffer(corpus.vocab.to_code_points(), "<u4")
    ids_N = read_spans(corpus, spans).ids
    return code_points_V[ids_N].tobytes().decode("utf-32-le").encode("utf-8")


def _end_of(spans: Sequence[Span], most: int) -> list[Span]:
    """Return the end of spans: at most as many characters."""
    found: list[Span] = []
    for start, stop in reversed(spans):
        if most <= 0:
            break
        found.append((max(start, stop - most), stop))
        most -= stop - start
    return found[::-1]
