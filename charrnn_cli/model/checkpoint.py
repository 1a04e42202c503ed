"""A trained model as one verified file: configuration, vocabulary and weights.

The header of every charrnn file (see `storage/tensorfile.py`) holds one JSON object:

| key | type | meaning |
| --- | --- | --- |
| `format` | integer | version of the format; readers reject other versions |
| `kind` | string | `checkpoint`, `resume` or `corpus` |
| `version` | string | version of charrnn that wrote the file |
| `tensors_sha256` | string | digest of the tensors, 64 hexadecimal digits |
| `header_sha256` | string | digest of the header, 64 hexadecimal digits |

Checkpoints and resume files also hold:

| key | type | meaning |
| --- | --- | --- |
| `run` | string | name of the run |
| `model` | object | `ModelConfig`, every setting |
| `parameters` | integer | number of weights |
| `step` | integer | updates so far |
| `epoch` | number | passes over the training text so far |
| `train_loss` | number or null | nats per character, moving average with dropout; null at step 0 |
| `val_loss` | number or null | nats per validation character; null between evaluations |
| `train` | object | `TrainConfig`, every setting as it was used; durations in seconds |
| `data.name` | string | the text's file name up to the first dot, or its directory's name |
| `data.sha256` | string | `tensors_sha256` of the encoded text |
| `data.characters` | integer | length of the text |
| `data.commonest` | string | most frequent character |
| `data.init_from` | string, optional | checkpoint that the run started from, as RUN@STEP |
| `versions` | object | versions of Python, NumPy and PyTorch |
| `interrupted` | boolean | checkpoints only: saved because training was asked to stop |

Only resume files hold:

| key | type | meaning |
| --- | --- | --- |
| `finished` | boolean | training reached its planned end |
| `progress.train_loss` | number or null | same as `train_loss` |
| `progress.lr_scale` | number | factor on the learning rate; halved at each divergence |
| `progress.last_saved_step` | integer | last step whose evaluation and saving were completed |
| `progress.best_step` | integer or null | step with the lowest validation loss |
| `progress.best_val_loss` | number or null | lowest validation loss, nats per character |
| `progress.evaluations_since_best` | integer | evaluations since the lowest validation loss |
| `progress.divergences` | integer | number of returns to an earlier state |
| `progress.seconds` | number | wall time in seconds, over all resumed parts |
| `progress.finished` | boolean | same as `finished` |
| `source.texts` | array of strings | file URIs of the text; `-` is standard input |
| `source.options` | object | `TextOptions`, every setting |
| `source.init_from` | string or null | checkpoint given to `--init-from`: RUN@STEP or a path |
| `source.unknown` | string | value of `--unknown`: `error`, `skip` or `extend` |

`text/corpus.py` documents the keys and tensors of an encoded text.

The tensors of a checkpoint are `vocabulary`, code points as U32 in the order of their ids, and the
weights as F32 under the names of `ModelConfig.tensor_shapes`. A resume file puts `model.` before
the names of the weights, and also holds the optimizer's moments and the recurrent state.
"""

import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import ModelConfig
from charrnn_cli.errors import (
    AlreadyPublishedError,
    ConfigError,
    FileFormatError,
    NotFoundError,
)
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import CHECKPOINT_KIND
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import (
    Header,
    TensorSpec,
    read_open_header,
    read_tensors,
    read_verified,
)
from charrnn_cli.text.vocab import Vocab

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A trained model, self-contained: it holds no path, host name or user name."""

    model: ModelConfig
    vocab: Vocab
    weights: Mapping[str, Array]
    """Names and shapes are those of `model.tensor_shapes()`."""
    run: str
    step: int
    epoch: float
    train_loss: float | None
    """Nats per character, moving average with dropout."""
    val_loss: float | None
    """Nats per character; None if it was saved between evaluations."""
    train: Mapping[str, Any]
    """The recipe, every setting as it was used; see `TrainConfig`."""
    data: Mapping[str, Any]
    """Facts about the training text; the keys are listed above."""
    versions: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False
    """Saved because training was asked to stop; the next checkpoint replaces it."""

    @property
    def default_prime(self) -> str:
        """A newline if the model knows it, otherwise the text's most frequent character."""
        candidates = ("\n", str(self.data.get("commonest")), self.vocab.characters[0])
        return next(character for character in candidates if character in self.vocab)


