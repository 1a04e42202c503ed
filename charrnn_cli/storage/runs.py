"""A training run: its name, its directory, and the headers of its checkpoints, but no tensors.

<run>/step-0000001200.safetensors    immutable, weights only
<run>/resume.safetensors             everything that resuming needs, replaced atomically
<run>/resume.previous.safetensors    the resume file that it replaced
<run>/metrics.jsonl                  one line per event
"""

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from charrnn_cli.errors import (
    ConfigError,
    FileFormatError,
    NotFoundError,
    RunBusyError,
    StorageError,
)
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.header import CheckpointHeader, ResumeHeader
from charrnn_cli.storage.lock import LOCK_NAME, HeldRun, check_unlocked
from charrnn_cli.storage.record import typed_header
from charrnn_cli.storage.temporary import is_temporary, sweep_temporaries
from charrnn_cli.storage.tensorfile import read_header

SUFFIX = ".safetensors"

_RUN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEVICE_NAME = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_STEP_FILE = re.compile(r"step-([0-9]{10})\.safetensors")
_OWN_NAMES = {f"resume{SUFFIX}", f"resume.previous{SUFFIX}", "metrics.jsonl"}
REMAINS = {LOCK_NAME, "metrics.jsonl"}
"""Files of a run that was stopped before its first save."""


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A step file with its header, or with a description of its damage."""

    step: int
    path: Path
    file_bytes: int
    updated: float
    """Modification time in seconds since 1970; for display only."""
    header: CheckpointHeader | None
    """None if the file cannot be used; `problem` then says why."""
    problem: str | None = None

    @property
    def val_loss(self) -> float | None:
        """Nats per character; None for a checkpoint that was not evaluated."""
        return None if self.header is None else self.header.val_loss

    @property
    def train_loss(self) -> float | None:
        """Nats per character, like `val_loss` without dropout; None if it was not evaluated."""
        return None if self.header is None else self.header.train_loss


@dataclass(frozen=True, slots=True)
class Run:
    """A training run: a directory of checkpoints. A link to a directory is not a run."""

    name: str
    path: Path
    held: HeldRun | None = field(default=None, compare=False)
    """The lock, if this process holds it; files are then those of the locked directory."""

    @property
    def directory(self) -> Directory:
        """The directory to read from and to write to."""
        return Directory(self.path) if self.held is None else self.held.directory

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
        """Return all step files, including damaged ones, sorted by step. Raises StorageError."""
        entries = []
        for name, state in self._entries():
            match = _STEP_FILE.fullmatch(name)
            if match:
                entry = self._checkpoint(int(match[1]), name, state)
                if entry is not None:
                    entries.append(entry)
        return sorted(entries, key=lambda entry: entry.step)

    def steps(self) -> list[int]:
        """Return the steps of all step files, damaged or not, in order. Raises StorageError."""
        matches = (_STEP_FILE.fullmatch(name) for name, _ in self._entries())
        return sorted(int(match[1]) for match in matches if match)

    def has_checkpoint(self) -> bool:
        """Return whether there is a step file, damaged or not. Raises StorageError."""
        return bool(self.steps())

    def has_resume_file(self) -> bool:
        """Return whether there is a current or previous resume file. Raises StorageError."""
        own = (self.resume_path.name, self.previous_resume_path.name)
        return any(name in own for name, _ in self._entries())

    def resume_header(self) -> ResumeHeader | None:
        """Return the header of the resume file; None if it is absent or cannot be used."""
        path = self.resume_path
        try:
            return typed_header(read_header(path, directory=self.directory), ResumeHeader, path)
        except (FileFormatError, NotFoundError, StorageError):
            return None

    def is_training(self) -> bool:
        """Return whether a process holds the run's lock."""
        try:
            check_unlocked(self.path)
        except RunBusyError:
            return True
        return False

    def is_remains(self) -> bool:
        """Return whether the directory holds only what a run leaves that never saved."""
        try:
            names = set(self.directory.names())
        except OSError:
            return False
        unfinished = {name for name in names if is_temporary(name)}
        return not os.path.islink(self.path) and names - unfinished <= REMAINS

    def next_command(self) -> str:
        """Return the command that leads on from a run without a readable checkpoint."""
        if self.has_checkpoint() or self.is_training():
            return f"charrnn checkpoints list {self.name}"
        if self.has_resume_file():
            return f"charrnn train --resume {self.name}"
        if self.is_remains():
            return f"charrnn train TEXT --run {self.name}"
        return "charrnn checkpoints list"

    def is_finished(self, latest: CheckpointEntry | None) -> bool:
        """Return whether training reached its planned end, given the run's latest checkpoint."""
        resume = self.resume_header()
        if resume is not None:
            return resume.finished
        if latest is None or latest.header is None:
            return False
        planned = latest.header.train.get("max_steps")
        return isinstance(planned, int) and latest.step >= planned

    def files(self) -> list[Path]:
        """Return the files that training wrote, and no other files in the directory.

        Raises StorageError.
        """
        return sorted(self.path / name for name, _ in self._entries() if is_own_name(name))

    def sweep(self) -> None:
        """Remove what killed processes left of unfinished files."""
        sweep_temporaries(self.directory, is_own_name)

    def remove(self, path: Path) -> None:
        """Delete one of the run's files, if it exists. Raises StorageError."""
        try:
            self.directory.unlink(path.name)
        except OSError as error:
            raise StorageError(f"cannot delete {path}: {error.strerror}") from error

    def discard_if_empty(self) -> None:
        """Remove the run's directory if it has no checkpoint and no resume file.

        Does nothing unless the run's lock is held. Other files stay, and the directory with them.
        """
        with contextlib.suppress(StorageError, OSError):
            names = {name for name, _ in self._entries()}
            if self.held is not None and not any(name.endswith(SUFFIX) for name in names):
                self.held.check()
                for name in sorted(names & REMAINS, reverse=True):  # the lock last
                    self.directory.unlink(name)
                self.path.rmdir()

    def file_bytes(self) -> int:
        """Return the size of all files in the run's directory. Raises StorageError."""
        return sum(state.st_size for _, state in self._entries())

    def updated(self) -> float:
        """Return when a checkpoint was last written, in seconds since 1970; 0 if there is none.

        Raises StorageError.
        """
        times = [state.st_mtime for name, state in self._entries() if name.endswith(SUFFIX)]
        return max(times, default=0.0)

    def _entries(self) -> list[tuple[str, os.stat_result]]:
        """Return the directory's entries; none if it does not exist. Raises StorageError."""
        try:
            return self.directory.entries()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror}") from error

    def _checkpoint(self, step: int, name: str, state: os.stat_result) -> CheckpointEntry | None:
        path, header, problem = self.path / name, None, None
        try:
            header = step_header(path, self.directory)
        except NotFoundError:  # deleted since the directory was read
            return None
        except (FileFormatError, StorageError) as error:
            problem = error.message.removeprefix(f"{path} ").removeprefix("is ")
        return CheckpointEntry(step, path, state.st_size, state.st_mtime, header, problem)


