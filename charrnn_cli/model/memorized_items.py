"""How many of a model's items stand in the list that it was trained on."""

import time
from dataclasses import dataclass

import numpy as np

from charrnn_cli.config import SampleConfig
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.items import ItemWriter, default_length
from charrnn_cli.model.memorized_samples import MOST_COMPARED
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import SpanArray
from charrnn_cli.text.spans import read_spans, spread_indexes

ITEMS = 200


@dataclass(frozen=True, slots=True)
class ItemCopies:
    """Items of a model, compared with those of a list."""

    items: int
    """Items that were drawn."""
    known: int
    """Number of them that are in the list."""
    compared: int
    """Items of the list that were compared."""


def compare_items(checkpoint: Checkpoint, corpus: Corpus, seed: int, seconds: float) -> ItemCopies:
    """Draw items as `charrnn sample --count 200` does, and look for them in a list.

    There are fewer items if drawing them takes more than `seconds`. Of a list of more than 10
    million characters, items are compared that are spread evenly over it.
    Raises as `Corpus.read` does, FileFormatError if the model's numbers overflow.
    """
    writer = ItemWriter(checkpoint, "", SampleConfig(length=default_length(checkpoint), seed=seed))
    deadline = time.monotonic() + seconds
    drawn = [item.text for item in writer.draw(ITEMS, lambda: time.monotonic() > deadline)]
    listed = _items(corpus)
    known = set(listed)
    return ItemCopies(len(drawn), sum(item in known for item in drawn), len(listed))


def _items(corpus: Corpus) -> list[str]:
    """Return the items of a list, or some that are spread evenly over it."""
    spans_D2 = corpus.document_spans()
    count = max(1, int(len(spans_D2) * min(1.0, MOST_COMPARED / len(corpus))))
    chosen_D2 = spans_D2[spread_indexes(len(spans_D2), count)]
    # Each with the end symbol before it, and without its own.
    ids_N = read_spans(corpus, SpanArray(chosen_D2 - np.array([0, 1], np.int64))).ids
    return corpus.vocab.decode(ids_N.tolist()).split(corpus.header.end)[1:]
