"""Save a run: first the step file, then the resume file; retry writes that fail."""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

from charrnn_cli.errors import (
    AlreadyPublishedError,
    DamagedFileError,
    DiskFullError,
    NotFoundError,
    RunMovedError,
    StorageError,
)
from charrnn_cli.events import CheckpointRemoved, CheckpointSaved, SaveFailed
from charrnn_cli.model.checkpoint import save_checkpoint
from charrnn_cli.storage.atomic import move_over
from charrnn_cli.storage.paths import HOME_VARIABLE, free_bytes
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run, latest, prunable
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume

SaveEvent = CheckpointSaved | SaveFailed | CheckpointRemoved


class Saver:
    """Writes a run's step files and its resume file.

    The step file comes first, so a kill between the two is harmless. A save that fails is reported,
    leaves every earlier file intact, and is retried with the next one. On a full disk, the run's
    oldest checkpoints make room. If the run's directory was moved or deleted, the state is saved as
    a new run.
    The run must be held. Raises FileFormatError, StorageError.
    """

    def __init__(self, run: Run, keep: int) -> None:
        self._run, self._keep = run, keep
        self._unsaved: TrainingSnapshot | None = None
        """The snapshot whose step file could not be written; to be retried."""
        self._resume_error: StorageError | None = None
        self._step_error: StorageError | None = None
        # An interrupted run leaves a step file to sample from; the next step file replaces it.
        self._interrupted = [
            entry.path for entry in run.checkpoints() if entry.header and entry.header.interrupted
        ]
        _put_back_previous(run)

    @property
    def error(self) -> StorageError | None:
        """Why a step file or the newest resume file is missing; None if none is."""
        return self._step_error or self._resume_error

    def check_saved(self) -> None:
        """Raise StorageError if the last state could not be written."""
        error = self.error
        if error is not None:
            saved, last = latest(self._run.checkpoints()), ""
            if saved is not None:
                last = f"; the last good checkpoint is {self._run.reference(saved.step)}"
            raise StorageError(f"{error.message}{last}", hint=error.hint)

    def save(self, snapshot: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        """Write the step file and then the resume file.

        Raises RunMovedError after saving the snapshot as a new run, ConfigError.
        """
        self._check_place(snapshot)
        yield from self._retry(seconds)
        if (yield from self._write_step_file(snapshot, seconds)):
            yield from self.save_resume(snapshot, seconds)

    def save_resume(self, snapshot: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        """Replace the resume file. Raises as `save` does."""
        self._check_place(snapshot)
        yield from self._retry(seconds)
        try:
            yield from self._with_room(lambda: save_resume(self._run, snapshot), seconds)
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

        def write() -> None:
            replace = path in self._interrupted
            save_checkpoint(path, checkpoint, replace=replace, directory=self._run.directory)

        try:
            yield from self._with_room(write, seconds)
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

    def _with_room(self, write: Callable[[], None], seconds: float) -> Iterator[SaveEvent]:
        """Write; on a full disk, delete the oldest checkpoints one by one, and try again.

        The best and the latest stay. Raises StorageError.
        """
        while True:
            try:
                write()
            except DiskFullError:
                oldest = next(iter(prunable(self._run.checkpoints(), keep=1)), None)
                if oldest is None:
                    raise
                self._run.remove(oldest.path)
                yield CheckpointRemoved(step=oldest.step, path=oldest.path, seconds=seconds)
            else:
                return

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with contextlib.suppress(StorageError):  # an extra file does not stop training
                self._run.remove(path)

    def _check_place(self, snapshot: TrainingSnapshot) -> None:
        """Check that the run's directory is where it was; else save the snapshot as a new run."""
        assert self._run.held is not None
        try:
            self._run.held.check()
        except RunMovedError as error:
            with Registry(self._run.path.parent).create_like(self._run.name, number=2) as new:
                checkpoint = dataclasses.replace(snapshot.checkpoint, run=new.name)
                moved = dataclasses.replace(snapshot, checkpoint=checkpoint)
                path = new.step_path(checkpoint.step)
                save_checkpoint(path, checkpoint, directory=new.directory)
                save_resume(new, moved)
            raise RunMovedError(
                f"{error.message}; the last state is saved as run {new.name!r}",
                hint=f"charrnn train --resume {new.name}",
            ) from error


class NoSaver:
    """Saves nothing: with several processes, only the first one writes."""

    def save(self, snapshot: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        return iter(())

    def save_resume(self, snapshot: TrainingSnapshot, seconds: float) -> Iterator[SaveEvent]:
        return iter(())

    def check_saved(self) -> None:
        pass


def check_room(run: Run, needed: int) -> int:
    """Return the bytes that are free on the run's disk.

    Raises DiskFullError if they are fewer than `needed`, StorageError.
    """
    free = free_bytes(run.path)
    if free < needed:
        raise DiskFullError(
            f"the first checkpoint of run {run.name!r} takes {needed:,} bytes, "
            f"and the disk of {run.path.parent} has {free:,} free",
            hint=f"set {HOME_VARIABLE} to a directory on another disk",
        )
    return free


def _put_back_previous(run: Run) -> None:
    """Replace a damaged resume file by the previous one, which the next save would lose.

    This is the only place that replaces a file that could not be read, and only for proven damage.
    Raises FileFormatError, StorageError.
    """
    try:
        load_resume(run.resume_path, directory=run.directory)
    except NotFoundError:
        return
    except DamagedFileError:
        move_over(run.previous_resume_path, run.resume_path, directory=run.directory)


def _better(one: TrainingSnapshot, other: TrainingSnapshot | None) -> TrainingSnapshot:
    """Return the snapshot to retry, since only one is kept: the one with the lower val loss."""
    if other is None or other.checkpoint.val_loss is None:
        return one
    known = one.checkpoint.val_loss
    return one if known is not None and known <= other.checkpoint.val_loss else other
