"""The recurrent language model in torch."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import Initialization
from charrnn_cli.seeds import derive_seed
from charrnn_cli.training.device import allocate, torch_generator
from charrnn_cli.training.padded_lstm import is_faster_padded, padded_lstm

# B batch rows · T time · H hidden size · G gates · V vocabulary

RecurrentState = list[tuple[Tensor, ...]]
"""For each layer its hidden state, and for an LSTM its cell state, each (1, B, H)."""

Dropout = Callable[[int, Tensor], Tensor]
"""Maps a layer's number and output (T, B, H) to that output with some units dropped."""

_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class CharRNN(nn.Module):
    """Embedding or one-hot input, one-layer recurrent modules, and a linear layer to logits.

    In a model with n-grams, two more linear layers add what these predict to the embedding, if
    there is one, and to the logits.

    Layers are separate modules with dropout in between, because torch's own `dropout=` skips the
    last layer's output and gives wrong gradients on Apple's MPS. Tensors have the names and shapes
    of `config.tensor_shapes()`. A new model has no values: `initialize` or `load` sets them.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        cell = _CELLS[config.cell]
        # Modules on the meta device draw no initial values. An embedding created there would import
        # torch's compiler, which adds 0.8 s to every start, so it gets an empty tensor instead.
        vocabulary_size, embed = config.vocabulary_size, config.embed
        empty = torch.empty(vocabulary_size, embed)
        self.embedding = nn.Embedding(vocabulary_size, embed, _weight=empty) if embed else None
        self.ngram_input: nn.Linear | None = None
        self.ngram_output: nn.Linear | None = None
        with torch.device("meta"):
            if config.ngram and embed:
                self.ngram_input = nn.Linear(vocabulary_size, embed, bias=False)
            if config.ngram:
                self.ngram_output = nn.Linear(vocabulary_size, vocabulary_size, bias=False)
            sizes = [config.input_size(layer) for layer in range(config.layers)]
            self.layers = nn.ModuleList(cell(size, config.size) for size in sizes)
            self.output = nn.Linear(config.size, config.vocabulary_size)
        allocate(self)

    def forward(
        self,
        ids_TB: Tensor,
        state: RecurrentState | None = None,
        dropout: Dropout | None = None,
        ngrams_TBV: Tensor | None = None,
    ) -> tuple[Tensor, RecurrentState]:
        """Return logits (T, B, V) and the state after the last character; None is zero.

        `ngrams_TBV` is what n-grams predict after each character; see `model.ngram_reader`.
        """
        if self.embedding is not None:
            inputs_TBH = self.embedding(ids_TB)
        else:
            one_hot_TBV = functional.one_hot(ids_TB, self.config.vocabulary_size)
            inputs_TBH = one_hot_TBV.to(self.output.weight.dtype)
        if self.ngram_input is not None:
            inputs_TBH = inputs_TBH + self.ngram_input(ngrams_TBV)
        after: RecurrentState = []
        for number, layer in enumerate(self.layers):
            before = None if state is None else state[number]
            if is_faster_padded(layer, inputs_TBH):
                inputs_TBH, last = padded_lstm(layer, inputs_TBH, before)
            elif before is not None and len(before) == 1:
                inputs_TBH, last = layer(inputs_TBH, before[0])
            else:
                inputs_TBH, last = layer(inputs_TBH, before)
            after.append(last if isinstance(last, tuple) else (last,))
            if dropout is not None:
                inputs_TBH = dropout(number, inputs_TBH)
        logits_TBV = self.output(inputs_TBH)
        if self.ngram_output is not None:
            logits_TBV = logits_TBV + self.ngram_output(ngrams_TBV)
        return logits_TBV, after

    @torch.no_grad()
    def initialize(
        self,
        seed: int,
        initialization: Initialization,
        frequencies_V: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Set initial weights, which depend only on the seed and the symbols' frequencies.

        `orthogonal`: orthogonal recurrent matrices (Saxe et al. 2014), the rest uniform within
        ±1/√fan-in. The output's bias is the logarithm of each symbol's frequency, so that training
        starts at the unigram loss.
        `glorot`: uniform (Glorot and Bengio 2010) over each layer's joint kernel, and at the output
        a truncated normal of standard deviation 0.1.
        In both, the bias of an LSTM's forget gate is 1 (Jozefowicz et al. 2015), and other biases
        and the weights of n-grams are 0.
        """
        generator = torch_generator(torch.device("cpu"), derive_seed("weights", seed))
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, generator=generator)
        for added in (self.ngram_input, self.ngram_output):
            if added is not None:
                nn.init.zeros_(added.weight)
        for number in range(self.config.layers):
            self._initialize_layer(number, initialization, generator)
        nn.init.zeros_(self.output.bias)
        if initialization == "glorot":
            nn.init.trunc_normal_(self.output.weight, std=0.1, a=-0.2, b=0.2, generator=generator)
            return
        bound = 1 / math.sqrt(self.config.size)
        nn.init.uniform_(self.output.weight, -bound, bound, generator=generator)
        if frequencies_V is not None:
            log_V = np.log(frequencies_V)
            # centered on 0, where bfloat16 is finest
            self.output.bias.copy_(torch.from_numpy(log_V - log_V.mean()))

    def _initialize_layer(
        self, number: int, initialization: Initialization, generator: torch.Generator
    ) -> None:
        size, layer = self.config.size, self.layers[number]
        w_input_GI, w_hidden_GH, b_input_G, b_hidden_G = layer.parameters()
        rows, width = w_input_GI.shape
        if initialization == "glorot":
            # one kernel over input and state: fan-in I + H, fan-out G·H
            bound = math.sqrt(6 / (width + size + rows))
            nn.init.uniform_(w_input_GI, -bound, bound, generator=generator)
            nn.init.uniform_(w_hidden_GH, -bound, bound, generator=generator)
        else:
            bound = 1 / math.sqrt(width)
            nn.init.uniform_(w_input_GI, -bound, bound, generator=generator)
            for gate_HH in torch.split(w_hidden_GH, size):
                nn.init.orthogonal_(gate_HH, generator=generator)
        nn.init.zeros_(b_input_G)
        nn.init.zeros_(b_hidden_G)
        if self.config.cell == "lstm":
            b_input_G[size : 2 * size] = 1.0

    @torch.no_grad()
    def load(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Copy a checkpoint's tensors into the model."""
        for name, tensor in self.named_parameters():
            tensor.copy_(torch.from_numpy(weights[name].copy()))

    def export(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return copies of the tensors by name, as a checkpoint stores them."""
        return {
            name: tensor.detach().cpu().numpy().copy() for name, tensor in self.named_parameters()
        }


def joined_rows(states: Sequence[RecurrentState]) -> RecurrentState:
    """Join the states of a batch's parts."""
    return [
        tuple(torch.cat(tensors, dim=1) for tensors in zip(*layers, strict=True))
        for layers in zip(*states, strict=True)
    ]
