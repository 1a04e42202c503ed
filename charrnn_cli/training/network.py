"""The recurrent language model in torch."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from charrnn_cli.config import Initialization, ModelConfig
from charrnn_cli.seeds import derive_seed
from charrnn_cli.training.device import torch_generator

# B batch rows · T time · H hidden size · G gates · V vocabulary

RecurrentState = list[tuple[Tensor, ...]]
"""For each layer its hidden state, and for an LSTM its cell state, each (1, B, H)."""

Dropout = Callable[[int, Tensor], Tensor]
"""Takes a layer's number and its output (T, B, H)."""

_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class CharRNN(nn.Module):
    """Embedding or one-hot input, one-layer recurrent modules, and a linear layer to logits.

    Layers are separate modules with dropout in between, because torch's own `dropout=` skips the last layer's output
    and gives wrong gradients on Apple's MPS. Tensors have the names and shapes of `config.tensor_shapes()`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        cell = _CELLS[config.cell]
        # Nothing is drawn here: `initialize` or `load` fills the tensors. An embedding made on the meta device would
        # import torch's compiler, 0.8 s of every start, only to draw nothing.
        vocabulary_size, embed = config.vocabulary_size, config.embed
        empty = torch.empty(vocabulary_size, embed)
        self.embedding = nn.Embedding(vocabulary_size, embed, _weight=empty) if embed else None
        with torch.device("meta"):
            sizes = [config.input_size(layer) for layer in range(config.layers)]
            self.layers = nn.ModuleList(cell(size, config.size) for size in sizes)
            self.output = nn.Linear(config.size, config.vocabulary_size)
        self.layers.to_empty(device="cpu")
        self.output.to_empty(device="cpu")

    def forward(
        self, ids_TB: Tensor, state: RecurrentState | None = None, dropout: Dropout | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Logits (T, B, V) and the state after the last character; a state of None is zero."""
        if self.embedding is not None:
            inputs_TBH = self.embedding(ids_TB)
        else:
            inputs_TBH = functional.one_hot(ids_TB, self.config.vocabulary_size).to(
                self.output.weight.dtype
            )
        after: RecurrentState = []
        for number, layer in enumerate(self.layers):
            before = None if state is None else state[number]
            if before is not None and len(before) == 1:
                inputs_TBH, last = layer(inputs_TBH, before[0])
            else:
                inputs_TBH, last = layer(inputs_TBH, before)
            after.append(last if isinstance(last, tuple) else (last,))
            if dropout is not None:
                inputs_TBH = dropout(number, inputs_TBH)
        return self.output(inputs_TBH), after

    @torch.no_grad()
    def initialize(
        self,
        seed: int,
        initialization: Initialization,
        frequencies_V: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Fresh weights, a function of the seed and of the symbols' shares of the text alone.

        `orthogonal`: orthogonal recurrent matrices (Saxe et al. 2014), the rest uniform in ±1/√fan-in; the output's
        bias is the logarithm of each symbol's share, so that nothing but contexts is left to learn.
        `glorot`: Glorot's uniform over each layer's joint kernel, and a truncated normal of 0.1 at the output.
        Both: an LSTM's forget gate starts open, at bias 1 (Jozefowicz et al. 2015); other biases at 0.
        """
        generator = torch_generator(torch.device("cpu"), derive_seed("weights", seed))
        size = self.config.size
        tensors = dict(self.named_parameters())
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, generator=generator)
        for number in range(self.config.layers):
            w_input_GHI = tensors[f"layers.{number}.weight_ih_l0"]
            w_hidden_GHH = tensors[f"layers.{number}.weight_hh_l0"]
            rows, width = w_input_GHI.shape
            # Glorot sees one kernel over input and state: fan-in I + H, fan-out G·H
            joint = math.sqrt(6 / (width + size + rows))
            bound = joint if initialization == "glorot" else 1 / math.sqrt(width)
            nn.init.uniform_(w_input_GHI, -bound, bound, generator=generator)
            if initialization == "glorot":
                nn.init.uniform_(w_hidden_GHH, -joint, joint, generator=generator)
            else:
                for gate_HH in torch.split(w_hidden_GHH, size):
                    nn.init.orthogonal_(gate_HH, generator=generator)
            nn.init.zeros_(tensors[f"layers.{number}.bias_ih_l0"])
            nn.init.zeros_(tensors[f"layers.{number}.bias_hh_l0"])
            if self.config.cell == "lstm":
                tensors[f"layers.{number}.bias_ih_l0"][size : 2 * size] = 1.0
        if initialization == "glorot":
            nn.init.trunc_normal_(self.output.weight, std=0.1, a=-0.2, b=0.2, generator=generator)
        else:
            bound = 1 / math.sqrt(size)
            nn.init.uniform_(self.output.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.output.bias)
        if initialization == "orthogonal" and frequencies_V is not None:
            log_frequencies_V = np.log(frequencies_V)
            # around 0, where bfloat16 is finest
            self.output.bias.copy_(torch.from_numpy(log_frequencies_V - log_frequencies_V.mean()))

    @torch.no_grad()
    def load(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Take the tensors of a checkpoint."""
        for name, tensor in self.named_parameters():
            tensor.copy_(torch.from_numpy(weights[name].copy()))

    def export(self) -> dict[str, npt.NDArray[np.float32]]:
        """The tensors by name, as a checkpoint holds them; copies."""
        return {
            name: tensor.detach().cpu().numpy().copy() for name, tensor in self.named_parameters()
        }
