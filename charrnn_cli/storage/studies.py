"""The files of a study, which tries settings: a journal, and a claim on each trial in progress.

tunes/<study>.jsonl       append-only; optuna's journal, a line per change
tunes/<study>/.lock       held for the moment in which a trial is chosen
tunes/<study>/07/.lock    held by the process that trains trial 7
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from charrnn_cli.errors import ConfigError, NotFoundError, RunBusyError
from charrnn_cli.storage.lock import check_unlocked, hold_lock
from charrnn_cli.storage.near_names import near_names
from charrnn_cli.storage.opening import open_regular, open_to_append
from charrnn_cli.storage.paths import make_directory, tunes_directory
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.run_names import slug
from charrnn_cli.storage.runs import check_run_name, is_run_name
from charrnn_cli.storage.temporary import try_lock

SUFFIX = ".jsonl"
PATIENCE = 60.0  # seconds; choosing a trial takes a hundredth of one
POLL_INTERVAL = 0.002  # seconds
TAIL_BYTES = 1 << 16  # of the journal that are read at a time, from its end


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The files of one study, which may not exist yet."""

    name: str
    root: Path

    @classmethod
    def new(cls, name: str) -> Self:
        """Return the files of a new study. Raises ConfigError if its name is invalid or taken."""
        if not is_run_name(name):
            raise ConfigError(
                f"{name!r} is not a valid name of a study",
                hint=f"use, for example, --name {slug(name)}",
            )
        files = cls(name, tunes_directory())
        if files.journal.exists() and _has_task(files.journal):
            raise ConfigError(
                f"a study called {name!r} already exists",
                hint=f"charrnn tune --resume {name}, or choose another --name",
            )
        if taken := _runs_of(name):
            raise ConfigError(
                f"there is a run called {taken[0]!r}, as a trial would be",
                hint="choose another --name",
            )
        return files

    @classmethod
    def existing(cls, name: str) -> Self:
        """Return the files of a study. Raises NotFoundError, ConfigError."""
        files = cls(check_run_name(name), tunes_directory())
        if not files.journal.is_file():
            known = [path.stem for path in files.root.glob(f"*{SUFFIX}")]
            near = near_names(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "charrnn tune TEXT --budget 1h"
            raise NotFoundError(f"no study named {name!r} in {files.root}", hint=hint)
        return files

    @classmethod
    def free_name(cls, name: str) -> str:
        """Return the name, or the name with a number if there is a study of the name."""
        root, number, candidate = tunes_directory(), 1, name
        while (root / f"{candidate}{SUFFIX}").exists() or _runs_of(candidate):
            number += 1
            candidate = f"{name}-{number}"
        return candidate

    @property
    def journal(self) -> Path:
        return self.root / f"{self.name}{SUFFIX}"

    def create(self) -> None:
        """Create the journal, private and empty, and the directory of claims; both may exist."""
        make_directory(self.root)
        make_directory(self.root / self.name)
        with open_to_append(self.journal):
            pass

    @contextlib.contextmanager
    def choosing(self) -> Iterator[None]:
        """Hold the right to choose a trial for a `with` block. Raises RunBusyError."""
        with hold_lock(make_directory(self.root / self.name), timeout=PATIENCE):
            yield

    @contextlib.contextmanager
    def claim(self, number: int) -> Iterator[None]:
        """Claim a trial for a `with` block; the kernel ends it however the process ends.

        Raises RunBusyError if another process trains it.
        """
        with hold_lock(make_directory(self._claim(number))):
            yield

    def is_claimed(self, number: int) -> bool:
        """Return whether a living process trains a trial."""
        try:
            check_unlocked(self._claim(number))
        except RunBusyError:
            return True
        return False

    def _claim(self, number: int) -> Path:
        return self.root / self.name / f"{number:02}"


def _has_task(journal: Path) -> bool:
    """Return whether a journal has got so far that its study can go on."""
    with open_regular(journal) as file:
        return b'"spec"' in file.read(TAIL_BYTES)


def _runs_of(study: str) -> list[str]:
    """Return the names of runs that are called as trials of a study are."""
    pattern = re.compile(rf"{re.escape(study)}-\d{{2,}}")
    return [run.name for run in Registry().runs() if pattern.fullmatch(run.name)]


class JournalLock:
    """One writer of a journal at a time; the kernel frees it when its process dies.

    The end of a line that a killed process left without its beginning of the next is removed before
    anything is appended: optuna refuses a journal with a broken line inside.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = contextlib.ExitStack()

    def acquire(self) -> bool:
        """Wait for the lock. Raises StorageError."""
        descriptor = self._held.enter_context(open_to_append(self._path))
        while try_lock(descriptor) is False:
            time.sleep(POLL_INTERVAL)
        _remove_torn_line(descriptor)
        return True

    def release(self) -> None:
        self._held.close()
        self._held = contextlib.ExitStack()


def _remove_torn_line(descriptor: int) -> None:
    """Cut a file after its last newline."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    position = end
    while position:
        start = max(0, position - TAIL_BYTES)
        found = os.pread(descriptor, position - start, start).rfind(b"\n")
        if found >= 0:
            position = start + found + 1
            break
        position = start
    if position < end:
        os.ftruncate(descriptor, position)
