"""Where runs live, which ones exist, and what a reference names. Writes nothing but new directories.

The directory is the truth: no index to go stale, and any tool may copy, move or delete files.
"""

import contextlib
import difflib
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

_TRAIN_HINT = "train one: charrnn train TEXT"
_LIST_HINT = "`charrnn checkpoints list` shows what there is"


class Registry:
    """The runs under one directory."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = runs_directory() if root is None else root

    def runs(self) -> list[Run]:
        """Every run, sorted by name. An absent directory holds none. Raises StorageError."""
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
        """The run of that name. Raises NotFoundError, with the nearest names."""
        run = Run(check_run_name(name), self.root / name)
        if not run.path.is_dir():
            names = [known.name for known in self.runs()]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else _LIST_HINT if names else _TRAIN_HINT
            raise NotFoundError(f"no run named {name!r} in {self.root}", hint=hint)
        return run

    def create(self, name: str) -> Run:
        """A new, empty run. Raises ConfigError where the name is taken or impossible, StorageError.

        What a run left that was killed before it saved anything is removed.
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
            go_on = (
                f"go on with `charrnn train --resume {run.name}`, or "
                if run.has_resume_file()
                else ""
            )
            raise ConfigError(
                f"run {run.name!r} exists already", hint=f"{go_on}name another"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot create {run.path}: {error.strerror}") from error
        return run

    def create_like(self, name: str) -> Run:
        """A new run called `name`, or `name-2`, `name-3` and so on where that is taken."""
        stem = slug(name)
        candidate, number = stem, 1
        while True:
            if not os.path.lexists(self.root / candidate):
                with contextlib.suppress(
                    ConfigError
                ):  # another process took it between the two lines
                    return self._make(Run(candidate, self.root / candidate))
            number += 1
            candidate = f"{stem[:56]}-{number}"

    def newest(self, *, resumable: bool = False) -> Run:
        """The most recently updated run that holds a checkpoint, or that can be resumed. Raises NotFoundError."""
        runs = [
            (run.updated(), run)
            for run in self.runs()
            if (run.has_resume_file() if resumable else run.has_checkpoint())
        ]
        updated, run = max(runs, key=lambda item: item[0], default=(0.0, None))
        if run is None or updated == 0.0:
            raise NotFoundError(f"there are no checkpoints in {self.root}", hint=_TRAIN_HINT)
        return run

    def resolve(self, reference: str | None = None) -> Path:
        """The checkpoint file that a reference names. Raises NotFoundError, ConfigError.

        `RUN`, `RUN@best`, `RUN@latest`, `RUN@1200`, `best`, `latest` or a path; none is the newest run's best.
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
        """Every reference that begins so: runs, and after an @ their checkpoints. For completion."""
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
    """Whether a reference is a path: it holds a separator or ends in .safetensors."""
    return "/" in reference or os.sep in reference or reference.endswith(SUFFIX)


def _choose(run: Run, which: str) -> CheckpointEntry:
    entries = run.checkpoints()
    if which in ("", "best", "latest"):
        newest = latest(entries)
        entry = newest if which == "latest" else best(entries) or (newest if which == "" else None)
        if entry is None and newest is not None:
            raise NotFoundError(
                f"run {run.name!r} was trained without validation, so it has no best checkpoint",
                hint=f"use {run.name}@latest",
            )
    elif which.isascii() and which.isdigit():
        entry = next((entry for entry in entries if entry.step == int(which)), None)
    else:
        raise ConfigError(
            f"{which!r} is no step",
            hint=f"use {run.name}@best, {run.name}@latest or {run.name}@STEP",
        )
    if entry is None:
        steps = ", ".join(str(entry.step) for entry in entries[-8:])
        raise NotFoundError(
            f"run {run.name!r} has no checkpoint{' of step ' + which if which.isdigit() else ' yet'}",
            hint=f"it has {steps}" if steps else _LIST_HINT,
        )
    return entry
