"""One character in, logits out: the recurrent step in numpy, for one text or for several side by side.

The step is a few matrix products, so one row runs at the speed of the memory bus. Weights are rearranged once: the
embedding is folded into a table of the first layer's input products, biases are folded in, gates stand in an order
in which one call serves all sigmoids, and their columns are halved, because sigmoid(x) = (1 + tanh(x / 2)) / 2 lets
one tanh serve every gate. Nothing is allocated in a step but what numpy needs for views.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import GATES, ModelConfig

# R rows · H hidden size · G gates times H · V vocabulary · I input size · E embedding

Array = npt.NDArray[np.float32]

TABLE_BYTES = (
    1 << 25
)  # of the first layer's input table; for a larger vocabulary each input is multiplied anew


class _Layer(ABC):
    """What the cells share: prepared weights, and for each row the hidden state.

    The first layer's input arrives as its product with the weights, biases included; that of the others, as it is.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], layer: int) -> None:
        def prepared(name: str) -> Array:
            gates = np.split(weights[f"layers.{layer}.{name}_l0"], GATES[config.cell])
            return np.concatenate([gates[gate] * scale for gate, scale in self._gates()])

        self.first = layer == 0
        self.size, self.input_size = config.size, config.input_size(layer)
        self.w_input_IG, self.w_hidden_HG = (
            np.ascontiguousarray(prepared(name).T) for name in ("weight_ih", "weight_hh")
        )
        self.bias_input_G, self.bias_hidden_G = prepared("bias_ih"), prepared("bias_hh")
        self.hidden_RH = np.zeros((0, self.size), np.float32)

    @abstractmethod
    def _gates(self) -> Sequence[tuple[int, float]]:
        """The order of the gates, as positions in torch's, and a factor on each."""

    @abstractmethod
    def allocate(self, rows: int) -> None:
        """State and buffers of so many rows; the state is zero."""

    def states(self) -> list[Array]:
        """The live state, each part (R, H)."""
        return [self.hidden_RH]

    def folded_bias(self) -> Array:
        """What every input product of the first layer has in it already."""
        return self.bias_input_G

    @abstractmethod
    def step(self, inputs: Array) -> Array:
        """The new hidden state (R, H) from inputs (R, I), or in the first layer (R, G)."""


class _LSTM(_Layer):
    """i, f, o, g; c = f·c + i·g, h = o·tanh(c)."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], layer: int) -> None:
        super().__init__(config, weights, layer)
        self.bias_G = self.bias_input_G + self.bias_hidden_G
        self.w_joined_SG = self.w_hidden_HG
        if not self.first:  # input and state side by side, and a 1 that multiplies the bias
            self.w_joined_SG = np.concatenate(
                [self.w_input_IG, self.w_hidden_HG, self.bias_G[None]]
            )
            del self.w_input_IG, self.w_hidden_HG

    def _gates(self) -> Sequence[tuple[int, float]]:
        return ((0, 0.5), (1, 0.5), (3, 0.5), (2, 1.0))

    def folded_bias(self) -> Array:
        return self.bias_G

    def allocate(self, rows: int) -> None:
        size = self.size
        self.joined_RS = np.zeros((rows, self.w_joined_SG.shape[0]), np.float32)
        self.joined_RS[:, -1] = 0 if self.first else 1
        start = 0 if self.first else self.input_size
        self.input_RI = self.joined_RS[:, :start]
        self.hidden_RH = self.joined_RS[:, start : start + size]
        self.cell_RH, self.scratch_RH = (np.zeros((rows, size), np.float32) for _ in range(2))
        self.gates_RG = np.empty((rows, 4 * size), np.float32)
        self.sigmoids_RG = self.gates_RG[:, : 3 * size]
        self.i_RH, self.f_RH, self.o_RH, self.g_RH = (
            self.gates_RG[:, gate * size : (gate + 1) * size] for gate in range(4)
        )

    def states(self) -> list[Array]:
        return [self.hidden_RH, self.cell_RH]

    def step(self, inputs: Array) -> Array:
        if self.first:
            np.dot(self.joined_RS, self.w_joined_SG, out=self.gates_RG)
            self.gates_RG += inputs
        else:
            self.input_RI[:] = inputs
            np.dot(self.joined_RS, self.w_joined_SG, out=self.gates_RG)
        np.tanh(self.gates_RG, out=self.gates_RG)
        self.sigmoids_RG *= 0.5
        self.sigmoids_RG += 0.5
        self.cell_RH *= self.f_RH
        np.multiply(self.i_RH, self.g_RH, out=self.scratch_RH)
        self.cell_RH += self.scratch_RH
        np.tanh(self.cell_RH, out=self.scratch_RH)
        np.multiply(self.o_RH, self.scratch_RH, out=self.hidden_RH)
        return self.hidden_RH


class _GRU(_Layer):
    """r, z, n as in torch, where r scales the hidden product of n with its bias; h = (1 - z)·n + z·h."""

    def _gates(self) -> Sequence[tuple[int, float]]:
        return ((0, 0.5), (1, 0.5), (2, 1.0))

    def allocate(self, rows: int) -> None:
        size = self.size
        self.hidden_RH = np.zeros((rows, size), np.float32)
        self.from_input_RG, self.from_hidden_RG = (
            np.empty((rows, 3 * size), np.float32) for _ in range(2)
        )
        self.sigmoids_RG = self.from_input_RG[:, : 2 * size]
        self.r_RH, self.z_RH = self.sigmoids_RG[:, :size], self.sigmoids_RG[:, size:]
        self.input_n_RH, self.n_RH = (
            self.from_input_RG[:, 2 * size :],
            self.from_hidden_RG[:, 2 * size :],
        )
        self.hidden_sigmoids_RG = self.from_hidden_RG[:, : 2 * size]

    def step(self, inputs: Array) -> Array:
        if self.first:
            self.from_input_RG[:] = inputs
        else:
            np.dot(inputs, self.w_input_IG, out=self.from_input_RG)
            self.from_input_RG += self.bias_input_G
        np.dot(self.hidden_RH, self.w_hidden_HG, out=self.from_hidden_RG)
        self.from_hidden_RG += self.bias_hidden_G
        self.sigmoids_RG += self.hidden_sigmoids_RG
        np.tanh(self.sigmoids_RG, out=self.sigmoids_RG)
        self.sigmoids_RG *= 0.5
        self.sigmoids_RG += 0.5
        self.n_RH *= self.r_RH
        self.n_RH += self.input_n_RH
        np.tanh(self.n_RH, out=self.n_RH)
        self.hidden_RH -= self.n_RH
        self.hidden_RH *= self.z_RH
        self.hidden_RH += self.n_RH
        return self.hidden_RH


class _RNN(_Layer):
    """h = tanh(W x + U h + b)."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], layer: int) -> None:
        super().__init__(config, weights, layer)
        self.bias_G = self.bias_input_G + self.bias_hidden_G

    def _gates(self) -> Sequence[tuple[int, float]]:
        return ((0, 1.0),)

    def folded_bias(self) -> Array:
        return self.bias_G

    def allocate(self, rows: int) -> None:
        self.hidden_RH, self.sum_RH, self.product_RH = (
            np.zeros((rows, self.size), np.float32) for _ in range(3)
        )

    def step(self, inputs: Array) -> Array:
        np.dot(self.hidden_RH, self.w_hidden_HG, out=self.sum_RH)
        if self.first:
            self.sum_RH += inputs
        else:
            np.dot(inputs, self.w_input_IG, out=self.product_RH)
            self.sum_RH += self.product_RH
            self.sum_RH += self.bias_G
        np.tanh(self.sum_RH, out=self.hidden_RH)
        return self.hidden_RH


