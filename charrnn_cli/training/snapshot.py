"""The contents of a resume file, and how they are read and written."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import MAX_SIZE
from charrnn_cli.errors import FileFormatError
from charrnn_cli.model.checkpoint import (
    Array,
    Checkpoint,
    check_tensor_table,
    checkpoint_from_tensors,
    checkpoint_tensors,
    finite_array,
    header_fields,
    ngram_tensors,
    tensor_bytes,
)
from charrnn_cli.storage.atomic import keep_previous
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.header import RESUME_KIND, ResumeHeader, RunCounters
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.record import typed_header
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensor_writer import check_header, write_tensors, write_tensors_to
from charrnn_cli.storage.tensorfile import Header, TensorSpec, read_open_header, read_verified


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSnapshot:
    """A run at one step: a checkpoint, and everything else needed to continue."""

    checkpoint: Checkpoint
    tensors: Mapping[str, Array]
    """Optimizer moments and the recurrent state; see `recurrent_state.snapshot_shapes`."""
    counters: RunCounters
    source: Source | None
    """Where the text is and how it is read, so that a resume needs no TEXT."""


def save_resume(run: Run, snapshot: TrainingSnapshot) -> None:
    """Replace the run's resume file; the previous one is kept as `resume.previous`.

    Raises StorageError, ConfigError.
    """
    specs, pieces = _tensors(snapshot)
    keep_previous(run.resume_path, run.previous_resume_path, directory=run.directory)
    with write_tensors(
        run.resume_path,
        RESUME_KIND,
        specs,
        _header(snapshot).to_json(),
        replace=True,
        private=True,
        directory=run.directory,
    ) as tensors:
        for name in tensors.order:
            tensors.write(pieces[name])


def snapshot_to_bytes(snapshot: TrainingSnapshot) -> bytes:
    """Return the bytes of the resume file of a snapshot. Raises ConfigError."""
    specs, pieces = _tensors(snapshot)
    file = io.BytesIO()
    with write_tensors_to(file, RESUME_KIND, specs, _header(snapshot).to_json()) as tensors:
        for name in tensors.order:
            tensors.write(pieces[name])
    return file.getvalue()


def snapshot_from_bytes(data: bytes) -> TrainingSnapshot:
    """Return the snapshot in the bytes of a resume file. Raises FileFormatError."""
    return _read(io.BytesIO(data), Path("snapshot"))


def _check_size(header: Header, others: list[str], model: ModelConfig, path: Path) -> None:
    """Check the size of moments and state before memory is spent. Raises FileFormatError."""
    state = 2 * model.layers * model.size * MAX_SIZE  # h and c of the largest batch
    elements = sum(math.prod(header.tensors[name].shape) for name in others)
    if elements > 4 * model.num_parameters + state:
        raise FileFormatError(f"{path} is damaged: its tensors are too large for its model")


def check_snapshot(snapshot: TrainingSnapshot) -> None:
    """Raise ConfigError if the resume file of this snapshot could not be read again."""
    check_header(RESUME_KIND, _tensors(snapshot)[0], _header(snapshot).to_json())


def _tensors(
    snapshot: TrainingSnapshot,
) -> tuple[dict[str, TensorSpec], dict[str, bytes | memoryview]]:
    specs, pieces = checkpoint_tensors(snapshot.checkpoint, prefix="model.")
    for name, array in snapshot.tensors.items():
        specs[name] = TensorSpec("F32", array.shape)
        pieces[name] = tensor_bytes(array)
    return specs, pieces


def _header(snapshot: TrainingSnapshot) -> ResumeHeader:
    return ResumeHeader(
        **header_fields(snapshot.checkpoint),
        progress=snapshot.counters,
        source=snapshot.source,
        finished=snapshot.counters.finished,
    )


def load_resume(path: Path, *, directory: Directory | None = None) -> TrainingSnapshot:
    """Load and verify a resume file. Raises NotFoundError, FileFormatError, StorageError."""
    with open_regular(path, directory=directory) as file:
        return _read(file, path)


def _read(file: BinaryIO, path: Path) -> TrainingSnapshot:
    header = read_open_header(file, path)
    fields = typed_header(header, ResumeHeader, path)
    ours = {"vocabulary", *ngram_tensors(fields.model)}
    others = [name for name in header.tensors if not name.startswith("model.") and name not in ours]
    check_tensor_table(header, fields.model, path, prefix="model.", extra=others)
    _check_size(header, others, fields.model, path)
    tensors = read_verified(file, header, path)
    return TrainingSnapshot(
        checkpoint=checkpoint_from_tensors(fields, header, tensors, path, prefix="model."),
        tensors={
            name: finite_array(tensors[name], header.tensors[name].shape, path) for name in others
        },
        counters=fields.progress,
        source=fields.source,
    )
