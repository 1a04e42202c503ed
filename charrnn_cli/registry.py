"""Where checkpoints live and which ones exist. Knows names, headers and directories, never tensors.

The directory is the truth: no index to go stale, and any tool may copy, move or delete files. Readers write nothing.

    <root>/<run>/step-0000001200.safetensors    immutable, weights only
    <root>/<run>/resume.safetensors             all that resuming needs, replaced atomically
    <root>/<run>/resume.previous.safetensors    the one before
    <root>/<run>/metrics.jsonl                  one line an event
"""

import contextlib
import difflib
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_cli.errors import (
    ConfigError,
    FileFormatError,
    NotFoundError,
    RunBusyError,
    StorageError,
)
from charrnn_cli.lock import LOCK_NAME, check_unlocked
from charrnn_cli.paths import make_directory, runs_directory
from charrnn_cli.tensorfile import read_header

SUFFIX = ".safetensors"
CHECKPOINT_KIND = "checkpoint"
RESUME_KIND = "resume"

_RUN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEVICE_NAME = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_STEP_FILE = re.compile(r"step-([0-9]{10})\.safetensors")
_TRAIN_HINT = "train one: charrnn train TEXT"
_LIST_HINT = "`charrnn checkpoints list` shows what there is"


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A step file as its header tells it, or as damaged."""

    run: str
    step: int
    path: Path
    file_bytes: int
    updated: float
    """Seconds since 1970, from the file system; for display only."""
    metadata: dict[str, Any] | None
    """None when the header is damaged; then `problem` says how."""
    problem: str | None = None

    @property
    def val_loss(self) -> float | None:
        """Nats a character; None for a checkpoint that was not evaluated."""
        value = (self.metadata or {}).get("val_loss")
        return value if type(value) is float and math.isfinite(value) else None

    @property
    def train_loss(self) -> float | None:
        value = (self.metadata or {}).get("train_loss")
        return value if type(value) is float and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Run:
    """One training run: a directory of checkpoints."""

    name: str
    path: Path

    @property
    def resume_path(self) -> Path:
        return self.path / f"resume{SUFFIX}"

    @property
    def previous_resume_path(self) -> Path:
        return self.path / f"resume.previous{SUFFIX}"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def step_path(self, step: int) -> Path:
        return self.path / f"step-{step:010d}{SUFFIX}"

    def reference(self, step: int) -> str:
        return f"{self.name}@{step}"

    def checkpoints(self) -> list[CheckpointEntry]:
        """Every step file in order of step; damaged ones too, so that nobody wonders where they went."""
        entries = []
        for name, stat in _files(self.path):
            match = _STEP_FILE.fullmatch(name)
            if match:
                entry = _entry(self.name, int(match[1]), self.path / name, stat)
                if entry is not None:
                    entries.append(entry)
        return sorted(entries, key=lambda entry: entry.step)

    def has_resume_file(self) -> bool:
        return os.path.lexists(self.resume_path) or os.path.lexists(self.previous_resume_path)

    def resume_metadata(self) -> dict[str, Any] | None:
        """What the resume file's header says; None without a whole one."""
        try:
            return read_header(self.resume_path).metadata
        except (FileFormatError, NotFoundError, StorageError):
            return None

    def is_training(self) -> bool:
        try:
            check_unlocked(self.path)
        except RunBusyError:
            return True
        return False

    def is_finished(self, latest: CheckpointEntry | None) -> bool:
        """Whether training came to its planned end."""
        resume = self.resume_metadata()
        if resume is not None:
            return bool(resume.get("finished"))
        if latest is None or latest.metadata is None:
            return False
        planned = latest.metadata.get("train", {}).get("max_steps")
        return type(planned) is int and latest.step >= planned

    def files(self) -> list[Path]:
        """Every file that a run is made of; what someone else put there is not among them."""
        own = (self.resume_path, self.previous_resume_path, self.metrics_path)
        return sorted(
            path for name, _ in _files(self.path) if (path := self.path / name) in own or _STEP_FILE.fullmatch(name)
        )

    def discard_if_empty(self) -> None:
        """Remove the directory of a run without checkpoints. Only for who holds its lock, or knows it unlocked."""
        if any(name.endswith(SUFFIX) for name, _ in _files(self.path)):
            return
        with contextlib.suppress(OSError):
            for path in (self.metrics_path, self.path / LOCK_NAME):
                path.unlink(missing_ok=True)
            self.path.rmdir()

    def file_bytes(self) -> int:
        return sum(stat.st_size for _, stat in _files(self.path))

    def updated(self) -> float:
        """When a checkpoint was last written, in seconds since 1970; for display and for `latest` among runs."""
        times = [stat.st_mtime for name, stat in _files(self.path) if name.endswith(SUFFIX)]
        return max(times, default=0.0)


def best(entries: list[CheckpointEntry]) -> CheckpointEntry | None:
    """The lowest validation loss; the earliest of equals."""
    scored = [(entry.val_loss, entry.step, entry) for entry in entries if entry.val_loss is not None]
    return min(scored, key=lambda item: item[:2])[2] if scored else None


