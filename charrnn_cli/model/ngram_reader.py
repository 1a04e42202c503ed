"""What n-grams predict while text is read, as inputs of the network.

The inputs after each character are log q(x) for all characters x, minus their mean over x.
"""

import copy
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.ngram_pairs import Floats, Keys, Pairs, find
from charrnn_cli.model.ngrams import START, NgramModel

# T time · R rows · K highest order · V vocabulary

FLOOR = 1e-30  # of probabilities; float32 holds no number much lower
FEW = 8  # numbers that Python adds faster than numpy

Inputs = npt.NDArray[np.float32]
Ids = Sequence[int] | npt.NDArray[np.integer[Any]]


class Reader(Protocol):
    """Reads rows of text, one character of each at a time."""

    def step(self, ids_R: Ids) -> Inputs:
        """Read one character in every row, and return the inputs after it, (R, V)."""

    def read(self, ids_TR: npt.NDArray[np.integer[Any]]) -> Inputs:
        """Read T characters in every row, and return the inputs after each, (T, R, V)."""

    def repeat(self, rows: int) -> "Reader":
        """Return a reader whose `rows` rows all continue from this reader's only row."""

    def select(self, rows: npt.NDArray[np.intp]) -> "NgramReader":
        """Return a reader whose rows continue from those of this reader, which may repeat."""


class NgramReader:
    """Reads rows of text, which start without a past, and remembers their last K - 1 characters.

    Its inputs are also those that a model with n-grams needs in other programs, as ONNX.

        reader = NgramReader(checkpoint.ngrams, rows=1)
        inputs_TRV = reader.read(ids_TR)  # the next call continues after the last characters
    """

    def __init__(self, model: NgramModel, rows: int = 1) -> None:
        """Prepare `rows` rows; `model` are the n-grams of a checkpoint."""
        self._model = model
        self._past_KR = np.full((model.order - 1, rows), START, np.int32)  # the oldest first

    def repeat(self, rows: int) -> "NgramReader":
        return self.select(np.zeros(rows, np.intp))

    def select(self, rows: npt.NDArray[np.intp]) -> "NgramReader":
        other = NgramReader(self._model)
        other._past_KR = self._past_KR[:, rows]
        return other

    def restart(self, rows: npt.NDArray[np.intp], other: Reader) -> None:
        """Continue some rows from another reader's only row."""
        self._past_KR[:, rows] = other.select(np.zeros(1, np.intp))._past_KR

    def read(self, ids_TR: npt.NDArray[np.integer[Any]]) -> Inputs:
        """Read T characters in every row, and return the inputs after each, (T, R, V)."""
        time, rows = ids_TR.shape
        known = len(self._past_KR)
        both = np.concatenate([self._past_KR, ids_TR.astype(np.int32)])
        self._past_KR = both[len(both) - known :]
        contexts = np.empty((time, rows, known), np.int32)
        for back in range(known):
            contexts[:, :, back] = both[known - back : len(both) - back]
        q = self._model.distributions(contexts.reshape(time * rows, known))
        inputs: Inputs = as_inputs(q).reshape(time, rows, -1)
        return inputs

    def step(self, ids_R: Ids) -> Inputs:
        inputs_RV: Inputs = self.read(np.asarray(ids_R)[None])[0]
        return inputs_RV


