"""A model's architecture, which determines the shapes of its tensors."""

import math
from dataclasses import dataclass, field
from typing import Literal

from charrnn_cli.config import MAX_SIZE, MODEL
from charrnn_cli.settings import Settings, required, setting

Cell = Literal["lstm", "gru", "rnn"]

GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}

# Far above any useful model, but small enough that a forged header cannot request terabytes.
MAX_LAYERS = 64
MAX_NGRAM = 20

NGRAM_ORDER = 9  # more gains less than 0.01 nats per character, in larger tables
MAX_SYMBOLS = 512  # for more, computing what n-grams predict takes longer than a training step


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig(Settings):
    """A model's architecture, which determines the shapes of its tensors.

    Embedding (or one-hot input) -> `layers` recurrent layers of `size` units -> linear -> softmax.
    With n-grams, linear functions of what they predict are added to the embedding and the logits.
    """

    vocabulary_size: int = field(
        metadata=required("Number of distinct characters.", low=1, high=0x110000)
    )
    cell: Cell = setting("lstm", "Type of the recurrent layers.", MODEL)
    layers: int = setting(
        2,
        "Number of recurrent layers.",
        MODEL,
        low=1,
        high=MAX_LAYERS,
        shown="2; chosen with --max-time",
    )
    size: int = setting(
        512,
        "Hidden units per layer.",
        MODEL,
        low=1,
        high=MAX_SIZE,
        shown="512; chosen with --max-time",
    )
    embed: int = setting(
        64,
        "Width of the character embedding; 0 uses one-hot input.",
        MODEL,
        low=0,
        high=MAX_SIZE,
        shown="64; more above 512 distinct characters",
    )
    ngram: int = setting(
        0,
        "Length of the n-grams to count; 0 disables.",
        MODEL,
        label="ngram",
        low=0,
        high=MAX_NGRAM,
        metavar="N|auto",
        shown="auto: up to 9, by the text",
    )

    def _problems(self) -> list[str | None]:
        longest = longest_order(self.vocabulary_size, MAX_NGRAM)
        if not longest < self.ngram <= MAX_NGRAM:
            return []
        size = f"{self.vocabulary_size:,} distinct characters"
        why = "because 64 bits hold no longer ones"
        return [f"ngram is at most {longest} for {size}, {why}; got {self.ngram}"]

    def input_size(self, layer: int) -> int:
        """Return the input width of a layer, counted from 0."""
        if layer > 0:
            return self.size
        return self.embed or self.vocabulary_size

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor by name; the first axis stacks gates as torch does."""
        rows = GATES[self.cell] * self.size
        shapes: dict[str, tuple[int, ...]] = {}
        if self.embed:
            shapes["embedding.weight"] = (self.vocabulary_size, self.embed)
        if self.ngram and self.embed:
            shapes["ngram_input.weight"] = (self.embed, self.vocabulary_size)
        if self.ngram:
            shapes["ngram_output.weight"] = (self.vocabulary_size, self.vocabulary_size)
        for layer in range(self.layers):
            shapes[f"layers.{layer}.weight_ih_l0"] = (rows, self.input_size(layer))
            shapes[f"layers.{layer}.weight_hh_l0"] = (rows, self.size)
            shapes[f"layers.{layer}.bias_ih_l0"] = (rows,)
            shapes[f"layers.{layer}.bias_hh_l0"] = (rows,)
        shapes["output.weight"] = (self.vocabulary_size, self.size)
        shapes["output.bias"] = (self.vocabulary_size,)
        return shapes

    @property
    def num_parameters(self) -> int:
        """V·E + Σ over layers of G·H·(I + H + 2) + V·(H + 1), two biases per layer as in torch.

        N-grams add V·E + V².
        """
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())

    @property
    def multiplications(self) -> int:
        """Multiplications per character, forward; a one-hot input, a row of a matrix, costs none.

        Σ over layers of G·H·(I + H), the output's V·H, and what n-grams add to.
        """
        inputs = self.embed + (self.layers - 1) * self.size
        recurrent = GATES[self.cell] * self.size * (inputs + self.layers * self.size)
        ngrams = self.vocabulary_size * (self.vocabulary_size + self.embed) if self.ngram else 0
        return recurrent + self.vocabulary_size * self.size + ngrams

    def __str__(self) -> str:
        return f"{self.cell} {self.layers}x{self.size}"


def automatic_ngram(vocabulary_size: int) -> int:
    """Return the highest order of n-grams: 9, fewer from 138 symbols on, and 0 above 512."""
    if vocabulary_size > MAX_SYMBOLS:
        return 0
    return longest_order(vocabulary_size, NGRAM_ORDER)


def longest_order(vocabulary_size: int, limit: int) -> int:
    """Return the highest order of n-grams, up to `limit`, whose numbers fit into 64 bits."""
    return max(order for order in range(1, limit + 1) if vocabulary_size**order < 1 << 64)
