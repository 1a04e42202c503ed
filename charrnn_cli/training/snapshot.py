"""The contents of a resume file, and how they are read and written."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from charrnn_cli.errors import FileFormatError
from charrnn_cli.model.checkpoint import (
    Array,
    Checkpoint,
    check_tensor_table,
    checkpoint_from_tensors,
    checkpoint_metadata,
    checkpoint_tensors,
    finite_array,
    tensor_bytes,
)
from charrnn_cli.storage.atomic import keep_previous
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.runs import RESUME_KIND, Run
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import TensorSpec, read_open_header, read_verified


@dataclass(kw_only=True, slots=True)
class RunCounters:
    """Numbers that a run keeps from one process to the next."""

    train_loss: float | None = None
    """Nats per character with dropout, averaged over about the last 50 steps."""
    lr_scale: float = 1.0
    """Factor on the learning rate; halved after each divergence."""
    last_saved_step: int = 0
    """The last step whose evaluation and step file, if due, are done."""
    best_step: int | None = None
    best_val_loss: float | None = None
    """Nats per character."""
    evaluations_since_best: int = 0
    divergences: int = 0
    seconds: float = 0.0
    """Seconds of work, including all resumed parts."""
    finished: bool = False

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the counters from JSON. Raises FileFormatError if any is missing or unknown."""
        defaults = dataclasses.asdict(cls())
        if raw.keys() != defaults.keys():
            raise _damage(*sorted(raw.keys() ^ defaults.keys()))
        return cls(**raw)

    def record_evaluation(self, step: int, val_loss: float) -> bool:
        """Count an evaluation with a finite loss, and return whether it is the best so far."""
        best = self.best_val_loss is None or val_loss < self.best_val_loss
        if best:
            self.best_step, self.best_val_loss = step, val_loss
        self.evaluations_since_best = 0 if best else self.evaluations_since_best + 1
        return best


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSnapshot:
    """A run at one step: a checkpoint, and everything else needed to continue."""

    checkpoint: Checkpoint
    tensors: Mapping[str, Array]
    """Optimizer moments and the recurrent state; see `trainer.snapshot_shapes`."""
    counters: RunCounters
    source: Mapping[str, Any]
    """Where the text is and how it is read (`Source.to_json`), so that a resume needs no TEXT."""


def save_resume(run: Run, snapshot: TrainingSnapshot) -> None:
    """Replace the run's resume file; the previous one is kept as `resume.previous`.

    Raises StorageError.
    """
    specs, pieces = checkpoint_tensors(snapshot.checkpoint, prefix="model.")
    for name, array in snapshot.tensors.items():
        specs[name] = TensorSpec("F32", array.shape)
        pieces[name] = tensor_bytes(array)
    metadata = {
        **checkpoint_metadata(snapshot.checkpoint),
        "progress": dataclasses.asdict(snapshot.counters),
        "source": dict(snapshot.source),
        "finished": snapshot.counters.finished,
    }
    keep_previous(run.resume_path, run.previous_resume_path)
    with write_tensors(run.resume_path, RESUME_KIND, specs, metadata, replace=True) as tensors:
        for name in tensors.order:
            tensors.write(pieces[name])


def load_resume(path: Path) -> TrainingSnapshot:
    """Load and verify a resume file. Raises NotFoundError, FileFormatError, StorageError."""
    with open_regular(path) as file:
        header = read_open_header(file, path)
        others = [
            name
            for name in header.tensors
            if not name.startswith("model.") and name != "vocabulary"
        ]
        model = check_tensor_table(header, path, RESUME_KIND, prefix="model.", extra=others)
        tensors = read_verified(file, header, path)
    checkpoint = checkpoint_from_tensors(header, model, tensors, path, prefix="model.")
    return TrainingSnapshot(
        checkpoint=checkpoint,
        tensors={
            name: finite_array(tensors[name], header.tensors[name].shape, path) for name in others
        },
        counters=RunCounters.from_json(_object(header.metadata, "progress")),
        source=_object(header.metadata, "source"),
    )


def _object(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object of the header. Raises FileFormatError if it is missing or mistyped."""
    value = metadata.get(name)
    if not isinstance(value, dict):
        raise _damage(name)
    return value


def _damage(*names: str) -> FileFormatError:
    return FileFormatError(
        f"the resume file is damaged or from another version: {', '.join(names)}",
        hint="start a new run from this run's checkpoint with --init-from",
    )