class NgramRow:
    """Reads one row of text, several times as fast as NgramReader.

    The context of each order is found from the one that is shorter by a character: that character
    is among the next characters of a context that was found before. A search among all contexts
    would wait for the memory.
    """

    def __init__(self, model: NgramModel) -> None:
        self._model = model
        self._past: list[int] = []  # the nearest character first
        self._found = [0] if len(self._model.orders[0].contexts) else []  # indexes of contexts
        self._is_prepared = False

    def _prepare(self) -> None:
        """Prepare the tables: 70 MB that an engine which only reads many rows does not need."""
        model, size = self._model, self._model.vocabulary_size
        self._ready_order, self._ready_CV = model.ready
        nothing = Pairs(size, np.zeros(0, np.uint64), np.zeros(0, np.uint32))
        longer = [*model.orders[1:], nothing]
        self._orders = [_Order(*both) for both in zip(model.orders, longer, strict=True)]
        # A character at the start of a span is a context, even if it is nowhere else.
        self._singles_at = _indexes(np.arange(size, dtype=np.uint64), longer[0].contexts).data
        self._uniform_V = np.full(size, 1 / size)
        self._is_prepared = True

    def repeat(self, rows: int) -> Reader:
        return copy.copy(self) if rows == 1 else self.select(np.zeros(rows, np.intp))

    def select(self, rows: npt.NDArray[np.intp]) -> NgramReader:
        reader = NgramReader(self._model)
        for back, character in enumerate(self._past):
            reader._past_KR[-1 - back] = character
        return reader.select(rows)

    def step(self, ids_R: Ids) -> Inputs:
        if not self._is_prepared:
            self._prepare()
        character, found = int(ids_R[0]), self._found[:1]
        self._past = [character, *self._past][: self._model.order - 1]
        if found and self._singles_at[character] >= 0:
            found.append(self._singles_at[character])
        for order, at in zip(self._orders[1:], self._found[1:], strict=False):
            longer = order.longer(at, character)
            if longer < 0:  # nor was a longer context seen
                break
            found.append(longer)
        self._found = found
        return as_inputs(self._distribution()[None])

    def read(self, ids_TR: npt.NDArray[np.integer[Any]]) -> Inputs:
        return np.array([self.step(ids_R) for ids_R in ids_TR])

    def _distribution(self) -> Floats:
        """Return q of every character after what was read, (V,)."""
        ready, found = self._ready_order, self._found
        if len(found) < ready:  # at the start of a text, or after what no text has
            ready, lower_V = 0, self._uniform_V
        else:
            lower_V = self._ready_CV[found[ready - 1]]
        # Each order multiplies what the lower ones give by its factor.
        factor, higher = 1.0, []
        for number in range(len(found) - 1, ready - 1, -1):
            order, at = self._orders[number], found[number]
            higher.append((order, at, factor))
            factor *= order.factors_at[at]
        q_V: Floats = lower_V * factor
        for order, at, factor in higher:
            order.add(at, factor, q_V)
        return q_V


class _Order:
    """The pairs of one order, for single contexts; their numbers are read in place by Python."""

    def __init__(self, pairs: Pairs, longer: Pairs) -> None:
        self.factors_at = (pairs.reserved / pairs.totals).data
        self._first_at, self._ids, self._shares = pairs.first.data, pairs.ids, pairs.shares
        self._id_at, self._share_at = pairs.ids.data, pairs.shares.data
        self._longer_at = _indexes(pairs.keys, longer.contexts).data

    def longer(self, at: int, character: int) -> int:
        """Return the index of a context with a character after it, in the next order; or -1."""
        stop = self._first_at[at + 1]
        pair = bisect_left(self._id_at, character, self._first_at[at], stop)
        is_seen = pair < stop and self._id_at[pair] == character
        return self._longer_at[pair] if is_seen else -1

    def add(self, at: int, factor: float, q_V: Floats) -> None:
        """Add what this order gives to the characters after a context, times a factor."""
        start, stop = self._first_at[at], self._first_at[at + 1]
        if stop - start > FEW:
            q_V[self._ids[start:stop]] += factor * self._shares[start:stop]
            return
        q_at: Any = q_V.data
        for pair in range(start, stop):
            q_at[self._id_at[pair]] += factor * self._share_at[pair]


def _indexes(keys_P: Keys, contexts_C: Keys) -> npt.NDArray[np.int32]:
    """Return the index of each pair among the contexts of the next order, (P,); or -1."""
    indexes_P = np.full(len(keys_P), -1, np.int32)
    pairs_C, is_pair_C = find(keys_P, contexts_C)
    indexes_P[pairs_C[is_pair_C]] = np.flatnonzero(is_pair_C)
    return indexes_P


def as_inputs(q_RV: Floats) -> Inputs:
    """Return probabilities as inputs of the network, (R, V)."""
    log_RV: Inputs = np.log(np.maximum(q_RV, FLOOR).astype(np.float32))
    log_RV -= np.add.reduce(log_RV, axis=1, keepdims=True) / log_RV.shape[1]
    return log_RV
