"""A training run's files as it goes: step files, the resume file, and what to do when the disk refuses."""

import contextlib
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from charrnn_cli.errors import AlreadyPublishedError, CharrnnError, StorageError
from charrnn_cli.events import CheckpointSaved, SaveFailed
from charrnn_cli.model.checkpoint import save_checkpoint
from charrnn_cli.storage.atomic import put_back
from charrnn_cli.storage.runs import Run, prunable
from charrnn_cli.storage.tensorfile import read_tensors
from charrnn_cli.training.snapshot import TrainingSnapshot, save_resume

RESUME_INTERVAL = 60.0  # seconds of work that a killed process may lose

SaveEvent = CheckpointSaved | SaveFailed


class Saver:
    """Publishes a run's states: the step file first, then the resume file, so a kill between the two is harmless.

    A save that fails is told, leaves every earlier file as it was, and is tried again with the next one.
    Only the holder of the run's lock may make one.
    """

    def __init__(self, run: Run, keep: int) -> None:
        self._run, self._keep = run, keep
        self._unsaved: TrainingSnapshot | None = (
            None  # whose step file could not be written; tried again
        )
        self._resume_error: StorageError | None = None
        self._step_error: StorageError | None = None
        self._resume_saved = time.monotonic()
        # What an interruption left so that it can be sampled; the next step file takes its place.
        self._interrupted = [
            entry.path
            for entry in run.checkpoints()
            if entry.metadata and entry.metadata.get("interrupted")
        ]
        if run.resume_path.exists() and _is_damaged(run.resume_path):
            # Else the next save would keep the damaged file as the one before, in the place of the good one.
            put_back(run.previous_resume_path, run.resume_path)

    @property
    def error(self) -> StorageError | None:
        """Why a step file or the newest resume file is missing; None when all are there."""
        return self._step_error or self._resume_error

    @property
    def resume_is_due(self) -> bool:
        return time.monotonic() - self._resume_saved > RESUME_INTERVAL

    def save(self, state: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        """Publish the step file and then the resume file."""
        yield from self._retry(seconds)
        if (yield from self._publish(state, seconds)):
            yield from self.save_resume(state, seconds)

    def save_resume(self, state: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        """Replace the resume file."""
        yield from self._retry(seconds)
        self._resume_saved = time.monotonic()
        try:
            save_resume(self._run, state)
        except StorageError as error:
            self._resume_error = error
            yield SaveFailed(step=state.checkpoint.step, message=error.message, seconds=seconds)
        else:
            self._resume_error = None

    def _retry(self, seconds: float) -> Iterator[SaveEvent]:
        if self._unsaved is not None:
            state, self._unsaved = self._unsaved, None
            yield from self._publish(state, seconds)

    def _publish(self, state: TrainingSnapshot, seconds: float) -> Generator[SaveEvent, None, bool]:
        checkpoint = state.checkpoint
        path = self._run.step_path(checkpoint.step)
        try:
            save_checkpoint(path, checkpoint, replace=path in self._interrupted)
        except AlreadyPublishedError as error:
            # Of an earlier plan for the same run, from before it was resumed; it stays, and so does this run go on.
            self._step_error = error
            yield SaveFailed(step=checkpoint.step, message=error.message, seconds=seconds)
            return True
        except StorageError as error:
            self._unsaved, self._step_error = _better(state, self._unsaved), error
            yield SaveFailed(step=checkpoint.step, message=error.message, seconds=seconds)
            return False
        if self._unsaved is None:
            self._step_error = None
        self._remove(superseded for superseded in self._interrupted if superseded != path)
        self._interrupted = [path] if checkpoint.interrupted else []
        self._remove(entry.path for entry in prunable(self._run.checkpoints(), self._keep))
        yield CheckpointSaved(
            step=checkpoint.step, path=path, val_loss=checkpoint.val_loss, seconds=seconds
        )
        return True

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with contextlib.suppress(OSError):  # a file too many is no reason to stop
                path.unlink(missing_ok=True)


def _better(one: TrainingSnapshot, other: TrainingSnapshot | None) -> TrainingSnapshot:
    """The one of lower validation loss, for there is memory for one; the first where neither is known."""
    if other is None or other.checkpoint.val_loss is None:
        return one
    known = one.checkpoint.val_loss
    return one if known is not None and known <= other.checkpoint.val_loss else other


def _is_damaged(path: Path) -> bool:
    try:
        read_tensors(path)
    except CharrnnError:
        return True
    return False
