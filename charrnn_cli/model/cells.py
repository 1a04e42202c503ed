"""The recurrent cells in numpy: one step of one or more rows.

The weights are rearranged once, in advance: biases that are only ever added together are summed,
gates are ordered so that one call computes all sigmoids, and the columns of those gates are halved,
because sigmoid(x) = (1 + tanh(x / 2)) / 2 lets one tanh compute every gate. A step allocates only
views.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from charrnn_cli.architecture import GATES, ModelConfig

# R rows · H hidden size · G gates times H · I input size · S columns of the joined matrix
# Biases are (1, G), because for a single row, adding (G,) takes numpy twice as long.

Array = npt.NDArray[np.float32]

HALF = np.array(0.5, np.float32)  # a Python float would be converted at each use


class Layer(ABC):
    """Base class of the cells: prepared weights, and the hidden state of each row.

    The first layer gets the product of its input with the weights, biases included. Other layers
    get the hidden state of the layer below.
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
        self.bias_input_1G, self.bias_hidden_1G = (
            prepared(name)[None] for name in ("bias_ih", "bias_hh")
        )
        self.hidden_RH = np.zeros((0, self.size), np.float32)

    @abstractmethod
    def _gates(self) -> Sequence[tuple[int, float]]:
        """Return the gates in order: for each, its position in PyTorch's order and a factor."""

    @abstractmethod
    def allocate(self, rows: int) -> None:
        """Allocate the zero state and the buffers of `rows` rows."""

    def states(self) -> list[Array]:
        """Return the parts of the state, each (R, H), as views that a step overwrites."""
        return [self.hidden_RH]

    def folded_bias(self) -> Array:
        """Return the bias (1, G) that is part of the first layer's input products."""
        return self.bias_input_1G

    @abstractmethod
    def step(self, inputs: Array) -> Array:
        """Return the new hidden state (R, H). Inputs are (R, I), or (R, G) in layer 0."""


class LSTM(Layer):
    """LSTM (Hochreiter and Schmidhuber 1997) with forget gates (Gers et al. 2000).

    c = f·c + i·g and h = o·tanh(c); the gates are ordered i, f, o, g.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], layer: int) -> None:
        super().__init__(config, weights, layer)
        self.bias_1G = self.bias_input_1G + self.bias_hidden_1G
        self.w_joined_SG = self.w_hidden_HG
        if not self.first:  # rows of S hold input and state side by side, and a 1 for the bias
            self.w_joined_SG = np.concatenate([self.w_input_IG, self.w_hidden_HG, self.bias_1G])
            del self.w_input_IG, self.w_hidden_HG

    def _gates(self) -> Sequence[tuple[int, float]]:
        return ((0, 0.5), (1, 0.5), (3, 0.5), (2, 1.0))

    def folded_bias(self) -> Array:
        return self.bias_1G

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
        self.sigmoids_RG *= HALF
        self.sigmoids_RG += HALF
        self.cell_RH *= self.f_RH
        np.multiply(self.i_RH, self.g_RH, out=self.scratch_RH)
        self.cell_RH += self.scratch_RH
        np.tanh(self.cell_RH, out=self.scratch_RH)
        np.multiply(self.o_RH, self.scratch_RH, out=self.hidden_RH)
        return self.hidden_RH


class GRU(Layer):
    """Gated recurrent unit (Cho et al. 2014) as in PyTorch.

    h = (1 - z)·n + z·h; r scales the hidden product of n, its bias included.
    """

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
            self.from_input_RG += self.bias_input_1G
        np.dot(self.hidden_RH, self.w_hidden_HG, out=self.from_hidden_RG)
        self.from_hidden_RG += self.bias_hidden_1G
        self.sigmoids_RG += self.hidden_sigmoids_RG
        np.tanh(self.sigmoids_RG, out=self.sigmoids_RG)
        self.sigmoids_RG *= HALF
        self.sigmoids_RG += HALF
        self.n_RH *= self.r_RH
        self.n_RH += self.input_n_RH
        np.tanh(self.n_RH, out=self.n_RH)
        self.hidden_RH -= self.n_RH
        self.hidden_RH *= self.z_RH
        self.hidden_RH += self.n_RH
        return self.hidden_RH


class RNN(Layer):
    """Elman network (1990): h = tanh(W x + U h + b)."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], layer: int) -> None:
        super().__init__(config, weights, layer)
        self.bias_1G = self.bias_input_1G + self.bias_hidden_1G

    def _gates(self) -> Sequence[tuple[int, float]]:
        return ((0, 1.0),)

    def folded_bias(self) -> Array:
        return self.bias_1G

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
            self.sum_RH += self.bias_1G
        np.tanh(self.sum_RH, out=self.hidden_RH)
        return self.hidden_RH


CELLS: dict[str, type[Layer]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
