"""The n-grams of a checkpoint: how many it has room for, and as tensors.

The pairs of an order stand in the order of their keys. For each order k, a checkpoint has five
one-dimensional tensors, of about 13 bits per pair together:

| tensor | type | meaning |
| --- | --- | --- |
| `ngrams.k.contexts` | U8, bits | for each pair of order k - 1: whether it is a context |
| `ngrams.k.first` | U8, bits | for each pair: whether it is the first one of its context |
| `ngrams.k.ids` | U8 to U32 | for each pair: the id of its next character |
| `ngrams.k.repeated` | U8, bits | for each pair: whether its count is more than 1 |
| `ngrams.k.counts` | U8 to U32 | the counts of these pairs |

The contexts of order 1 are the empty one, and those of order 2 are all V ids. Bits fill bytes from
the highest one down; the last byte is filled up with zeros.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.ngram_counts import pairs_by_order
from charrnn_cli.model.ngram_pairs import Keys, Mask, Pairs, find
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.text.spans import SpanText

# P pairs of an order · A pairs of the order below, which may be contexts · C contexts

Unsigned = npt.NDArray[np.unsignedinteger[Any]]
Tables = dict[str, Unsigned]

PARTS = ("contexts", "first", "ids", "repeated", "counts")

LEAST_BYTES = 4_500_000
SHARE_OF_WEIGHTS = 3


def most_bytes(num_parameters: int) -> int:
    """Return how large the tables of a model may be: a third of its weights, or 4.5 MB."""
    return max(4 * num_parameters // SHARE_OF_WEIGHTS, LEAST_BYTES)


def count_tables(
    text: SpanText,
    vocabulary_size: int,
    order: int,
    max_bytes: int,
    check: Callable[[], None] = lambda: None,
) -> NgramModel:
    """Count n-grams of up to `order` characters, or of fewer if their tables would be too large.

    At least those of one character are kept. `check` is called for each order, and may raise an
    exception to stop.
    """
    lower: list[Pairs] = []
    model = NgramModel(vocabulary_size, ())
    for continuations, occurrences in pairs_by_order(text, vocabulary_size, order):
        check()
        lower += [] if continuations is None else [continuations]
        larger = NgramModel(vocabulary_size, (*lower, occurrences))
        if model.orders and num_bytes(larger) > max_bytes:
            break
        model = larger
    return model


def num_bytes(model: NgramModel) -> int:
    """Return the size of a model's tables, without making them."""
    total, num_above = 0, 1
    for order, pairs in enumerate(model.orders, 1):
        repeated_P = pairs.counts > 1
        bits = (num_above, len(pairs.keys), len(pairs.keys))
        total += sum((size + 7) // 8 for size in bits) + pairs.ids.nbytes
        total += int(repeated_P.sum()) * _smallest(pairs.counts).itemsize
        num_above = len(_possible_contexts(order + 1, pairs))
    return total


def to_tables(model: NgramModel) -> Tables:
    """Return the tensors of a model by name."""
    tables: Tables = {}
    above_A = np.zeros(1, np.uint64)
    for order, pairs in enumerate(model.orders, 1):
        is_context_A = np.zeros(len(above_A), bool)
        is_context_A[find(above_A, pairs.contexts)[0]] = True
        is_repeated_P = pairs.counts > 1
        parts = (
            np.packbits(is_context_A),
            np.packbits(pairs.is_first),
            pairs.ids,
            np.packbits(is_repeated_P),
            _smallest(pairs.counts[is_repeated_P]),
        )
        tables.update(zip(table_names(order), parts, strict=True))
        above_A = _possible_contexts(order + 1, pairs)
    return tables


def from_tables(tables: Mapping[str, Unsigned], vocabulary_size: int, order: int) -> NgramModel:
    """Return the model of tensors. Raises ValueError if they contradict each other."""
    orders: list[Pairs] = []
    above_A = np.zeros(1, np.uint64)
    for each in range(1, order + 1):
        parts = [tables[name] for name in table_names(each)]
        orders.append(_pairs(above_A, vocabulary_size, *parts))
        if len(orders[-1].keys) and not len(orders[0].keys):
            raise ValueError("its n-grams contradict each other")
        above_A = _possible_contexts(each + 1, orders[-1])
    return NgramModel(vocabulary_size, tuple(orders))


def table_names(order: int) -> list[str]:
    """Return the names of the tensors of one order."""
    return [f"ngrams.{order}.{part}" for part in PARTS]


def _possible_contexts(order: int, shorter: Pairs) -> Keys:
    """Return the keys of all contexts that an order may have, (A,)."""
    # A character at the start of a span is a context, even if it is nowhere else.
    return np.arange(shorter.vocabulary_size, dtype=np.uint64) if order == 2 else shorter.keys


def _pairs(
    above_A: Keys,
    vocabulary_size: int,
    contexts: Unsigned,
    first: Unsigned,
    ids_P: Unsigned,
    repeated: Unsigned,
    repeated_counts: Unsigned,
) -> Pairs:
    """Return the pairs of an order. Raises ValueError if the tensors contradict each other."""
    size = len(ids_P)
    is_context_A, is_first_P = _bits(contexts, len(above_A)), _bits(first, size)
    is_repeated_P = _bits(repeated, size)
    contexts_C = above_A[is_context_A]
    is_whole = (
        len(contexts_C) == is_first_P.sum()
        and is_first_P[:1].all()
        and len(repeated_counts) == is_repeated_P.sum()
        and int(repeated_counts.min(initial=2)) > 1
        and int(ids_P.max(initial=0)) < vocabulary_size
        and bool((is_first_P[1:] | (ids_P[1:] > ids_P[:-1])).all())
    )
    if not is_whole:
        raise ValueError("its n-grams contradict each other")
    counts_P = np.ones(size, np.uint32)
    counts_P[is_repeated_P] = repeated_counts
    keys_P = contexts_C[np.cumsum(is_first_P) - 1] if size else np.zeros(0, np.uint64)
    return Pairs(vocabulary_size, keys_P * np.uint64(vocabulary_size) + ids_P, counts_P)


def _bits(packed: Unsigned, size: int) -> Mask:
    """Unpack bits. Raises ValueError for another number of them."""
    if packed.dtype != np.uint8 or len(packed) != (size + 7) // 8:
        raise ValueError("its n-grams have another size")
    bits = np.unpackbits(packed.astype(np.uint8))
    if bits[size:].any():
        raise ValueError("its n-grams have another size")
    return bits[:size].astype(bool)


def _smallest(array: npt.NDArray[np.integer[Any]]) -> Unsigned:
    """Return an array in the smallest type that holds its numbers."""
    smallest: Unsigned = array.astype(np.min_scalar_type(int(array.max(initial=0))))
    return smallest
