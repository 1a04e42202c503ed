"""A trained model as one verified file: configuration, vocabulary and weights.

`storage/header.py` documents the header, and `storage/tensorfile.py` the file.

The tensors of a checkpoint are `vocabulary`, code points as U32 in the order of their ids; the
weights as F32, or all as F16, under the names of `ModelConfig.tensor_shapes`; and n-grams, which
`model/ngram_tables.py` documents. A resume file puts `model.` before the names of the weights,
always as F32, and also holds the optimizer's moments and the recurrent state.
"""

import io
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.errors import (
    AlreadyPublishedError,
    ConfigError,
    DamagedFileError,
    FileFormatError,
    NotFoundError,
)
from charrnn_cli.model.ngram_tables import from_tables, table_names, to_tables
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.header import CHECKPOINT_KIND, CheckpointHeader, DataFacts
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.record import typed_header
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import (
    Header,
    TensorSpec,
    read_exactly,
    read_open_header,
    read_verified,
    verify_tensors,
)
from charrnn_cli.text.corpus_file import DTYPES
from charrnn_cli.text.vocab import Vocab

Array = npt.NDArray[np.float32]
Float = Literal["F32", "F16"]

FLOATS: dict[str, npt.DTypeLike] = {"F32": "<f4", "F16": "<f2"}


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
    data: DataFacts
    """The training text."""
    ngrams: NgramModel | None = None
    """Of `model.ngram` characters; None if that is 0."""
    versions: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False
    """Saved because training was asked to stop; the next checkpoint replaces it."""

    @property
    def default_prime(self) -> str:
        """The end symbol of documents, a newline or the commonest character, if it is known."""
        candidates = (self.data.end or "\n", self.data.commonest, self.vocab.characters[0])
        return next(character for character in candidates if character in self.vocab)


def load_checkpoint(
    reference: str | Path | None = None, registry: Registry | None = None
) -> Checkpoint:
    """Load and verify a checkpoint by path or by reference (`RUN`, `RUN@best`, `latest`, ...).

    Raises NotFoundError, ConfigError, FileFormatError, StorageError.
    """
    path = reference if isinstance(reference, Path) else (registry or Registry()).resolve(reference)
    with open_regular(path, follow=True) as file:
        return read_checkpoint(file, path)


def read_checkpoint(file: BinaryIO, path: Path) -> Checkpoint:
    """Read and verify a checkpoint from an open file; `path` is only for messages.

    Raises FileFormatError, StorageError.
    """
    header, fields = _checked_header(file, path)
    tensors = read_verified(file, header, path)
    return checkpoint_from_tensors(fields, header, tensors, path, prefix="")


def load_verified(file: BinaryIO, path: Path) -> tuple[Checkpoint, bytes]:
    """Return a checkpoint, and the bytes of its file that were verified, to copy.

    The file is read once, because its name may be given to other bytes between two readings.
    Raises as `read_checkpoint` does.
    """
    header, _ = _checked_header(file, path)  # before memory is spent
    file.seek(0)
    data = read_exactly(file, header.file_bytes, path)
    return read_checkpoint(io.BytesIO(data), path), data


def _checked_header(file: BinaryIO, path: Path) -> tuple[Header, CheckpointHeader]:
    """Read the header, and check that it lists the tensors of its model."""
    header = read_open_header(file, path)
    fields = typed_header(header, CheckpointHeader, path)
    check_tensor_table(header, fields.model, path, prefix="", extra=())
    return header, fields


def save_checkpoint(
    path: Path,
    checkpoint: Checkpoint,
    *,
    replace: bool = False,
    directory: Directory | None = None,
    dtype: Float = "F32",
) -> None:
    """Publish a checkpoint, with weights of one type.

    An existing file with the same content counts as published. A damaged file is replaced; any
    other file is not, unless `replace` is set.
    Raises AlreadyPublishedError, StorageError, ConfigError.
    """
    specs, pieces = checkpoint_tensors(checkpoint, prefix="", dtype=dtype)
    header = CheckpointHeader(**header_fields(checkpoint), interrupted=checkpoint.interrupted)
    try:
        with write_tensors(
            path,
            CHECKPOINT_KIND,
            specs,
            header.to_json(),
            replace=replace,
            private=True,
            directory=directory,
        ) as tensors:
            for name in tensors.order:
                tensors.write(pieces[name])
            digest = tensors.hexdigest
    except AlreadyPublishedError:
        # A run killed between its step file and its resume file reaches the same step again.
        try:
            with open_regular(path, directory=directory) as file:
                existing = read_open_header(file, path)
                verify_tensors(file, existing, path)
            fields = typed_header(existing, CheckpointHeader, path)
        except (DamagedFileError, NotFoundError):
            save_checkpoint(path, checkpoint, replace=True, directory=directory, dtype=dtype)
            return
        is_same = (fields.step, fields.model) == (checkpoint.step, checkpoint.model)
        if not (is_same and existing.tensors_sha256 == digest()):
            raise


