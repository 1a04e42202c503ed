"""What can be configured: every setting, its one default, and what it refuses."""

import codecs
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from charrnn_cli.errors import ConfigError, TextError
from charrnn_cli.settings import Settings, range_problem, type_hints

Cell = Literal["lstm", "gru", "rnn"]
Schedule = Literal["linear", "cosine", "constant"]
ValSplit = Literal["tail", "spread"]
Precision = Literal["auto", "fp32", "bf16"]
Initialization = Literal["orthogonal", "glorot"]
Newlines = Literal["normalize", "keep"]
Errors = Literal["strict", "replace", "ignore"]
Normalize = Literal["none", "nfc", "nfkc"]
Unknown = Literal["error", "skip", "closest", "extend"]
"""What to do with characters outside a vocabulary; each command offers those it can do."""

GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}

# Far above any useful model, and small enough that a forged header cannot ask for terabytes.
MAX_LAYERS = 64
MAX_SIZE = 65_536
MAX_SEED = 2**63 - 1
BEFORE_IT_EXISTED: dict[str, Any] = {"reset": 0.0}
"""What settings were in effect, before there was a choice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig(Settings):
    """The architecture: what the tensors of a model are.

    Embedding (or one-hot input) -> `layers` recurrent layers of `size` units -> linear -> softmax.
    """

    vocabulary_size: int
    cell: Cell = "lstm"
    layers: int = 2
    size: int = 512
    embed: int = 64
    """Width of the character embedding; 0 feeds one-hot vectors to the first layer."""

    def _problems(self) -> list[str | None]:
        return [
            range_problem("vocabulary size", self.vocabulary_size, 1, 0x110000),
            range_problem("layers", self.layers, 1, MAX_LAYERS),
            range_problem("size", self.size, 1, MAX_SIZE),
            range_problem("embed", self.embed, 0, MAX_SIZE),
        ]

    def input_size(self, layer: int) -> int:
        """Width of what the given layer (from 0) reads."""
        if layer > 0:
            return self.size
        return self.embed or self.vocabulary_size

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the model by name; gates are stacked in torch's order along the first axis."""
        rows = GATES[self.cell] * self.size
        shapes: dict[str, tuple[int, ...]] = {}
        if self.embed:
            shapes["embedding.weight"] = (self.vocabulary_size, self.embed)
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
        """V·E + Σ over layers of G·H·(I + H + 2) + V·(H + 1), with two bias vectors a layer as torch has them."""
        rows = GATES[self.cell] * self.size
        recurrent = sum(
            rows * (self.input_size(layer) + self.size + 2) for layer in range(self.layers)
        )
        return self.vocabulary_size * (self.embed + self.size + 1) + recurrent

    def __str__(self) -> str:
        return f"{self.cell} {self.layers}x{self.size}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(Settings):
    """The recipe: how a model is trained. None means decided when training starts, and then recorded."""

    batch_size: int = 32
    """Parallel rows of text in a step."""
    seq_len: int = 64
    """Characters a row in a step; gradients stop at the window's edge."""
    reset: float = 0.05
    """Share of the windows that start at the zero state, so that the model learns to begin a text."""
    epochs: int | None = 10
    """Passes over the text. With `max_steps` or `max_time`, whichever ends first."""
    max_steps: int | None = None
    max_time: float | None = None
    """Seconds that the whole run may take, its last evaluation and checkpoint included."""
    lr: float = 3e-3
    """Peak learning rate."""
    schedule: Schedule = "linear"
    warmup: float = 0.02
    """Share of the steps in which the learning rate rises to its peak."""
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.1
    """Decoupled (AdamW), on matrices only."""
    clip: float = 1.0
    """Largest global norm of the gradient; 0 is off."""
    dropout: float | None = None
    """On every layer's output, the last included. None: from the number of passes."""
    ema: float = 0.0
    """Decay of the exponential moving average of the weights that is evaluated and saved; 0 is off."""
    initialization: Initialization = "orthogonal"
    val_fraction: float = 0.1
    val_split: ValSplit = "tail"
    shuffle_documents: bool = False
    """Documents stand in another order each epoch, and the model starts afresh with each."""
    eval_every: int | None = None
    """Steps between evaluations. None: 20 in the run, none closer than 30 s."""
    patience: int | None = None
    """End after so many evaluations without a better one."""
    save_every: int | None = None
    """Steps between checkpoints besides those of evaluations."""
    keep: int = 100
    """Checkpoints that stay; the best and the latest always do."""
    log_every: int | None = None
    """Steps between lines of metrics. None: a line a second."""
    sample_every: int | None = None
    """Steps between short samples."""
    sample_prime: str | None = None
    """What these begin with. None: a new line, or the commonest character."""
    seed: int | None = None
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None

    @classmethod
    def from_record(cls, raw: Mapping[str, Any]) -> Self:
        """As a file has it: what it does not name, since it is older than the setting, was as it then had to be.

        Raises ConfigError.
        """
        return cls.from_json({**BEFORE_IT_EXISTED, **raw})

    def _problems(self) -> list[str | None]:
        counts = (
            "epochs",
            "max_steps",
            "patience",
            "save_every",
            "sample_every",
            "keep",
            "log_every",
            "threads",
        )
        shares = {
            "warmup": 1.0,
            "beta1": 1.0,
            "beta2": 1.0,
            "val_fraction": 0.9,
            "ema": 0.999999,
            "reset": 1.0,
        }
        endless = self.epochs is None and self.max_steps is None and self.max_time is None
        dropout = self.dropout is None or 0 <= self.dropout < 1
        return [
            range_problem("batch size", self.batch_size, 1, 65_536),
            range_problem("seq len", self.seq_len, 1, 65_536),
            *(range_problem(name.replace("_", " "), getattr(self, name), 1) for name in counts),
            range_problem("eval every", self.eval_every, 0),
            range_problem("max time", self.max_time, 1.0),
            range_problem("learning rate", self.lr, 0.0, 100.0),
            *(
                range_problem(name.replace("_", " "), getattr(self, name), 0.0, high)
                for name, high in shares.items()
            ),
            range_problem("weight decay", self.weight_decay, 0.0, 10.0),
            range_problem("clip", self.clip, 0.0),
            range_problem("seed", self.seed, 0, MAX_SEED),
            None if dropout else f"dropout must be at least 0 and below 1, got {self.dropout}",
            "learning rate must be above 0" if self.lr == 0 else None,
            "epochs, max steps or max time must say when to end" if endless else None,
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleConfig(Settings):
    """How characters are drawn. Filters apply in the order temperature, top-k, top-p, min-p."""

    length: int = 2000
    """New characters; the prime is not counted."""
    temperature: float = 1.0
    """0 always takes the likeliest character."""
    top_k: int = 5
    """Keep the k likeliest characters; 0 is off."""
    top_p: float = 1.0
    """Keep the likeliest characters whose probabilities reach this sum; 1 is off."""
    min_p: float = 0.0
    """Keep characters at least this share as likely as the likeliest; 0 is off."""
    seed: int | None = None

    def _problems(self) -> list[str | None]:
        nothing = (
            "top-p must be above 0; temperature 0 takes the likeliest character"
            if self.top_p == 0
            else None
        )
        return [
            range_problem("length", self.length, 0),
            range_problem("temperature", self.temperature, 0.0),
            range_problem("top-k", self.top_k, 0),
            range_problem("top-p", self.top_p, 0.0, 1.0),
            range_problem("min-p", self.min_p, 0.0, 1.0),
            range_problem("seed", self.seed, 0, MAX_SEED),
            nothing,
        ]


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # The 2x512 "Anna KaRNNa" notebook: one-hot input, Adam at a constant rate, no validation.
    "notebook": {
        "embed": 0,
        "dropout": 0.5,
        "batch_size": 100,
        "seq_len": 100,
        "beta2": 0.999,
        "weight_decay": 0.0,
        "lr": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "clip": 5.0,
        "reset": 0.0,
        "epochs": 20,
        "val_fraction": 0.0,
        "save_every": 200,
        "initialization": "glorot",
    },
}