def step_header(path: Path, directory: Directory | None = None) -> CheckpointHeader:
    """Return the header of a step file. Raises FileFormatError, NotFoundError, StorageError."""
    found = typed_header(read_header(path, directory=directory), CheckpointHeader, path)
    check_step(path, found.step)
    return found


def check_step(path: Path, step: int) -> None:
    """Raise FileFormatError if a step file's name says another step than its header."""
    match = _STEP_FILE.fullmatch(path.name)
    if match and int(match[1]) != step:
        raise FileFormatError(f"{path} has the header of step {step:,}, and the name of another")


def best(entries: list[CheckpointEntry]) -> CheckpointEntry | None:
    """Return the entry with the lowest validation loss; the earliest if several are equal."""
    scored = [
        (entry.val_loss, entry.step, entry) for entry in entries if entry.val_loss is not None
    ]
    return min(scored, key=lambda item: item[:2])[2] if scored else None


def latest(entries: list[CheckpointEntry]) -> CheckpointEntry | None:
    """Return the entry with the highest step whose header is intact."""
    return next((entry for entry in reversed(entries) if entry.header is not None), None)


def prunable(entries: list[CheckpointEntry], keep: int) -> list[CheckpointEntry]:
    """Return the entries to delete: all but the newest `keep`, the best and damaged ones."""
    whole = [entry for entry in entries if entry.header is not None]
    protected = {id(entry) for entry in (best(entries), latest(entries), *whole[-keep:])}
    return [entry for entry in whole if id(entry) not in protected]


def is_own_name(name: str) -> bool:
    """Return whether a file in a run's directory has the name of one that training writes."""
    return name in _OWN_NAMES or bool(_STEP_FILE.fullmatch(name))


def check_run_name(name: str) -> str:
    """Return the name. Raises ConfigError if it is not valid."""
    if not is_run_name(name):
        raise ConfigError(
            f"{name!r} is not a valid run name",
            hint="use at most 64 of the characters a-z 0-9 . _ - and start with a letter or digit; "
            "best, latest and device names such as con are reserved",
        )
    return name


def is_run_name(name: str) -> bool:
    """Return whether the name is valid on every file system and in every reference."""
    return (
        bool(_RUN_NAME.fullmatch(name))
        and not name.endswith((".", SUFFIX))  # a reference that ends in .safetensors is a path
        and name not in ("best", "latest")
        and not _DEVICE_NAME.fullmatch(name)
    )
