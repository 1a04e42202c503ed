"""The runs on disk, and the checkpoints that references name.

The directory is the only record: no index can go stale, and any tool may copy, move or delete
files. This module only creates directories and removes the remains of killed runs.
"""

import contextlib
import os
from pathlib import Path

from charrnn_cli.errors import ConfigError, NotFoundError, StorageError
from charrnn_cli.storage.atomic import sweep_temporaries
from charrnn_cli.storage.paths import make_directory, runs_directory
from charrnn_cli.storage.runs import (
    SUFFIX,
    CheckpointEntry,
    Run,
    best,
    check_run_name,
    is_run_name,
    latest,
    slug,
)

_TRAIN_HINT = "train a model with `charrnn train TEXT` or `charrnn demo`"
_LIST_HINT = "run `charrnn checkpoints list` to see all runs"


class Registry:
    """The runs under one directory."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = runs_directory() if root is None else root

    def runs(self) -> list[Run]:
        """Return all runs, sorted by name; none if the directory is absent. Raises StorageError."""
        try:
            names = [
                entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False)
            ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot read {self.root}: {error.strerror}") from error
        return [Run(name, self.root / name) for name in sorted(names) if is_run_name(name)]

    def run(self, name: str) -> Run:
        """Return the run called `name`. Raises NotFoundError with a similar name as its hint."""
        run = Run(check_run_name(name), self.root / name)
        if not run.path.is_dir():
            import difflib  # not needed unless a name is wrong

            names = [known.name for known in self.runs()]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else _LIST_HINT if names else _TRAIN_HINT
            raise NotFoundError(f"no run named {name!r} in {self.root}", hint=hint)
        return run

    def create(self, name: str) -> Run:
        """Create an empty run. Raises ConfigError if the name is taken or invalid, StorageError.

        Removes the remains of a run of this name that was killed before its first save.
        """
        run = Run(check_run_name(name), self.root / name)
        if not (run.has_checkpoint() or run.has_resume_file() or run.is_training()):
            sweep_temporaries(run.path)
            run.discard_if_empty()
        return self._make(run)

    def _make(self, run: Run) -> Run:
        make_directory(self.root)
        try:
            run.path.mkdir()
        except FileExistsError as error:
            hint = "choose another name"
            if run.has_resume_file():
                hint += f", or continue this run with `charrnn train --resume {run.name}`"
            raise ConfigError(f"run {run.name!r} already exists", hint=hint) from error
        except OSError as error:
            raise StorageError(f"cannot create {run.path}: {error.strerror}") from error
        return run

    def create_like(self, name: str) -> Run:
        """Create a run called `name`, or `name-2`, `name-3` and so on if that is taken.

        Raises StorageError.
        """
        stem = slug(name)
        candidate, number = stem, 1
        while True:
            if not os.path.lexists(self.root / candidate):
                with contextlib.suppress(ConfigError):  # another process was faster
                    return self._make(Run(candidate, self.root / candidate))
            number += 1
            candidate = f"{stem[:56]}-{number}"

    def newest(self, *, resumable: bool = False) -> Run:
        """Return the most recently updated run with a checkpoint, or one that can be resumed.

        Raises NotFoundError, StorageError.
        """
        runs = [
            (run.updated(), run)
            for run in self.runs()
            if (run.has_resume_file() if resumable else run.has_checkpoint())
        ]
        updated, run = max(runs, key=lambda item: item[0], default=(0.0, None))
        if run is None or updated == 0.0:
            missing = "runs to resume" if resumable else "checkpoints"
            raise NotFoundError(f"no {missing} in {self.root}", hint=_TRAIN_HINT)
        return run

    def resolve(self, reference: str | None = None) -> Path:
        """Return the path of the checkpoint that a reference names.

        A reference is `RUN`, `RUN@best`, `RUN@latest`, `RUN@1200`, `best`, `latest` or a path.
        Without a run, the newest run is used; without a step, the best checkpoint, or the latest
        if the run was trained without validation.
        Raises NotFoundError, ConfigError, StorageError.
        """
        if reference and is_path(reference):
            path = Path(reference)
            if not os.path.lexists(path):
                raise NotFoundError(f"no checkpoint at {reference}", hint=_LIST_HINT)
            return path
        name, _, which = (reference or "").partition("@")
        if name in ("best", "latest") and not which:
            name, which = "", name
        run = self.run(name) if name else self.newest()
        return _choose(run, which).path

    def references(self, prefix: str = "") -> list[str]:
        """Return the references that start with `prefix`: runs, or checkpoints after an @."""
        name, at, _ = prefix.partition("@")
        if not at:
            return [run.name for run in self.runs() if run.name.startswith(name)]
        if not is_run_name(name):
            return []
        run = Run(name, self.root / name)
        steps = [str(entry.step) for entry in run.checkpoints()]
        return [
            reference
            for which in ("best", "latest", *steps)
            if (reference := f"{name}@{which}").startswith(prefix)
        ]


def is_path(reference: str) -> bool:
    """Return whether a reference is a path: it has a path separator or ends in .safetensors."""
    return "/" in reference or os.sep in reference or reference.endswith(SUFFIX)


def names_checkpoint(reference: str) -> bool:
    """Return whether a reference names one checkpoint; otherwise it is the name of a run."""
    return is_path(reference) or "@" in reference or reference in ("best", "latest")


def _choose(run: Run, which: str) -> CheckpointEntry:
    entries = run.checkpoints()
    newest, lowest = latest(entries), best(entries)
    match which:
        case "":
            entry = lowest or newest
        case "latest":
            entry = newest
        case "best":
            entry = lowest
            if entry is None and newest is not None:
                raise NotFoundError(
                    f"run {run.name!r} has no best checkpoint: it was trained without validation",
                    hint=f"use {run.name}@latest",
                )
        case step if step.isascii() and step.isdigit():
            entry = next((entry for entry in entries if entry.step == int(step)), None)
        case _:
            raise ConfigError(
                f"{which!r} is not a step, best or latest",
                hint=f"use {run.name}@best, {run.name}@latest or {run.name}@STEP",
            )
    if entry is None:
        steps = ", ".join(str(entry.step) for entry in entries[-8:] if entry.metadata is not None)
        missing = f"checkpoint at step {which}" if which.isdigit() else "readable checkpoint"
        raise NotFoundError(
            f"run {run.name!r} has no {missing}",
            hint=f"use one of its steps: {steps}" if steps else _LIST_HINT,
        )
    return entry
