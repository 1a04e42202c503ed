"""The runs on disk, and the checkpoints that references name.

The directory is the only record: no index can go stale, and any tool may copy, move or delete
files. This module only creates directories and removes the remains of killed runs.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from charrnn_cli.errors import (
    AlreadyPublishedError,
    CharrnnError,
    ConfigError,
    ForeignFileError,
    NotFoundError,
    RunBusyError,
    StorageError,
)
from charrnn_cli.shell import path_word
from charrnn_cli.storage import built_in
from charrnn_cli.storage.lock import LOCK_NAME, HeldRun, create_locked, hold_lock
from charrnn_cli.storage.near_names import near_names
from charrnn_cli.storage.paths import HOME_HINT, make_directory, runs_directory
from charrnn_cli.storage.references import choose, is_path
from charrnn_cli.storage.run_names import MAX_LENGTH, check_new_run_name, slug
from charrnn_cli.storage.runs import (
    CheckpointEntry,
    Run,
    check_run_name,
    is_run_name,
    step_header,
)
from charrnn_cli.storage.temporary import is_temporary

_TRAIN_HINT = "train a model with `charrnn train TEXT` or `charrnn demo`"
_SAMPLE_HINT = f"{_TRAIN_HINT}, or try `charrnn sample {built_in.NAME}`"
_LINK_HINT = "use the path of its target, or replace the link with its target"
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
            raise self._unreadable(error) from error
        return [Run(name, self.root / name) for name in sorted(names) if is_run_name(name)]

    def listed(self) -> list[Run]:
        """Return all runs and, unless one of them takes its place, the built-in model."""
        runs = self.runs()
        extra = [] if any(map(built_in.hides_built_in, runs)) else [built_in.built_in_run()]
        return [run for run in runs if run.name != built_in.NAME or not extra] + extra

    def run(self, name: str) -> Run:
        """Return the run called `name`; the built-in model if there is no run of its name.

        Raises NotFoundError with a similar name as its hint, ConfigError for an invalid name,
        StorageError.
        """
        run = Run(check_run_name(name), self.root / name)
        try:
            mode = run.path.lstat().st_mode
        except FileNotFoundError:
            mode = 0
        except OSError as error:
            raise self._unreadable(error) from error
        if stat.S_ISLNK(mode):
            raise NotFoundError(f"{run.path} is a link, and is not followed", hint=_LINK_HINT)
        if name == built_in.NAME and not built_in.hides_built_in(run):
            return built_in.built_in_run()
        if not stat.S_ISDIR(mode):
            near = near_names(name, [known.name for known in self.listed()], 1)
            other = _LIST_HINT if self.runs() else _SAMPLE_HINT
            hint = f"did you mean {near[0]!r}?" if near else other
            if os.path.isfile(name):  # a text in the place of a model
                hint = f"train a model on this file first: charrnn train {path_word(name)}"
                if Path(name).suffix in (".html", ".onnx"):
                    hint = "use the run of this page or graph, or export a .safetensors file"
            raise NotFoundError(f"no run named {name!r} in {self.root}", hint=hint)
        return run

    def check_free(self, name: str) -> None:
        """Raise ConfigError if the name is invalid or a run of this name exists."""
        run = Run(check_new_run_name(name), self.root / name)
        if os.path.lexists(run.path) and (not run.is_remains() or run.is_training()):
            raise self._taken(run)

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[Run]:
        """Create an empty run, and hold its lock for a `with` block.

        What runs and imports left that were killed before their first save is removed.
        Raises ConfigError if the name is taken or invalid, StorageError.
        """
        path = self.root / check_new_run_name(name)
        make_directory(self.root)
        self._sweep_remains()
        with contextlib.ExitStack() as stack:
            try:
                held = stack.enter_context(create_locked(path))
            except AlreadyPublishedError:
                held = stack.enter_context(self._reused(Run(name, path)))
            run = Run(name, path, held)
            try:
                yield run
            finally:
                run.sweep()
                run.discard_if_empty()

    @contextlib.contextmanager
    def create_like(self, name: str, *, number: int = 1) -> Iterator[Run]:
        """Create a run called `name`, or `name-2`, `name-3` and so on if that is taken.

        With `number`, the first name to try is `name-NUMBER`. Raises StorageError.
        """
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    run = stack.enter_context(self.create(self.free_name(name, number=number)))
                except ConfigError:  # another process was faster
                    continue
                break
            yield run

    def free_name(self, name: str, *, number: int = 1) -> str:
        """Return a name that is not taken: see `create_like`."""
        stem = slug(name)
        while True:
            candidate = stem if number == 1 else f"{stem[:MAX_LENGTH]}-{number}"
            if not os.path.lexists(self.root / candidate):
                return candidate
            number += 1

    @contextlib.contextmanager
    def _reused(self, run: Run) -> Iterator[HeldRun]:
        """Hold the lock of what a run left that never saved, and remove the rest."""
        with contextlib.ExitStack() as stack:
            if not run.is_remains():
                raise self._taken(run)
            try:
                held = stack.enter_context(hold_lock(run.path))
            except (RunBusyError, NotFoundError) as error:
                raise self._taken(run) from error
            if not run.is_remains():  # another process has just saved
                raise self._taken(run)
            run.remove(run.metrics_path)
            run.sweep()
            yield held

    def _sweep_remains(self) -> None:
        """Remove what was left by processes that were killed: empty runs, and temporary files.

        An imported run is never written again, so nobody else would remove a file from it.
        """
        for run in self.runs():
            with contextlib.suppress(CharrnnError, OSError):
                names = run.directory.names()
                is_remains = run.is_remains()
                is_left = is_remains or any(map(is_temporary, names))  # hardly ever
                if LOCK_NAME not in names or not is_left or run.is_training():
                    continue
                if is_remains:
                    with self._reused(run) as held:
                        Run(run.name, run.path, held).discard_if_empty()
                elif run.has_checkpoint():
                    with hold_lock(run.path) as held:
                        Run(run.name, run.path, held).sweep()

    def _unreadable(self, error: OSError) -> StorageError:
        return StorageError(f"cannot read {self.root}: {error.strerror}", hint=HOME_HINT)

    def _taken(self, run: Run) -> ConfigError:
        hint = f"use --run {self.free_name(run.name)}"
        with contextlib.suppress(StorageError):
            if not os.path.islink(run.path) and run.has_resume_file():
                hint += f", or continue this run with `charrnn train --resume {run.name}`"
        return ConfigError(f"run {run.name!r} already exists", hint=hint)

    def newest(self, *, resumable: bool = False) -> Run:
        """Return the most recently updated run with a checkpoint, or one that can be resumed.

        Raises NotFoundError, StorageError.
        """
        runs = self._with_files(resumable=resumable)
        updated, newest = max(runs, key=lambda item: item[0], default=(0.0, None))
        if newest is None or updated == 0.0:
            missing = "runs to resume" if resumable else "checkpoints"
            hint = _TRAIN_HINT if resumable else _SAMPLE_HINT
            if self._with_files(resumable=not resumable):
                hint = f"charrnn train {'TEXT --init-from' if resumable else '--resume'} latest"
            raise NotFoundError(f"no {missing} in {self.root}", hint=hint)
        return newest

    def _with_files(self, *, resumable: bool) -> list[tuple[float, Run]]:
        """Return the runs with a checkpoint, or with a resume file; each after its last update."""
        runs = []
        for run in self.runs():
            with contextlib.suppress(StorageError):  # a run of another user
                if run.has_resume_file() if resumable else run.has_checkpoint():
                    runs.append((run.updated(), run))
        return runs

    def resolve(self, reference: str | None = None) -> Path:
        """Return the path of the checkpoint that a reference names.

        A reference is `RUN`, `RUN@best`, `RUN@latest`, `RUN@1200`, `best`, `latest` or a path.
        Without a run, the newest run is used; without a step, the best checkpoint, or the latest
        if the run was trained without validation.
        Raises NotFoundError, ConfigError, ForeignFileError, StorageError.
        """
        if reference is not None and is_path(reference):
            path = Path(reference)
            if not os.path.lexists(path):
                raise NotFoundError(f"no checkpoint at {reference}", hint=_LIST_HINT)
            return path
        entry = self.entry(reference)
        if os.path.islink(entry.path):
            raise ForeignFileError(f"{entry.path} is a link, and is not followed", hint=_LINK_HINT)
        if entry.problem is not None:
            step_header(entry.path)  # raises it
        return entry.path

    def entry(self, reference: str | None = None) -> CheckpointEntry:
        """Return the checkpoint that a reference names; see `resolve`. A path is not accepted."""
        if reference in (None, "best", "latest"):
            return choose(self.newest(), reference or "")
        name, _, which = reference.partition("@")
        if name in ("", "best", "latest"):  # empty as of an unset shell variable
            raise ConfigError(
                f"the reference {reference!r} names no run",
                hint="use RUN, RUN@best, RUN@latest, RUN@STEP, best or latest",
            )
        return choose(self.run(name), which)

    def reference_of(self, path: Path, step: int) -> str:
        """Return `RUN@STEP` for a checkpoint in this registry, otherwise its path."""
        path = path.absolute()
        run = Run(path.parent.name, path.parent)
        is_ours = run.path.parent == self.root.absolute() and is_run_name(run.name)
        is_ours |= built_in.is_built_in(run)
        return run.reference(step) if is_ours and path == run.step_path(step) else str(path)

    def references(self, prefix: str = "") -> list[str]:
        """Return the references that start with `prefix`: runs, or checkpoints after an @."""
        name, at, _ = prefix.partition("@")
        if not at:
            return [run.name for run in self.listed() if run.name.startswith(name)]
        known = [run for run in self.listed() if run.name == name]
        return [
            reference
            for run in known
            for which in ("best", "latest", *map(str, run.steps()))
            if (reference := f"{name}@{which}").startswith(prefix)
        ]
