"""Where a run resumes, and which settings may change."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import (
    CharrnnError,
    ConfigError,
    DamagedFileError,
    FileFormatError,
    MismatchError,
    NewerFormatError,
    NotFoundError,
)
from charrnn_cli.settings import option_name, trained_with
from charrnn_cli.storage.built_in import is_built_in
from charrnn_cli.storage.lock import check_unlocked
from charrnn_cli.storage.references import is_digits, names_step
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import SUFFIX, Run, latest
from charrnn_cli.training.follow_up import LIMITS, command_for_new_run
from charrnn_cli.training.presets import needs_validation
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume

DISPLAY = ("log_every", "sample_every", "sample_prime")
CHANGEABLE = {
    *LIMITS,
    *DISPLAY,
    "eval_every",
    "save_every",
    "keep",
    "patience",
    "device",
    "precision",
    "threads",
}
"""Settings that may change when a run is resumed; any other change would make it another run."""


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """A run, and the snapshot from which it continues."""

    run: Run
    snapshot: TrainingSnapshot
    warning: str | None
    """Why the newest snapshot is not used; None if it is."""

    @property
    def model(self) -> ModelConfig:
        return self.snapshot.checkpoint.model

    @property
    def step(self) -> int:
        return self.snapshot.checkpoint.step

    @property
    def chosen_step(self) -> int:
        """The step of the best checkpoint or, without validation, of the last."""
        return self.snapshot.counters.best_step or self.step


def open_resume_point(reference: str, registry: Registry) -> ResumePoint:
    """Open the run that `RUN` or `latest` names, at its newest intact resume file.

    Raises ConfigError, NotFoundError, RunBusyError, FileFormatError, StorageError.
    """
    name, _, step = reference.partition("@")
    is_latest = name == "latest" and not step
    if name in ("best", "latest") and not is_latest:
        raise ConfigError(
            f"--resume takes RUN or latest, not {reference!r}",
            hint="charrnn train --resume latest",
        )
    run = registry.newest(resumable=True) if is_latest else registry.run(name)
    if step and step != "latest" and not is_digits(step):
        raise ConfigError(
            f"--resume takes RUN or latest, not {reference!r}",
            hint=f"charrnn train --resume {run.name}",
        )
    if is_built_in(run):
        raise ConfigError(
            f"{run.name} is built in, and cannot be resumed",
            hint=f"charrnn train TEXT --init-from {run.name}",
        )
    snapshot, warning = _newest_snapshot(run)
    check_unlocked(run.path)
    if step and step != "latest" and not names_step(step, snapshot.checkpoint.step):
        raise NotFoundError(
            f"run {run.name!r} can only resume from step {snapshot.checkpoint.step}; "
            f"the checkpoint of step {step} has no optimizer state",
            hint=f"charrnn train --resume {run.name}",
        )
    return ResumePoint(run, snapshot, warning)


def _newest_snapshot(run: Run) -> tuple[TrainingSnapshot, str | None]:
    """Load the resume file or, only if it is damaged or absent, the previous one."""
    try:
        return load_resume(run.resume_path, directory=run.directory), None
    except (DamagedFileError, NotFoundError) as error:
        found = _previous_snapshot(run, error)
        step = found.checkpoint.step
        warning = f"{error.message}; resuming from the previous state, at step {step}"
        return found, warning if isinstance(error, DamagedFileError) else None
    except FileFormatError as error:
        hint = error.hint
        if not isinstance(error, NewerFormatError) and os.path.exists(run.previous_resume_path):
            hint = "move it away to resume from the previous state"
        raise type(error)(error.message, hint=hint) from error


def _previous_snapshot(run: Run, error: CharrnnError) -> TrainingSnapshot:
    try:
        return load_resume(run.previous_resume_path, directory=run.directory)
    except NotFoundError:
        if isinstance(error, DamagedFileError):
            raise DamagedFileError(error.message, hint=_new_run_hint(run)) from error
        check_unlocked(run.path)  # a run that has just started has no resume file yet
        raise NotFoundError(
            f"run {run.name!r} has no resume file", hint=_new_run_hint(run)
        ) from error
    except DamagedFileError:
        raise DamagedFileError(
            f"both resume files of run {run.name!r} are damaged", hint=_new_run_hint(run)
        ) from error


def _new_run_hint(run: Run) -> str:
    """Return the command that starts a new run from this run's latest checkpoint, if any."""
    newest = latest(run.checkpoints())
    if newest is not None:
        return f"charrnn train TEXT --init-from {run.reference(newest.step)}"
    is_taken = any(path.suffix == SUFFIX for path in run.files())
    return "charrnn train TEXT" if is_taken else f"charrnn train TEXT --run {run.name}"


def resumed_config(point: ResumePoint, settings: Mapping[str, Any]) -> TrainConfig:
    """Return the run's configuration with changed settings.

    A new limit on epochs, steps or time replaces the planned number of steps. An automatic value
    (None) keeps the recorded one.
    Raises MismatchError for a setting that may not change, ConfigError for an unknown setting or an
    invalid value.
    """
    recorded = TrainConfig.from_json(point.snapshot.checkpoint.train)
    known = {**point.model.to_json(), **recorded.to_json()}
    for name, value in settings.items():
        if name not in known:
            raise ConfigError(f"unknown setting {name!r}")
        is_automatic = value is None  # the recorded value was chosen
        if name not in CHANGEABLE and not is_automatic and known[name] != value:
            raise MismatchError(
                f"run {point.run.name!r} {trained_with(name, known[name], value)}",
                hint=f"leave out {option_name(name)}, or train a new run with it: "
                f"{command_for_new_run(point.run, point.snapshot, settings)}",
            )
    changes = {name: value for name, value in settings.items() if name in CHANGEABLE}
    if recorded.val_fraction == 0 and (useless := needs_validation(changes)):
        validated = {**settings, "val_fraction": TrainConfig().val_fraction}
        raise MismatchError(
            f"{useless} requires a validation text, which run {point.run.name!r} does not have",
            hint=f"leave out {useless}, or train a new run with it: "
            f"{command_for_new_run(point.run, point.snapshot, validated)}",
        )
    if any(name in changes for name in LIMITS):
        changes = {**dict.fromkeys(LIMITS), **changes}
    return dataclasses.replace(recorded, **changes)


def is_complete(point: ResumePoint, settings: Mapping[str, Any]) -> bool:
    """Whether the run is finished and `settings` do not let it continue.

    A limit beyond the run's end lets it continue, and so does more patience if that ended it.
    """
    max_steps = resumed_config(point, settings).max_steps
    finished = point.snapshot.counters.finished
    if max_steps is not None and max_steps <= point.step:
        return finished or max_steps < point.step  # an evaluation may still be due at the last step
    needed = needed_patience(point)
    if needed is not None and "patience" in settings:
        patience = settings["patience"]
        if patience is None or patience >= needed:
            return False
    return finished and not any(name in settings for name in LIMITS)


def needed_patience(point: ResumePoint) -> int | None:
    """Return the least patience with which the run continues; None if patience did not end it."""
    recorded = TrainConfig.from_json(point.snapshot.checkpoint.train)
    counters, planned = point.snapshot.counters, recorded.max_steps
    if not counters.finished or recorded.patience is None:
        return None
    if counters.evaluations_since_best < recorded.patience:
        return None
    is_whole = planned is not None and point.step >= planned
    return None if is_whole else counters.evaluations_since_best + 1