def header_fields(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the header fields that checkpoints and resume files share."""
    return {
        "run": checkpoint.run,
        "model": checkpoint.model,
        "parameters": checkpoint.model.num_parameters,
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "train_loss": checkpoint.train_loss,
        "val_loss": checkpoint.val_loss,
        "train": dict(checkpoint.train),
        "data": checkpoint.data,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            **checkpoint.versions,
        },
    }


def checkpoint_tensors(
    checkpoint: Checkpoint, prefix: str, dtype: Float = "F32"
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
        specs[prefix + name] = TensorSpec(dtype, shape)
        pieces[prefix + name] = tensor_bytes(checkpoint.weights[name], dtype)
    if checkpoint.ngrams is not None:
        names = {dtype: name for name, dtype in DTYPES.items()}
        for name, table in to_tables(checkpoint.ngrams).items():
            specs[name] = TensorSpec(names[table.dtype], table.shape)
            pieces[name] = table.tobytes()
    return specs, pieces


def tensor_bytes(array: Array, dtype: Float = "F32") -> memoryview:
    """Return an array as little-endian numbers of a type, without a copy where possible."""
    return np.ascontiguousarray(array, dtype=FLOATS[dtype]).reshape(-1).view(np.uint8).data


def check_tensor_table(
    header: Header, model: ModelConfig, path: Path, prefix: str, extra: Collection[str]
) -> None:
    """Check that the header lists exactly the model's tensors, before they are read.

    `extra` names further float tensors of the file, of any shape, all as F32; only a file without
    a `prefix` may have weights as F16. Raises FileFormatError.
    """
    shapes = {prefix + name: shape for name, shape in model.tensor_shapes().items()}
    types = {header.tensors[name].dtype for name in shapes if name in header.tensors}
    dtype = "F16" if types == {"F16"} and not prefix else "F32"
    expected = {name: (dtype, shape) for name, shape in shapes.items()}
    expected["vocabulary"] = ("U32", (model.vocabulary_size,))
    tables = ngram_tensors(model)
    actual = {
        name: (spec.dtype, spec.shape)
        for name, spec in header.tensors.items()
        if name not in extra and name not in tables
    }
    is_complete = tables <= header.tensors.keys() and all(
        header.tensors[name].dtype in DTYPES and len(header.tensors[name].shape) == 1
        for name in tables
    )
    is_float = all(header.tensors[name].dtype == "F32" for name in extra)
    if not (actual == expected and is_complete and is_float):
        raise FileFormatError(f"{path} is damaged: its tensors do not match its configuration")


def ngram_tensors(model: ModelConfig) -> set[str]:
    """Return the names of the tensors of a model's n-grams."""
    return {name for order in range(1, model.ngram + 1) for name in table_names(order)}


def checkpoint_from_tensors(
    fields: CheckpointHeader, header: Header, tensors: Mapping[str, bytes], path: Path, prefix: str
) -> Checkpoint:
    """Build a checkpoint from a checked header and its tensors. Raises FileFormatError."""
    model = fields.model
    weights = {
        name: finite_array(tensors[prefix + name], shape, path, header.tensors[prefix + name].dtype)
        for name, shape in model.tensor_shapes().items()
    }
    try:
        vocab = Vocab.from_code_points(tensors["vocabulary"])
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error.message}") from error
    if (fields.data.end or "") not in vocab.characters:
        raise FileFormatError(f"{path} is damaged: its vocabulary lacks the end of its documents")
    try:
        tables = {
            name: np.frombuffer(tensors[name], DTYPES[header.tensors[name].dtype])
            for name in ngram_tensors(model)
        }
        ngrams = from_tables(tables, len(vocab), model.ngram) if model.ngram else None
    except ValueError as error:
        raise FileFormatError(f"{path} is damaged: {error}") from error
    return Checkpoint(
        model=model,
        vocab=vocab,
        weights=weights,
        run=fields.run,
        step=fields.step,
        epoch=fields.epoch,
        train_loss=fields.train_loss,
        val_loss=fields.val_loss,
        train=fields.train,
        data=fields.data,
        ngrams=ngrams,
        versions=fields.versions,
        interrupted=fields.interrupted,
    )


def finite_array(data: bytes, shape: tuple[int, ...], path: Path, dtype: str = "F32") -> Array:
    """Return a float tensor as float32. Raises FileFormatError if a value is not finite."""
    array = np.frombuffer(data, FLOATS[dtype]).astype(np.float32, copy=False).reshape(shape)
    if not np.isfinite(array).all():
        raise FileFormatError(f"{path} contains values that are not finite")
    return array
