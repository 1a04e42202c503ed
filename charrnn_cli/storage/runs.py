"""A training run: its name, its directory, and the headers of its checkpoints, but no tensors.

<run>/step-0000001200.safetensors    immutable, weights only
<run>/resume.safetensors             everything that resuming needs, replaced atomically
<run>/resume.previous.safetensors    the resume file that it replaced
<run>/metrics.jsonl                  one line per event
"""

import contextlib
import math
import os
import re
import unicodedata
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
from charrnn_cli.storage.lock import LOCK_NAME, check_unlocked
from charrnn_cli.storage.tensorfile import read_header

SUFFIX = ".safetensors"
CHECKPOINT_KIND = "checkpoint"
RESUME_KIND = "resume"

_RUN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEVICE_NAME = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_STEP_FILE = re.compile(r"step-([0-9]{10})\.safetensors")


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A step file with its header, or with a description of its damage."""

    step: int
    path: Path
    file_bytes: int
    updated: float
    """Modification time in seconds since 1970; for display only."""
    metadata: dict[str, Any] | None
    """None if the header is damaged; `problem` then describes the damage."""
    problem: str | None = None

    @property
    def val_loss(self) -> float | None:
        """Nats per character; None for a checkpoint that was not evaluated."""
        return self._loss("val_loss")

    @property
    def train_loss(self) -> float | None:
        """Nats per character, smoothed, with dropout; None at step 0."""
        return self._loss("train_loss")

    def _loss(self, name: str) -> float | None:
        value = (self.metadata or {}).get(name)
        return value if type(value) is float and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Run:
    """A training run: a directory of checkpoints."""

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
        """Return all step files, including damaged ones, sorted by step."""
        entries = []
        for name, stat in _files(self.path):
            match = _STEP_FILE.fullmatch(name)
            if match:
                entry = _entry(int(match[1]), self.path / name, stat)
                if entry is not None:
                    entries.append(entry)
        return sorted(entries, key=lambda entry: entry.step)

    def has_checkpoint(self) -> bool:
        """Return whether there is a step file, damaged or not."""
        return any(_STEP_FILE.fullmatch(name) for name, _ in _files(self.path))

    def has_resume_file(self) -> bool:
        """Return whether there is a current or previous resume file, damaged or not."""
        return os.path.lexists(self.resume_path) or os.path.lexists(self.previous_resume_path)

    def resume_metadata(self) -> dict[str, Any] | None:
        """Return the header of the resume file; None if it is absent or damaged."""
        try:
            return read_header(self.resume_path).metadata
        except (FileFormatError, NotFoundError, StorageError):
            return None

    def is_training(self) -> bool:
        """Return whether a process holds the run's lock."""
        try:
            check_unlocked(self.path)
        except RunBusyError:
            return True
        return False

    def is_finished(self, latest: CheckpointEntry | None) -> bool:
        """Return whether training reached its planned end, given the run's latest checkpoint."""
        resume = self.resume_metadata()
        if resume is not None:
            return bool(resume.get("finished"))
        if latest is None or latest.metadata is None:
            return False
        planned = latest.metadata.get("train", {}).get("max_steps")
        return type(planned) is int and latest.step >= planned

    def files(self) -> list[Path]:
        """Return the files that training wrote, and no other files in the directory."""
        own = (self.resume_path, self.previous_resume_path, self.metrics_path)
        return sorted(
            path
            for name, _ in _files(self.path)
            if (path := self.path / name) in own or _STEP_FILE.fullmatch(name)
        )

    def discard_if_empty(self) -> None:
        """Remove the run's directory if it has no checkpoint and no resume file.

        Call only while holding the run's lock, or if no process can hold it.
        """
        if any(name.endswith(SUFFIX) for name, _ in _files(self.path)):
            return
        with contextlib.suppress(OSError):
            for path in (self.metrics_path, self.path / LOCK_NAME):
                path.unlink(missing_ok=True)
            self.path.rmdir()

    def file_bytes(self) -> int:
        """Return the size of all files in the run's directory."""
        return sum(stat.st_size for _, stat in _files(self.path))

    def updated(self) -> float:
        """Return when a checkpoint was last written, in seconds since 1970; 0 if there is none."""
        times = [stat.st_mtime for name, stat in _files(self.path) if name.endswith(SUFFIX)]
        return max(times, default=0.0)


def best(entries: list[CheckpointEntry]) -> CheckpointEntry | None:
    """Return the entry with the lowest validation loss; the earliest if several are equal."""
    scored = [
        (entry.val_loss, entry.step, entry) for entry in entries if entry.val_loss is not None
    ]
    return min(scored, key=lambda item: item[:2])[2] if scored else None


def latest(entries: list[CheckpointEntry]) -> CheckpointEntry | None:
    """Return the entry with the highest step whose header is intact."""
    return next((entry for entry in reversed(entries) if entry.metadata is not None), None)


def prunable(entries: list[CheckpointEntry], keep: int) -> list[CheckpointEntry]:
    """Return the entries to delete: all but the newest `keep`, the best and damaged ones."""
    whole = [entry for entry in entries if entry.metadata is not None]
    protected = {id(entry) for entry in (best(entries), latest(entries), *whole[-keep:])}
    return [entry for entry in whole if id(entry) not in protected]


def slug(text: str) -> str:
    """Turn a text into a valid run name."""
    plain = (
        unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    )  # é becomes e
    name = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("._-")[:60].rstrip("._-")
    return name if is_run_name(name) else f"run-{name}".rstrip("._-")


def reference_of(path: Path, step: int) -> str:
    """Return `RUN@STEP` for a checkpoint in a run's directory, otherwise its path."""
    run = path.parent.name
    return f"{run}@{step}" if _STEP_FILE.fullmatch(path.name) and is_run_name(run) else str(path)


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


def _entry(step: int, path: Path, stat: os.stat_result) -> CheckpointEntry | None:
    metadata, problem = None, None
    try:
        header = read_header(path)
        if header.kind != CHECKPOINT_KIND or header.metadata.get("step") != step:
            raise FileFormatError("its header does not match its file name")
        metadata = header.metadata
    except NotFoundError:  # deleted since the directory was read
        return None
    except (FileFormatError, StorageError) as error:
        problem = error.message.removeprefix(f"{path} ").removeprefix("is ")
    return CheckpointEntry(step, path, stat.st_size, stat.st_mtime, metadata, problem)


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
