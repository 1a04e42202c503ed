"""A model as an ONNX file, which other programs can run; ONNX.md documents it."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import FLOATS, Checkpoint
from charrnn_cli.model.reading import end_symbol
from charrnn_cli.version import __version__

# V vocabulary · E embedding · I input size · H hidden size · G gates times H

FORMAT = 1
OPSET, IR_VERSION = 17, 9  # of onnxruntime 1.15 and later
MOST_BYTES = (1 << 31) - 1  # Protocol Buffers hold no larger message
GRAPH_BYTES = 1 << 20  # more than the nodes and the metadata's other fields ever take

# Gates in ONNX's order, by their position in PyTorch's.
GATE_ORDER: dict[Cell, tuple[int, ...]] = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}

Array = npt.NDArray[np.float32]


def to_onnx(checkpoint: Checkpoint, sha256: str) -> bytes:
    """Return the bytes of an ONNX file; equal checkpoints give equal bytes.

    `sha256` is the digest of the checkpoint's file, for the metadata. Raises ConfigError if onnx,
    an extra, is missing, or if the file would be larger than 2 GB.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigError("ONNX export requires onnx", hint="run `pip install onnx`") from error
    metadata = _metadata(checkpoint, sha256)
    check_size(checkpoint.model, len(metadata))
    graph = _Graph(onnx, checkpoint).build()
    model = onnx.helper.make_model(
        graph,
        producer_name="charrnn",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    onnx.helper.set_model_props(model, {"charrnn": metadata})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def check_size(model: ModelConfig, metadata: int = 0) -> None:
    """Raise ConfigError if the file of a model would be larger than 2 GB, before it is built."""
    weights = sum(math.prod(shape) for shape in model.tensor_shapes().values())
    size = 4 * weights + metadata + GRAPH_BYTES
    if size > MOST_BYTES:
        raise ConfigError(
            f"an ONNX file holds at most 2 GB, and this model takes {size / 1e9:.1f} GB",
            hint="export to a .safetensors file",
        )


def _metadata(checkpoint: Checkpoint, sha256: str) -> str:
    """Return what a program needs beside the graph, as JSON; characters are code points."""
    end = end_symbol(checkpoint)
    fields = {
        "checkpoint_sha256": sha256,
        "end": None if end is None else ord(end),
        "format": FORMAT,
        "model": checkpoint.model.to_json(),
        "run": checkpoint.run,
        "step": checkpoint.step,
        "val_loss": checkpoint.val_loss,
        "vocabulary": [ord(character) for character in checkpoint.vocab.characters],
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


class _Graph:
    """Builds the graph, from its inputs to its outputs."""

    def __init__(self, onnx: Any, checkpoint: Checkpoint) -> None:
        self._onnx, self._config = onnx, checkpoint.model
        self._weights = checkpoint.weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._states: list[str] = []  # names of its parts, as inputs

    def build(self) -> Any:
        """Return the graph, an onnx.GraphProto."""
        hidden = self._inputs_of_first_layer()
        for layer in range(self._config.layers):
            hidden = self._layer(layer, hidden)
        logits = self._linear("output", hidden)
        if self._config.ngram:
            logits = self._node(
                "Add", [logits, self._linear("ngram_output", "ngram")], "with_ngrams"
            )
        self._node("Add", [logits, self._weight("output.bias")], "logits")
        return self._onnx.helper.make_graph(
            self._nodes,
            "charrnn",
            self._graph_inputs(),
            self._graph_outputs(),
            initializer=self._constants,
        )

    def _inputs_of_first_layer(self) -> str:
        """Add the embedding of `ids`, or their one-hot rows, and return its name."""
        size = self._config.vocabulary_size
        if not self._config.embed:
            shape = self._constant("vocabulary_shape", np.array([size, size], np.int64))
            zeros = self._node("ConstantOfShape", [shape], "zeros")
            table = self._node("EyeLike", [zeros], "one_hot", dtype=self._onnx.TensorProto.FLOAT)
            return self._node("Gather", [table, "ids"], "embedded", axis=0)
        table = self._weight("embedding.weight")
        embedded = self._node("Gather", [table, "ids"], "embedded", axis=0)
        if not self._config.ngram:
            return embedded
        return self._node("Add", [embedded, self._linear("ngram_input", "ngram")], "input")

    def _layer(self, layer: int, hidden: str) -> str:
        """Add a recurrent layer, and return the name of its hidden states (time, batch, H)."""
        cell = self._config.cell
        states = [f"{part}{layer}" for part in ("hc" if cell == "lstm" else "h")]
        self._states += states
        biases = [self._gates(layer, name) for name in ("bias_ih", "bias_hh")]
        constants = {
            "weight_ih": self._gates(layer, "weight_ih")[None],
            "weight_hh": self._gates(layer, "weight_hh")[None],
            "bias": np.concatenate(biases)[None],
        }
        names = [
            self._constant(f"layers.{layer}.{name}", array) for name, array in constants.items()
        ]
        every = f"layers.{layer}.states"  # (time, 1, batch, H)
        attributes = {"linear_before_reset": 1} if cell == "gru" else {}
        node = self._onnx.helper.make_node(
            cell.upper(),
            [hidden, *names, "", *states],
            [every, *(f"{state}_out" for state in states)],
            name=f"layers.{layer}",
            hidden_size=self._config.size,
            **attributes,
        )
        self._nodes.append(node)
        if layer == 0:
            self._constant("direction_axis", np.array([1], np.int64))
        return self._node("Squeeze", [every, "direction_axis"], f"layers.{layer}.output")

    def _gates(self, layer: int, name: str) -> Array:
        """Return a tensor of a layer, with its gates in ONNX's order."""
        order = GATE_ORDER[self._config.cell]
        gates = np.split(self._weights[f"layers.{layer}.{name}_l0"], len(order))
        return np.concatenate([gates[gate] for gate in order])

    def _linear(self, name: str, hidden: str) -> str:
        """Add the product with a matrix that is stored as torch stores it, and return its name."""
        weight = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self._node("MatMul", [hidden, weight], f"{name}.product")

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, array: npt.NDArray[Any]) -> str:
        proto = self._onnx.TensorProto
        is_float = array.dtype == np.float32
        raw = np.ascontiguousarray(array, FLOATS["F32"] if is_float else "<i8").tobytes()
        kind = proto.FLOAT if is_float else proto.INT64
        self._constants.append(
            self._onnx.helper.make_tensor(name, kind, array.shape, raw, raw=True)
        )
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        node = self._onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)
        self._nodes.append(node)
        return output

    def _graph_inputs(self) -> list[Any]:
        proto = self._onnx.TensorProto
        rows = ["time", "batch"]
        inputs = [self._value("ids", rows, proto.INT64)]
        if self._config.ngram:
            inputs.append(self._value("ngram", [*rows, self._config.vocabulary_size]))
        return inputs + [self._state_value(state) for state in self._states]

    def _graph_outputs(self) -> list[Any]:
        logits = self._value("logits", ["time", "batch", self._config.vocabulary_size])
        return [logits, *(self._state_value(f"{state}_out") for state in self._states)]

    def _state_value(self, name: str) -> Any:
        return self._value(name, [1, "batch", self._config.size])

    def _value(self, name: str, shape: Sequence[str | int], kind: int | None = None) -> Any:
        kind = self._onnx.TensorProto.FLOAT if kind is None else kind
        return self._onnx.helper.make_tensor_value_info(name, kind, shape)