def load_checkpoint(
    reference: str | Path | None = None, registry: Registry | None = None
) -> Checkpoint:
    """Load and verify a checkpoint by path or by reference (`RUN`, `RUN@best`, `latest`, ...).

    Raises NotFoundError, ConfigError, FileFormatError, StorageError.
    """
    path = reference if isinstance(reference, Path) else (registry or Registry()).resolve(reference)
    with open_regular(path) as file:
        header = read_open_header(file, path)
        model = check_tensor_table(header, path, CHECKPOINT_KIND, prefix="", extra=())
        tensors = read_verified(file, header, path)
    return checkpoint_from_tensors(header, model, tensors, path, prefix="")


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, replace: bool = False) -> None:
    """Publish a checkpoint. An existing file with the same content counts as published.

    Raises AlreadyPublishedError, StorageError.
    """
    specs, pieces = checkpoint_tensors(checkpoint, prefix="")
    metadata = {**checkpoint_metadata(checkpoint), "interrupted": checkpoint.interrupted}
    try:
        with write_tensors(path, CHECKPOINT_KIND, specs, metadata, replace=replace) as tensors:
            for name in tensors.order:
                tensors.write(pieces[name])
            digest = tensors.hexdigest
    except AlreadyPublishedError:
        # A run killed between its step file and its resume file reaches the same step again.
        try:
            existing = read_tensors(path)[0]
        except (FileFormatError, NotFoundError):
            save_checkpoint(path, checkpoint, replace=True)  # the existing file is damaged
            return
        same_place = existing.metadata.get("step") == checkpoint.step
        same_model = existing.metadata.get("model") == checkpoint.model.to_json()
        if not (same_place and same_model and existing.tensors_sha256 == digest()):
            raise


def checkpoint_metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the header fields that checkpoints and resume files share."""
    return {
        "run": checkpoint.run,
        "model": checkpoint.model.to_json(),
        "parameters": checkpoint.model.num_parameters,
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "train_loss": checkpoint.train_loss,
        "val_loss": checkpoint.val_loss,
        "train": dict(checkpoint.train),
        "data": dict(checkpoint.data),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            **checkpoint.versions,
        },
    }


def checkpoint_tensors(
    checkpoint: Checkpoint, prefix: str
) -> tuple[dict[str, TensorSpec], dict[str, bytes | memoryview]]:
    """Return the specification and the bytes of each tensor; weights are named with `prefix`.

    Raises ConfigError if a weight does not have the shape that the configuration implies.
    """
    specs = {"vocabulary": TensorSpec("U32", (len(checkpoint.vocab),))}
    pieces: dict[str, bytes | memoryview] = {"vocabulary": checkpoint.vocab.to_code_points()}
    for name, shape in checkpoint.model.tensor_shapes().items():
        if checkpoint.weights[name].shape != shape:
            raise ConfigError(
                f"tensor {name} has shape {checkpoint.weights[name].shape}, expected {shape}"
            )
        specs[prefix + name] = TensorSpec("F32", shape)
        pieces[prefix + name] = tensor_bytes(checkpoint.weights[name])
    return specs, pieces


def tensor_bytes(array: Array) -> memoryview:
    """Return an array as little-endian float32, without a copy where possible."""
    return np.ascontiguousarray(array, dtype="<f4").reshape(-1).view(np.uint8).data


def check_tensor_table(
    header: Header, path: Path, kind: str, prefix: str, extra: Collection[str]
) -> ModelConfig:
    """Return the configuration, after checking that the header lists exactly its tensors.

    `extra` names further float tensors of the file, of any shape. Raises FileFormatError.
    """
    header.check_kind(kind, path)
    try:
        model = ModelConfig.from_json(header.metadata["model"])
    except (ConfigError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is damaged: {error}") from error
    expected = {prefix + name: ("F32", shape) for name, shape in model.tensor_shapes().items()}
    expected["vocabulary"] = ("U32", (model.vocabulary_size,))
    actual = {
        name: (spec.dtype, spec.shape) for name, spec in header.tensors.items() if name not in extra
    }
    if actual != expected or any(header.tensors[name].dtype != "F32" for name in extra):
        raise FileFormatError(f"{path} is damaged: its tensors do not match its configuration")
    return model


def checkpoint_from_tensors(
    header: Header, model: ModelConfig, tensors: Mapping[str, bytes], path: Path, prefix: str
) -> Checkpoint:
    """Build a checkpoint from a verified header and its tensors. Raises FileFormatError."""
    fields = header.metadata
    weights = {
        name: finite_array(tensors[prefix + name], shape, path)
        for name, shape in model.tensor_shapes().items()
    }
    try:
        return Checkpoint(
            model=model,
            vocab=Vocab.from_code_points(tensors["vocabulary"]),
            weights=weights,
            run=_typed(fields["run"], str),
            step=_typed(fields["step"], int),
            epoch=_typed(fields["epoch"], float),
            train_loss=_typed(fields["train_loss"], float, type(None)),
            val_loss=_typed(fields["val_loss"], float, type(None)),
            train=_typed(fields["train"], dict),
            data=_typed(fields["data"], dict),
            versions=_typed(fields["versions"], dict),
            interrupted=_typed(fields.get("interrupted", False), bool),
        )
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is damaged: {error}") from error
    except FileFormatError as error:  # of the vocabulary
        raise FileFormatError(f"{path}: {error.message}") from error


def _typed(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError(f"{value!r} has the wrong type")
    return value


def finite_array(data: bytes, shape: tuple[int, ...], path: Path) -> Array:
    """Return a float32 tensor as an array. Raises FileFormatError if a value is not finite."""
    array = np.frombuffer(data, "<f4").reshape(shape)
    if not np.isfinite(array).all():
        raise FileFormatError(f"{path} contains values that are not finite")
    return array
