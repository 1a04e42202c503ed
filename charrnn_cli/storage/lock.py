"""The lock that a process holds on the run that it trains.

The lock keeps two processes from doing the same work. Files are safe without it, because publishing
never overwrites. A Python without fcntl, or a file system without locks, locks nothing.
"""

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn_cli.errors import (
    AlreadyPublishedError,
    CharrnnError,
    NotFoundError,
    RunBusyError,
    RunMovedError,
    StorageError,
)
from charrnn_cli.storage.directory import Directory, open_directory
from charrnn_cli.storage.paths import HOME_HINT, PRIVATE
from charrnn_cli.storage.temporary import is_temporary, temporary_name, try_lock

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = ".lock"
TIMEOUT = 0.5  # seconds; `check_unlocked` holds the lock for microseconds
POLL_INTERVAL = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run's directory, held open, with the lock on it."""

    directory: Directory
    lock: int
    """Descriptor of the lock's file."""

    def check(self) -> None:
        """Raise RunMovedError if the directory or the lock's file is no longer in its place."""
        if not (self.directory.is_at_its_path() and _is_in(self.directory, self.lock)):
            raise RunMovedError(f"{self.directory.path} was moved or deleted while it was in use")


@contextlib.contextmanager
def hold_lock(path: Path, timeout: float = TIMEOUT) -> Iterator[HeldRun]:
    """Hold the lock of the run at `path`; the kernel releases it however the process ends.

    Raises NotFoundError, RunBusyError if another process still holds it after `timeout` seconds,
    StorageError.
    """
    with open_directory(path) as directory, _locked(directory, timeout) as lock:
        yield HeldRun(directory, lock)


@contextlib.contextmanager
def create_locked(path: Path) -> Iterator[HeldRun]:
    """Create a directory and hold its lock: other processes see it only when it is locked.

    Raises AlreadyPublishedError if `path` exists, unless it is an empty directory, StorageError.
    """
    with open_directory(path.parent, follow=True) as parent, contextlib.ExitStack() as stack:
        _sweep_new(parent)
        while True:
            name = stack.enter_context(temporary_name(parent, path.name))
            new = path.with_name(name)
            stack.callback(_remove_directory, new)  # does nothing after it was renamed
            try:
                new.mkdir(PRIVATE)
                held = stack.enter_context(hold_lock(new, timeout=0.0))
            except (NotFoundError, RunBusyError):
                continue  # another process took it for a directory of a killed one
            except OSError as error:
                message = f"cannot create {path}: {error.strerror}"
                raise StorageError(message, hint=HOME_HINT) from error
            break
        try:
            # Only an empty directory is replaced, and that of a run has at least a lock.
            new.rename(path)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise AlreadyPublishedError(f"{path} already exists") from error
            raise StorageError(f"cannot create {path}: {error.strerror}") from error
        yield HeldRun(Directory(path, held.directory.descriptor), held.lock)


def _sweep_new(parent: Directory) -> None:
    """Remove the directories of processes that were killed in `create_locked`."""
    with contextlib.suppress(OSError):
        for name in filter(is_temporary, parent.names()):
            path = parent.path / name
            with contextlib.suppress(CharrnnError), hold_lock(path, timeout=0.0):
                _remove_directory(path)


def check_unlocked(path: Path) -> None:
    """Raise RunBusyError if a process is training this run. Works on a read-only disk."""
    if fcntl is None:
        return
    try:
        descriptor = Directory(path).open(LOCK_NAME, os.O_RDONLY)
    except OSError:
        return
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released by the close below
    except BlockingIOError:
        raise _busy(path, descriptor) from None
    except OSError:  # a file system without locks
        return
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(directory: Directory, timeout: float) -> Iterator[int]:
    """Hold the lock of an open directory."""
    deadline = time.monotonic() + timeout
    while True:
        descriptor = _open_lock(directory)
        try:
            while try_lock(descriptor) is False:  # None: a file system without locks
                if time.monotonic() >= deadline:
                    raise _busy(directory.path, descriptor)
                time.sleep(POLL_INTERVAL)
            if not _is_in(directory, descriptor):
                # The holder removed the file, as after a run that saved nothing.
                if not directory.is_at_its_path():
                    raise NotFoundError(f"no run in {directory.path}", hint="run the command again")
                continue
            if os.fstat(descriptor).st_nlink == 1:  # a file with another name may be anything
                _write_owner(descriptor)
            yield descriptor
            return
        finally:
            os.close(descriptor)


def _open_lock(directory: Directory) -> int:
    path = directory.path / LOCK_NAME
    try:
        descriptor = directory.open(LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError as error:  # the directory itself was removed
        raise NotFoundError(f"no directory named {directory.path}") from error
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(f"{path} is not a regular file", hint="delete it")
    return descriptor


def _is_in(directory: Directory, descriptor: int) -> bool:
    """Return whether an open file is still the directory's lock."""
    try:
        return os.path.samestat(directory.stat(LOCK_NAME), os.fstat(descriptor))
    except OSError:
        return False


def _write_owner(descriptor: int) -> None:
    import platform  # takes 1 ms, and listing checkpoints does not need it

    owner = json.dumps({"pid": os.getpid(), "host": platform.node()}).encode()
    with contextlib.suppress(OSError):  # a full disk does not prevent training
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, owner, 0)


def _busy(path: Path, descriptor: int) -> RunBusyError:
    return RunBusyError(
        f"run {path.name!r} is in use by {_holder(descriptor)}",
        hint="wait for that process, or stop it",
    )


def _holder(descriptor: int) -> str:
    """Name the process that holds the lock, if it has already written its number."""
    import platform

    deadline = time.monotonic() + POLL_INTERVAL
    while True:
        try:
            owner = json.loads(os.pread(descriptor, 4096, 0))
            pid, host = int(owner["pid"]), str(owner["host"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "another process"
        if host != platform.node() or _is_alive(pid):
            return f"pid {pid} on host {host}"
        if time.monotonic() > deadline:  # the record of an earlier holder
            return "another process"
        time.sleep(POLL_INTERVAL / 4)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # a process of another user
        return True
    return pid > 0


def _remove_directory(path: Path) -> None:
    """Remove a new run's directory, if it exists."""
    with contextlib.suppress(OSError):
        (path / LOCK_NAME).unlink(missing_ok=True)
        path.rmdir()
