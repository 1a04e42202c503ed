"""A training run's files as it goes: step files, the resume file, and what to do when the disk refuses."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn_cli.checkpoint import Checkpoint, ResumeState, save_checkpoint, save_resume
from charrnn_cli.errors import StorageError
from charrnn_cli.events import CheckpointSaved, SaveFailed
from charrnn_cli.registry import Run, surplus

RESUME_INTERVAL = 60.0  # seconds of work that a killed process may lose

SaveEvent = CheckpointSaved | SaveFailed


class Saver:
    """Publishes a run's states: the step file first, then the resume file, so a kill between the two is harmless.

    A save that fails is told and leaves every earlier file as it was.
    """

    def __init__(self, run: Run, keep: int) -> None:
        self._errors: dict[str, StorageError] = {}  # by kind of file, until one of that kind is written
        self._run, self._keep = run, keep
        self._resume_saved = time.monotonic()
        # What an interruption left so that it can be sampled; the next step file takes its place.
        self._interrupted = [
            entry.path for entry in run.checkpoints() if entry.metadata and entry.metadata.get("interrupted")
        ]

    @property
    def error(self) -> StorageError | None:
        """Why the newest step file or resume file is missing; None when both are there."""
        return next(iter(self._errors.values()), None)

    @property
    def resume_is_due(self) -> bool:
        return time.monotonic() - self._resume_saved > RESUME_INTERVAL

    def save(self, state: ResumeState, seconds: float) -> Iterator[SaveEvent]:
        """Publish the step file and then the resume file."""
        checkpoint = state.checkpoint
        path = self._run.step_path(checkpoint.step)
        try:
            save_checkpoint(path, checkpoint, replace=path in self._interrupted)
            self._remove(superseded for superseded in self._interrupted if superseded != path)
            self._interrupted = [path] if checkpoint.interrupted else []
        except StorageError as error:
            yield self._failed("step", checkpoint, error, seconds)
            return
        self._errors.pop("step", None)
        self._remove(entry.path for entry in surplus(self._run.checkpoints(), self._keep))
        yield CheckpointSaved(step=checkpoint.step, path=path, val_loss=checkpoint.val_loss, seconds=seconds)
        yield from self.save_resume(state, seconds)

    def save_resume(self, state: ResumeState, seconds: float) -> Iterator[SaveEvent]:
        """Replace the resume file."""
        self._resume_saved = time.monotonic()
        try:
            save_resume(self._run, state)
        except StorageError as error:
            yield self._failed("resume", state.checkpoint, error, seconds)
        else:
            self._errors.pop("resume", None)

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with contextlib.suppress(OSError):  # a file too many is no reason to stop
                path.unlink(missing_ok=True)

    def _failed(self, kind: str, checkpoint: Checkpoint, error: StorageError, seconds: float) -> SaveFailed:
        self._errors[kind] = error
        return SaveFailed(step=checkpoint.step, message=error.message, seconds=seconds)