def from_preset(
    preset: str, settings: Mapping[str, Any], vocabulary_size: int = 1
) -> tuple[ModelConfig, TrainConfig]:
    """A preset with single settings of either configuration replaced. Raises ConfigError.

    A limit on steps or time replaces the preset's number of epochs, unless that is given as well.
    """
    if preset not in PRESETS:
        nearest = difflib.get_close_matches(preset, PRESETS, n=1)
        meant = f"did you mean {nearest[0]}? " if nearest else ""
        raise ConfigError(f"no preset {preset!r}", hint=f"{meant}presets are {', '.join(PRESETS)}")
    merged = {**PRESETS[preset], **settings}
    if "epochs" not in settings and not settings.keys().isdisjoint(("max_steps", "max_time")):
        merged["epochs"] = None
    of_model = {name: merged.pop(name) for name in type_hints(ModelConfig) if name in merged}
    problems = []
    try:
        model = ModelConfig.from_json({"vocabulary_size": vocabulary_size, **of_model})
    except ConfigError as error:
        problems.append(error.message)
    try:
        train = TrainConfig.from_json(merged)
    except ConfigError as error:
        problems.append(error.message)
    if problems:
        raise ConfigError("; ".join(problems))
    return model, train


_NOT_STREAMS = {"idna", "punycode"}  # host names


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOptions(Settings):
    """How files become one text."""

    encoding: str = "utf-8"
    """Used unless a byte order mark says otherwise."""
    errors: Errors = "strict"
    """What cannot be decoded is an error, or becomes U+FFFD, or is left out."""
    newlines: Newlines = "normalize"
    """`normalize` turns \\r\\n and \\r into \\n, as reading a file in Python does."""
    normalize: Normalize = "none"
    """Unicode's composed form, or its compatibility form, which makes wide and ligature forms plain."""
    separator: str = ""
    """Stands between two documents; without one the model starts afresh with each."""
    min_count: int = 1
    """Characters that occur less often become U+FFFD."""
    include: str = "*"
    """Pattern of the files that are taken from a directory."""

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        try:
            "".encode(self.encoding)
            codecs.getincrementaldecoder(self.encoding)("strict").decode(b"")
            if codecs.lookup(self.encoding).name in _NOT_STREAMS:
                raise LookupError
        except (LookupError, TypeError, ValueError) as error:
            raise TextError(
                f"unknown encoding {self.encoding!r}",
                hint="for example utf-8, latin-1, cp1252, shift_jis, gb18030",
            ) from error

    def _problems(self) -> list[str | None]:
        return [
            f"min count must be at least 1; got {self.min_count}" if self.min_count < 1 else None
        ]
