"""The model in numpy: one character per row in, logits out.

A step is a few matrix products, so memory bandwidth limits the speed of a single row. The embedding
is folded into a table of the first layer's input products.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.model.cells import CELLS, Array, Layer
from charrnn_cli.model.ngram_reader import NgramReader, NgramRow, Reader
from charrnn_cli.model.ngrams import NgramModel

# R rows · V vocabulary · E embedding · I input size · G gates times hidden size · H hidden size

Rows = npt.NDArray[np.intp]

TABLE_BYTES = 1 << 25  # limit of the input table; above it, each step multiplies instead


class _Input:
    """The first layer's input products, biases included; from a table for small vocabularies."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], layer: Layer) -> None:
        self._embedding_VE = weights.get("embedding.weight")
        self._w_input_IG, self._bias_1G = layer.w_input_IG, layer.folded_bias()
        gates = self._bias_1G.shape[1]
        self._table_VG: Array | None = None
        if 4 * config.vocabulary_size * gates <= TABLE_BYTES:
            table = (
                self._w_input_IG
                if self._embedding_VE is None
                else self._embedding_VE @ self._w_input_IG
            )
            self._table_VG = table + self._bias_1G
            self._table_V1G = self._table_VG[:, None]

    def product(self, ids_R: Sequence[int] | npt.NDArray[np.intp]) -> Array:
        """Return the products (R, G) for a character per row."""
        if self._table_VG is not None:
            if len(ids_R) == 1:  # a view; indexing with a list makes a copy
                row: Array = self._table_V1G[ids_R[0]]
                return row
            return self._table_VG[ids_R]
        if self._embedding_VE is None:
            return self._w_input_IG[ids_R] + self._bias_1G
        return self._embedding_VE[ids_R] @ self._w_input_IG + self._bias_1G


class _Ngrams:
    """What n-grams add to the first layer's input products and to the logits, in one product."""

    def __init__(self, weights: Mapping[str, Array], layer: Layer, model: NgramModel) -> None:
        self.reader: Reader = NgramRow(model)
        parts = [weights["ngram_output.weight"].T]
        if "ngram_input.weight" in weights:
            parts.append(weights["ngram_input.weight"].T @ layer.w_input_IG)
        self._w_joined_VS = np.concatenate(parts, axis=1)

    def products(self, ngrams_RV: Array) -> tuple[Array, Array]:
        """Return what inputs from n-grams add to the logits, (R, V), and to the gates, (R, G).

        Without an embedding, G is 0: nothing is added to the gates.
        """
        sums_RS = np.dot(ngrams_RV, self._w_joined_VS)
        size = ngrams_RV.shape[1]
        return sums_RS[:, :size], sums_RS[:, size:]


class Engine:
    """A model that reads one character per row and step, and keeps the state of each row."""

    @np.errstate(over="ignore", invalid="ignore")  # callers check the logits
    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Array],
        ngrams: NgramModel | None = None,
    ) -> None:
        """Prepare one row at the zero state; `weights` are named as in `config.tensor_shapes()`.

        `ngrams` are those of a model with n-grams.
        """
        self._layers = [
            CELLS[config.cell](config, weights, layer) for layer in range(config.layers)
        ]
        self._input = _Input(config, weights, self._layers[0])
        self._ngrams: _Ngrams | None = None
        if ngrams is not None:
            self._ngrams = _Ngrams(weights, self._layers[0], ngrams)
        self._w_output_HV = np.ascontiguousarray(weights["output.weight"].T)
        self._output_bias_1V = weights["output.bias"][None]
        self._allocate(1)

    def _allocate(self, rows: int) -> None:
        for layer in self._layers:
            layer.allocate(rows)
        self._logits_RV = np.empty((rows, self._output_bias_1V.shape[1]), np.float32)

    def repeat(self, rows: int) -> "Engine":
        """Return an engine whose `rows` rows all continue from this engine's only row.

        The engines share the weights, but not the states.
        """
        reader = None if self._ngrams is None else self._ngrams.reader.repeat(rows)
        return self._continued(np.zeros(rows, np.intp), reader)

    def select(self, rows: Rows) -> "Engine":
        """Return an engine whose rows continue from those of this engine, which may repeat.

        Its rows can be restarted. The engines share the weights, but not the states.
        """
        return self._continued(
            rows, None if self._ngrams is None else self._ngrams.reader.select(rows)
        )

    def restart(self, rows: Rows, other: "Engine") -> None:
        """Continue some rows of an engine that `select` returned from another's only row."""
        for layer, source in zip(self._layers, other._layers, strict=True):
            for target_RH, source_1H in zip(layer.states(), source.states(), strict=True):
                target_RH[rows] = source_1H
        if self._ngrams is not None and other._ngrams is not None:
            assert isinstance(self._ngrams.reader, NgramReader)
            self._ngrams.reader.restart(rows, other._ngrams.reader)

    def _continued(self, rows: Rows, reader: Reader | None) -> "Engine":
        other = copy.copy(self)
        other._layers = [copy.copy(layer) for layer in self._layers]
        if self._ngrams is not None and reader is not None:
            other._ngrams = copy.copy(self._ngrams)
            other._ngrams.reader = reader
        other._allocate(len(rows))
        for new, old in zip(other._layers, self._layers, strict=True):
            for target_RH, source_RH in zip(new.states(), old.states(), strict=True):
                target_RH[:] = source_RH[rows]
        return other

    def states(self) -> list[list[Array]]:
        """Return each layer's hidden state and, of an LSTM, its cell state, each (R, H).

        They are views, which the next step overwrites.
        """
        return [layer.states() for layer in self._layers]

    def step(self, ids_R: Sequence[int] | npt.NDArray[np.intp]) -> Array:
        """Read one character per row and return the logits (R, V) of the next ones.

        The next step overwrites the returned array.
        """
        return self._step(ids_R, None if self._ngrams is None else self._ngrams.reader.step(ids_R))

    def read(self, ids_TR: npt.NDArray[np.intp]) -> Iterator[Array]:
        """Read T characters in every row and yield the logits after each, as `step` returns them.

        Faster than `step` for models with n-grams, whose inputs are computed together.
        """
        ngrams_TRV = None if self._ngrams is None else self._ngrams.reader.read(ids_TR)
        for time, ids_R in enumerate(ids_TR):
            yield self._step(ids_R, None if ngrams_TRV is None else ngrams_TRV[time])

    def _step(self, ids_R: Sequence[int] | npt.NDArray[np.intp], ngrams_RV: Array | None) -> Array:
        hidden, added_RV = self._input.product(ids_R), self._output_bias_1V
        if self._ngrams is not None and ngrams_RV is not None:
            added_RV, gates_RG = self._ngrams.products(ngrams_RV)
            added_RV += self._output_bias_1V
            if gates_RG.shape[1]:
                gates_RG += hidden
                hidden = gates_RG
        for layer in self._layers:
            hidden = layer.step(hidden)
        np.dot(hidden, self._w_output_HV, out=self._logits_RV)
        self._logits_RV += added_RV
        return self._logits_RV
