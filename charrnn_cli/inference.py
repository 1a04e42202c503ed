"""One character in, logits out: the recurrent step in numpy.

The step is a few matrix-vector products, so it runs at the speed of the memory bus. Weights are rearranged once:
the embedding is folded into a table of the first layer's input products, biases are folded in, and the sigmoid
gates' rows are halved, because sigmoid(x) = (1 + tanh(x / 2)) / 2 lets one tanh serve every gate.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import ModelConfig

# H hidden size · G gates · V vocabulary · I input size

Array = npt.NDArray[np.float32]


class _Layer:
    """What the cells share: products of input and hidden state, and the hidden state itself."""

    def __init__(self, weights: Mapping[str, Array], layer: int, first: bool) -> None:
        def named(name: str) -> Array:
            return weights[f"layers.{layer}.{name}_l0"]

        self.w_input_GHI, self.w_hidden_GHH = named("weight_ih"), named("weight_hh")
        self.bias_input_GH, self.bias_hidden_GH = named("bias_ih"), named("bias_hh")
        self.size = self.w_hidden_GHH.shape[1]
        self.hidden_H = np.zeros(self.size, np.float32)
        self.first = first

    def reset(self) -> None:
        self.hidden_H[:] = 0


class _LSTM(_Layer):
    """i, f, g, o as in torch; c = f·c + i·g, h = o·tanh(c)."""

    def __init__(self, weights: Mapping[str, Array], layer: int, first: bool) -> None:
        super().__init__(weights, layer, first)
        scale_GH = np.repeat(np.array([0.5, 0.5, 1, 0.5], np.float32), self.size)
        self.input_scale_GH = scale_GH
        hidden_GHH = self.w_hidden_GHH * scale_GH[:, None]
        bias_GH = (self.bias_input_GH + self.bias_hidden_GH) * scale_GH
        if first:
            self.weight, self.bias_GH = hidden_GHH, bias_GH  # the bias goes into the input table
        else:
            self.weight = np.hstack([self.w_input_GHI * scale_GH[:, None], hidden_GHH])
            self.bias_GH = bias_GH
            self.joined = np.zeros(2 * self.size, np.float32)
        self.cell_H = np.zeros(self.size, np.float32)
        self.gates_GH = np.empty(4 * self.size, np.float32)
        self.scratch_H = np.empty(self.size, np.float32)

    def reset(self) -> None:
        super().reset()
        self.cell_H[:] = 0

    def step(self, inputs: Array) -> Array:
        gates, size = self.gates_GH, self.size
        if self.first:
            np.dot(self.weight, self.hidden_H, out=gates)
            gates += inputs
        else:
            self.joined[:size], self.joined[size:] = inputs, self.hidden_H
            np.dot(self.weight, self.joined, out=gates)
            gates += self.bias_GH
        np.tanh(gates, out=gates)
        for gate in (gates[: 2 * size], gates[3 * size :]):
            gate *= 0.5
            gate += 0.5
        self.cell_H *= gates[size : 2 * size]
        np.multiply(gates[:size], gates[2 * size : 3 * size], out=self.scratch_H)
        self.cell_H += self.scratch_H
        np.tanh(self.cell_H, out=self.scratch_H)
        np.multiply(gates[3 * size :], self.scratch_H, out=self.hidden_H)
        return self.hidden_H


class _GRU(_Layer):
    """r, z, n as in torch, where r scales the hidden product of n with its bias; h = (1 - z)·n + z·h."""

    def __init__(self, weights: Mapping[str, Array], layer: int, first: bool) -> None:
        super().__init__(weights, layer, first)
        self.input_scale_GH = scale_GH = np.repeat(np.array([0.5, 0.5, 1], np.float32), self.size)
        self.hidden_weight = self.w_hidden_GHH * scale_GH[:, None]
        self.hidden_bias_GH = self.bias_hidden_GH * scale_GH
        self.bias_GH = self.bias_input_GH * scale_GH
        self.input_weight = self.w_input_GHI * scale_GH[:, None]
        self.from_input_GH = np.empty(3 * self.size, np.float32)
        self.from_hidden_GH = np.empty(3 * self.size, np.float32)

    def step(self, inputs: Array) -> Array:
        size, hidden = self.size, self.hidden_H
        if self.first:
            self.from_input_GH[:] = inputs
        else:
            np.dot(self.input_weight, inputs, out=self.from_input_GH)
            self.from_input_GH += self.bias_GH
        np.dot(self.hidden_weight, hidden, out=self.from_hidden_GH)
        self.from_hidden_GH += self.hidden_bias_GH
        gates = self.from_input_GH[: 2 * size]
        gates += self.from_hidden_GH[: 2 * size]
        np.tanh(gates, out=gates)
        gates *= 0.5
        gates += 0.5
        candidate = self.from_hidden_GH[2 * size :]
        candidate *= gates[:size]
        candidate += self.from_input_GH[2 * size :]
        np.tanh(candidate, out=candidate)
        hidden -= candidate
        hidden *= gates[size:]
        hidden += candidate
        return hidden


class _RNN(_Layer):
    """h = tanh(W x + U h + b)."""

    def __init__(self, weights: Mapping[str, Array], layer: int, first: bool) -> None:
        super().__init__(weights, layer, first)
        self.input_scale_GH = np.ones(self.size, np.float32)
        self.bias_GH = self.bias_input_GH + self.bias_hidden_GH
        self.gates_GH = np.empty(self.size, np.float32)
        self.scratch_GH = np.empty(self.size, np.float32)

    def step(self, inputs: Array) -> Array:
        np.dot(self.w_hidden_GHH, self.hidden_H, out=self.gates_GH)
        if self.first:
            self.gates_GH += inputs
        else:
            np.dot(self.w_input_GHI, inputs, out=self.scratch_GH)
            self.gates_GH += self.scratch_GH
            self.gates_GH += self.bias_GH
        np.tanh(self.gates_GH, out=self.hidden_H)
        return self.hidden_H


_CELLS: dict[str, type[_LSTM] | type[_GRU] | type[_RNN]] = {"lstm": _LSTM, "gru": _GRU, "rnn": _RNN}


class Engine:
    """A model that is fed one character id at a time and keeps its state in between."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array]) -> None:
        self._layers = [_CELLS[config.cell](weights, layer, layer == 0) for layer in range(config.layers)]
        self._output_VH, self._output_bias_V = weights["output.weight"], weights["output.bias"]
        self._embedding_VE = weights.get("embedding.weight")
        self._rows: dict[int, Array] = {}
        self._logits_V = np.empty(config.vocabulary_size, np.float32)

    def reset(self) -> None:
        """Back to the zero state."""
        for layer in self._layers:
            layer.reset()

    def step(self, character_id: int) -> Array:
        """Logits of the next character, shape (V,), in an array that the next step overwrites."""
        hidden = self._input_row(character_id)
        for layer in self._layers:
            hidden = layer.step(hidden)
        np.dot(self._output_VH, hidden, out=self._logits_V)
        self._logits_V += self._output_bias_V
        return self._logits_V

    def feed(self, character_ids: Iterable[int]) -> Array | None:
        """Step through several characters; the logits after the last, or None where there is none."""
        logits_V = None
        for character_id in character_ids:
            logits_V = self.step(character_id)
        return logits_V

    def _input_row(self, character_id: int) -> Array:
        """The first layer's input products with its bias: made on first use, since a text uses few of 65,536."""
        row = self._rows.get(character_id)
        if row is None:
            layer = self._layers[0]
            if self._embedding_VE is None:
                row = layer.w_input_GHI[:, character_id] * layer.input_scale_GH
            else:
                row = (layer.w_input_GHI @ self._embedding_VE[character_id]) * layer.input_scale_GH
            row += layer.bias_GH
            self._rows[character_id] = row
        return row
