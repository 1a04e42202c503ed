"""Save a run: first the step file, then the resume file; retry writes that fail."""

import contextlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from charrnn_cli.errors import AlreadyPublishedError, CharrnnError, StorageError
from charrnn_cli.events import CheckpointSaved, SaveFailed
from charrnn_cli.model.checkpoint import save_checkpoint
from charrnn_cli.storage.atomic import move_over
from charrnn_cli.storage.runs import Run, prunable
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume

SaveEvent = CheckpointSaved | SaveFailed


class Saver:
    """Writes a run's step files and its resume file.

    The step file comes first, so a kill between the two is harmless. A save that fails is reported,
    leaves every earlier file intact, and is retried with the next one.
    Create one only while holding the run's lock.
    """

    def __init__(self, run: Run, keep: int) -> None:
        self._run, self._keep = run, keep
        self._unsaved: TrainingSnapshot | None = None
        """The snapshot whose step file could not be written; to be retried."""
        self._resume_error: StorageError | None = None
        self._step_error: StorageError | None = None
        # An interrupted run leaves a step file to sample from; the next step file replaces it.
        self._interrupted = [
            entry.path
            for entry in run.checkpoints()
            if entry.metadata and entry.metadata.get("interrupted")
        ]
        if run.resume_path.exists() and _is_damaged(run.resume_path):
            # The next save would move the damaged file over the previous, intact one.
            move_over(run.previous_resume_path, run.resume_path)

    @property
    def error(self) -> StorageError | None:
        """Why a step file or the newest resume file is missing; None if none is."""
        return self._step_error or self._resume_error

    def save(self, snapshot: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        """Write the step file and then the resume file."""
        yield from self._retry(seconds)
        if (yield from self._write_step_file(snapshot, seconds)):
            yield from self.save_resume(snapshot, seconds)

    def save_resume(self, snapshot: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        """Replace the resume file."""
        yield from self._retry(seconds)
        try:
            save_resume(self._run, snapshot)
        except StorageError as error:
            self._resume_error = error
            step = snapshot.checkpoint.step
            yield SaveFailed(step=step, message=error.message, seconds=seconds)
        else:
            self._resume_error = None

    def _retry(self, seconds: float) -> Iterator[SaveEvent]:
        if self._unsaved is not None:
            snapshot, self._unsaved = self._unsaved, None
            yield from self._write_step_file(snapshot, seconds)

    def _write_step_file(
        self, snapshot: TrainingSnapshot, seconds: float
    ) -> Generator[SaveEvent, None, bool]:
        """Yield the result, and return whether the resume file may follow."""
        checkpoint = snapshot.checkpoint
        path = self._run.step_path(checkpoint.step)
        try:
            save_checkpoint(path, checkpoint, replace=path in self._interrupted)
        except AlreadyPublishedError as error:
            # The file belongs to an earlier plan of this run, from before a resume. Both stay.
            self._step_error = error
            yield SaveFailed(step=checkpoint.step, message=error.message, seconds=seconds)
            return True
        except StorageError as error:
            self._unsaved, self._step_error = _better(snapshot, self._unsaved), error
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
            with contextlib.suppress(OSError):  # an extra file is not a reason to stop training
                path.unlink(missing_ok=True)


def _better(one: TrainingSnapshot, other: TrainingSnapshot | None) -> TrainingSnapshot:
    """Return the snapshot to retry, since only one is kept: the one with the lower val loss."""
    if other is None or other.checkpoint.val_loss is None:
        return one
    known = one.checkpoint.val_loss
    return one if known is not None and known <= other.checkpoint.val_loss else other


def _is_damaged(path: Path) -> bool:
    try:
        load_resume(path)
    except CharrnnError:
        return True
    return False
