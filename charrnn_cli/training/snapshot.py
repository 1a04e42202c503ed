"""What a resume file holds, read and written."""

import math
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


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSnapshot:
    """A checkpoint, and all else that going on needs."""

    checkpoint: Checkpoint
    tensors: Mapping[str, Array]
    """Optimizer moments and the recurrent state, by names that the trainer chose."""
    progress: Mapping[str, Any]
    """Plain numbers: best, elapsed, averages, and whether the run is finished."""
    source: Mapping[str, Any]
    """Where the text is and how it was read, so that resuming needs no TEXT."""


def save_resume(run: Run, state: TrainingSnapshot) -> None:
    """Replace the run's resume file; the one before stays as `resume.previous`. Raises StorageError."""
    specs, pieces = checkpoint_tensors(state.checkpoint, prefix="model.")
    for name, array in state.tensors.items():
        specs[name] = TensorSpec("F32", array.shape)
        pieces[name] = tensor_bytes(array)
    metadata = {
        **checkpoint_metadata(state.checkpoint),
        "progress": dict(state.progress),
        "source": dict(state.source),
    }
    metadata["finished"] = bool(state.progress["finished"])
    keep_previous(run.resume_path, run.previous_resume_path)
    with write_tensors(run.resume_path, RESUME_KIND, specs, metadata, replace=True) as tensors:
        for name in tensors.order:
            tensors.write(pieces[name])


def load_resume(path: Path) -> TrainingSnapshot:
    """Load and verify a resume file. Raises FileFormatError, StorageError."""
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
        progress=header.metadata["progress"],
        source=header.metadata["source"],
    )


@dataclass(kw_only=True, slots=True)
class RunCounters:
    """What a run knows about itself besides its tensors; plain numbers, kept in the resume file."""

    train_loss: float | None = None
    lr_scale: float = 1.0
    last_saved_step: int = 0
    """The last step after which evaluation and saving, where due, were done."""
    best_step: int | None = None
    best_val_loss: float | None = None
    evaluations_since_best: int = 0
    """Evaluations since the best one."""
    divergences: int = 0
    seconds: float = 0.0
    """Of work, over all resumed parts."""
    finished: bool = False

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Raises FileFormatError."""
        try:
            return cls(**raw)
        except TypeError as error:
            raise FileFormatError(f"the resume file is damaged: {error}") from error

    def record_evaluation(self, step: int, val_loss: float) -> bool:
        """Take in an evaluation's loss; whether it is the best so far."""
        best = math.isfinite(val_loss) and (
            self.best_val_loss is None or val_loss < self.best_val_loss
        )
        if best:
            self.best_step, self.best_val_loss = step, val_loss
        self.evaluations_since_best = 0 if best else self.evaluations_since_best + 1
        return best