def latest(entries: list[CheckpointEntry]) -> CheckpointEntry | None:
    """The highest step whose header is whole."""
    return next((entry for entry in reversed(entries) if entry.metadata is not None), None)


def surplus(entries: list[CheckpointEntry], keep: int) -> list[CheckpointEntry]:
    """What goes when the newest `keep` stay: never the best, the latest, or a damaged file."""
    whole = [entry for entry in entries if entry.metadata is not None]
    protected = {id(entry) for entry in (best(entries), latest(entries), *whole[-keep:])}
    return [entry for entry in whole if id(entry) not in protected]


class Registry:
    """The runs under one directory."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = runs_directory() if root is None else root

    def runs(self) -> list[Run]:
        """Every run, sorted by name. An absent directory holds none. Raises StorageError."""
        try:
            names = [entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot read {self.root}: {error.strerror}") from error
        return [Run(name, self.root / name) for name in sorted(names) if _is_run_name(name)]

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
        """A new, empty run. Raises ConfigError where the name is taken or impossible, StorageError."""
        path = self.root / check_run_name(name)
        make_directory(self.root)
        try:
            path.mkdir()
        except FileExistsError as error:
            raise ConfigError(
                f"run {name!r} exists already",
                hint=f"go on with `charrnn train --resume {name}`, or name another",
            ) from error
        except OSError as error:
            raise StorageError(f"cannot create {path}: {error.strerror}") from error
        return Run(name, path)

    def create_like(self, name: str) -> Run:
        """A new run called `name`, or `name-2`, `name-3` and so on where that is taken."""
        stem = slug(name)
        candidate, number = stem, 1
        while True:
            if not os.path.lexists(self.root / candidate):
                with contextlib.suppress(ConfigError):  # another process took it between the two lines
                    return self.create(candidate)
            number += 1
            candidate = f"{stem[:56]}-{number}"

    def newest(self, *, resumable: bool = False) -> Run:
        """The most recently updated run that holds a checkpoint, or that can be resumed. Raises NotFoundError."""
        runs = [
            (run.updated(), run)
            for run in self.runs()
            if (run.has_resume_file() if resumable else any(_STEP_FILE.fullmatch(name) for name, _ in _files(run.path)))
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
        if not _is_run_name(name):
            return []
        run = Run(name, self.root / name)
        steps = [str(entry.step) for entry in run.checkpoints()]
        return [
            reference for which in ("best", "latest", *steps) if (reference := f"{name}@{which}").startswith(prefix)
        ]


def is_path(reference: str) -> bool:
    """Whether a reference is a path: it holds a separator or ends in .safetensors."""
    return "/" in reference or os.sep in reference or reference.endswith(SUFFIX)


def slug(text: str) -> str:
    """The nearest valid run name."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:60].rstrip("._-")
    return name if _is_run_name(name) else f"run-{name}".rstrip("._-")


def reference_of(path: Path, step: int) -> str:
    """How a checkpoint is named: by its run where it lies in one, else by its path."""
    run = path.parent.name
    return f"{run}@{step}" if _STEP_FILE.fullmatch(path.name) and _is_run_name(run) else str(path)


def check_run_name(name: str) -> str:
    """Raises ConfigError with the rule."""
    if not _is_run_name(name):
        raise ConfigError(
            f"{name!r} cannot be a run's name",
            hint="use up to 64 of a-z 0-9 . _ - starting with a letter or digit; not best, latest or a device's name",
        )
    return name


def _is_run_name(name: str) -> bool:
    return (
        bool(_RUN_NAME.fullmatch(name))
        and not name.endswith((".", SUFFIX))  # the latter is a path
        and name not in ("best", "latest")
        and not _DEVICE_NAME.fullmatch(name)
    )


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
        raise ConfigError(f"{which!r} is no step", hint=f"use {run.name}@best, {run.name}@latest or {run.name}@STEP")
    if entry is None:
        steps = ", ".join(str(entry.step) for entry in entries[-8:])
        raise NotFoundError(
            f"run {run.name!r} has no checkpoint{' of step ' + which if which.isdigit() else ' yet'}",
            hint=f"it has {steps}" if steps else _LIST_HINT,
        )
    return entry


def _entry(run: str, step: int, path: Path, stat: os.stat_result) -> CheckpointEntry | None:
    metadata, problem = None, None
    try:
        header = read_header(path)
        if header.kind != CHECKPOINT_KIND or header.metadata.get("step") != step:
            raise FileFormatError("it is not the checkpoint that its name says")
        metadata = header.metadata
    except (FileFormatError, NotFoundError, StorageError) as error:
        if not os.path.lexists(path):
            return None  # deleted since the directory was read
        problem = error.message.removeprefix(f"{path} ").removeprefix("is ")
    return CheckpointEntry(run, step, path, stat.st_size, stat.st_mtime, metadata, problem)


def _files(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        try:
            yield entry.name, entry.stat(follow_symlinks=False)
        except OSError:
            continue
