"""Bits per character of simple models on the end of a text: a scale for losses."""

import json
import lzma
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import CharrnnError, StorageError
from charrnn_cli.settings import Settings, required
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.opening import read_small
from charrnn_cli.storage.paths import corpora_directory, make_directory
from charrnn_cli.text.corpus import Corpus

# N characters · V vocabulary

LIMIT = 1_000_000  # characters before and after the split; more take seconds and change 0.01 bits
TAIL_FRACTION = 0.1
MAX_CACHED_BYTES = 4096

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Baselines(Settings):
    """Bits per character of a text's last tenth, given the rest; the weakest model first."""

    uniform: float = field(metadata=required("Equal probabilities."))
    unigram: float = field(metadata=required("Frequencies of the characters."))
    trigram: float = field(metadata=required("Frequencies after two characters."))
    fivegram: float = field(metadata=required("Frequencies after four characters."))
    lzma: float = field(metadata=required("A compressor."))

    @property
    def labelled(self) -> dict[str, float]:
        """The numbers under their usual names."""
        return {
            "uniform": self.uniform,
            "unigram": self.unigram,
            "3-gram": self.trigram,
            "5-gram": self.fivegram,
            "lzma": self.lzma,
        }

    def __str__(self) -> str:
        return (
            ", ".join(f"{name} {bits:.2f}" for name, bits in self.labelled.items())
            + " bits per character"
        )


def baselines(corpus: Corpus) -> Baselines:
    """Return the baselines of a text, from the cache if its content was measured before."""
    try:
        path = corpora_directory() / f"{corpus.sha256[:32]}.baselines.json"
    except StorageError:  # no home directory
        return measure_baselines(corpus)
    try:
        return Baselines.from_json(json.loads(read_small(path, MAX_CACHED_BYTES)))
    except (CharrnnError, ValueError, AttributeError, RecursionError):
        pass  # absent or damaged: measure now
    measured = measure_baselines(corpus)
    try:
        make_directory(path.parent)
        with atomic_write(path, replace=True, private=True) as file:
            file.write(json.dumps(measured.to_json()).encode())
    except CharrnnError:
        pass  # the cache is optional
    return measured


def measure_baselines(corpus: Corpus) -> Baselines:
    """Measure the uniform distribution, n-grams, and lzma.

    The cost of lzma is how much the last tenth adds to the compressed size.
    """
    tail_start = len(corpus) - max(1, round(len(corpus) * TAIL_FRACTION))
    first, last = max(0, tail_start - LIMIT), min(len(corpus), tail_start + LIMIT)
    ids_N = corpus.read(first, last).astype(np.int64)
    split, size = tail_start - first, len(corpus.vocab)
    ngrams = ngram_bits(ids_N, split, size, (1, 3, 5))
    rest, whole = (
        corpus.vocab.decode(ids_N[:stop].tolist()).encode() for stop in (split, len(ids_N))
    )
    packed = 8 * (len(lzma.compress(whole)) - len(lzma.compress(rest)))
    return Baselines(
        uniform=math.log2(size) if size > 1 else 0.0,
        unigram=ngrams[0],
        trigram=ngrams[1],
        fivegram=ngrams[2],
        lzma=packed / (len(ids_N) - split),
    )


def ngram_bits(
    ids_N: Codes, split: int, vocabulary_size: int, orders: tuple[int, ...]
) -> list[float]:
    """Return each order's mean bits per id from `split` on, counted on the ids before it.

    Each order is interpolated with the one below (Witten and Bell 1991): a context h that occurred
    c(h) times, with t(h) distinct successors, predicts x with probability
    (c(hx) + t(h) · p_lower(x)) / (c(h) + t(h)). Order 0 is uniform.
    """
    probability = np.full(len(ids_N) - split, 1 / vocabulary_size)
    contexts: Codes = np.zeros(len(ids_N), np.int64)  # number of the context before each position
    found = {}
    for order in range(1, max(orders) + 1):
        _, grams = np.unique(contexts * vocabulary_size + ids_N, return_inverse=True)
        gram_counts = np.bincount(grams[:split], minlength=int(grams.max()) + 1)
        num_contexts = int(contexts.max()) + 1
        context_counts = np.bincount(contexts[:split], minlength=num_contexts)
        first_at = np.unique(grams[:split], return_index=True)[1]
        successors = np.bincount(contexts[:split][first_at], minlength=num_contexts)
        here = contexts[split:]
        weight = context_counts[here] + successors[here]
        mixed = (gram_counts[grams[split:]] + successors[here] * probability) / np.maximum(
            weight, 1
        )
        probability = np.where(weight > 0, mixed, probability)
        found[order] = float(-np.log2(probability).mean()) + 0.0  # never -0.0
        # The context of the next order is the gram that ends one character earlier.
        contexts = np.concatenate([[0], grams[:-1] + 1])
    return [found[order] for order in orders]