_CELLS: dict[str, type[_Layer]] = {"lstm": _LSTM, "gru": _GRU, "rnn": _RNN}


class _Input:
    """Products of the first layer's weights with its input, biases included: rows of a table where that is small."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], layer: _Layer) -> None:
        self._embedding_VE = weights.get("embedding.weight")
        self._w_input_IG, self._bias_G = layer.w_input_IG, layer.folded_bias()
        gates = len(self._bias_G)
        self._table_VG: Array | None = None
        if 4 * config.vocabulary_size * gates <= TABLE_BYTES:
            table = (
                self._w_input_IG
                if self._embedding_VE is None
                else self._embedding_VE @ self._w_input_IG
            )
            self._table_VG = table + self._bias_G

    def __call__(self, ids_R: Sequence[int] | npt.NDArray[np.intp]) -> Array:
        if self._table_VG is not None:
            if len(ids_R) == 1:  # a view, where a list would make a copy
                row: Array = self._table_VG[ids_R[0]][None]
                return row
            return self._table_VG[ids_R]
        if self._embedding_VE is None:
            return self._w_input_IG[ids_R] + self._bias_G
        return self._embedding_VE[ids_R] @ self._w_input_IG + self._bias_G


class Engine:
    """A model that is fed a character id a row at a time, and keeps the state of each row in between."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array]) -> None:
        """One row, at the zero state."""
        self._layers = [
            _CELLS[config.cell](config, weights, layer) for layer in range(config.layers)
        ]
        self._input = _Input(config, weights, self._layers[0])
        self._w_output_HV = np.ascontiguousarray(weights["output.weight"].T)
        self._output_bias_V = weights["output.bias"]
        self._allocate(1)

    def _allocate(self, rows: int) -> None:
        for layer in self._layers:
            layer.allocate(rows)
        self._logits_RV = np.empty((rows, len(self._output_bias_V)), np.float32)

    def repeat(self, rows: int) -> "Engine":
        """So many rows that go on from this engine's only one; the weights are shared, the states are not."""
        other = copy.copy(self)
        other._layers = [copy.copy(layer) for layer in self._layers]
        other._allocate(rows)
        for new, old in zip(other._layers, self._layers, strict=True):
            for target, source in zip(new.states(), old.states(), strict=True):
                target[:] = source
        return other

    def reset(self) -> None:
        """Every row back to the zero state."""
        for layer in self._layers:
            for state in layer.states():
                state[:] = 0

    def step(self, ids_R: Sequence[int] | npt.NDArray[np.intp]) -> Array:
        """Logits of the next characters, (R, V), in an array that the next step overwrites."""
        hidden = self._input(ids_R)
        for layer in self._layers:
            hidden = layer.step(hidden)
        np.dot(hidden, self._w_output_HV, out=self._logits_RV)
        self._logits_RV += self._output_bias_V
        return self._logits_RV

    def feed(self, character_ids: Iterable[int]) -> Array | None:
        """Step the only row through several characters; the logits after the last, or None where there is none.

        One by one: a product over all of them at once would be rounded otherwise, and the text after it differ.
        """
        logits_RV = None
        for character_id in character_ids:
            logits_RV = self.step([character_id])
        return logits_RV
