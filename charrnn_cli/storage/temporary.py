"""Temporary files, which a killed process leaves behind and a later one removes.

A writer holds a lock on its temporary file. That tells the files of killed processes from those
that are being written.
"""

import contextlib
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.storage.directory import Directory

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

BUFFER_BYTES = 1 << 16
MAX_TARGET_BYTES = 200  # of the target's name in a temporary file's name, which may have 255
EXIT_PATIENCE = 0.2  # seconds to wait for a file that is being created
STALE_AFTER = 86_400.0  # seconds without a write, where files cannot be locked

_TEMPORARY = re.compile(r"\.(.+)\.[0-9]+-[0-9a-f]{8}\.tmp", re.DOTALL)

_unfinished: set[tuple[Directory, str]] = set()
_creation = threading.RLock()  # the handler of a signal may run in the thread that holds it


@contextlib.contextmanager
def temporary_file(directory: Directory, target: str, mode: int) -> Iterator[tuple[str, BinaryIO]]:
    """Yield a new file and its name; the name is removed when the block ends. Raises OSError."""
    while True:
        with temporary_name(directory, target) as name:
            with _creation:
                descriptor = directory.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
            file = os.fdopen(descriptor, "w+b", buffering=BUFFER_BYTES)
            try:
                # Another process may have taken it for a file of a killed one.
                if try_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                    yield name, file
                    return
            finally:
                with contextlib.suppress(OSError):  # a full disk refuses what is unwritten again
                    file.close()


@contextlib.contextmanager
def temporary_link(directory: Directory, name: str, target: str) -> Iterator[str]:
    """Yield a second name of a file, which is removed when the block ends. Raises OSError."""
    with temporary_name(directory, target) as new_name:
        with _creation:
            directory.link(name, new_name)
        yield new_name


@contextlib.contextmanager
def temporary_name(directory: Directory, target: str) -> Iterator[str]:
    """Yield an unused name; a file of that name is removed when the block ends."""
    name = f".{temporary_target(target)}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    _unfinished.add((directory, name))
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            directory.unlink(name)
        _unfinished.discard((directory, name))


@contextlib.contextmanager
def scratch_file(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a new private file that is removed when the block ends. Raises OSError."""
    with temporary_file(Directory(directory), "scratch", 0o600) as (name, file):
        yield directory / name, file


def is_temporary(name: str) -> bool:
    """Return whether a name has the form of our temporary files and directories."""
    return bool(_TEMPORARY.fullmatch(name))


def temporary_target(target: str) -> str:
    """Return the part of a target's name that its temporary files have in their names."""
    return os.fsdecode(os.fsencode(target)[:MAX_TARGET_BYTES])


def sweep_temporaries(directory: Directory, is_ours: Callable[[str], bool]) -> None:
    """Remove temporary files of killed processes for targets that `is_ours` accepts.

    A file that a living process is writing stays, and so does any other file.
    """
    with contextlib.suppress(OSError):
        for name in directory.names():
            match = _TEMPORARY.fullmatch(name)
            if match and is_ours(match[1]):
                with contextlib.suppress(OSError):
                    _sweep(directory, name)


def discard_temporaries() -> None:
    """Remove this process's unfinished files, and create no more: it exits without unwinding."""
    _creation.acquire(timeout=EXIT_PATIENCE)  # for ever, because other threads go on until the exit
    for directory, name in list(_unfinished):
        with contextlib.suppress(OSError):
            directory.unlink(name)


def _sweep(directory: Directory, name: str) -> None:
    """Remove a temporary file unless a process is writing it. Raises OSError."""
    descriptor = directory.open(name, os.O_RDWR)
    try:
        state = os.fstat(descriptor)
        is_locked = try_lock(descriptor)
        is_stale = time.time() - state.st_mtime >= STALE_AFTER
        if stat.S_ISREG(state.st_mode) and (is_stale if is_locked is None else is_locked):
            directory.unlink(name)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool | None:
    """Lock a file; return whether that worked, or None where files cannot be locked."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
