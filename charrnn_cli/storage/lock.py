"""The lock that a process holds on the run that it trains.

The lock keeps two processes from doing the same work. Files are safe without it, because publishing
never overwrites. A Python without fcntl, or a file system without locks, locks nothing.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from charrnn_cli.errors import RunBusyError, StorageError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = ".lock"
TIMEOUT = 0.5  # seconds; `check_unlocked` holds the lock for microseconds
POLL_INTERVAL = 0.02  # seconds


@contextlib.contextmanager
def hold_lock(directory: Path) -> Iterator[None]:
    """Hold the run's lock for a `with` block; the kernel releases it however the process ends.

    Raises RunBusyError if another process still holds it after half a second, StorageError.
    """
    path = directory / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror}") from error
    try:
        if not _acquire(descriptor):
            raise _busy(directory, descriptor)
        import platform  # takes 1 ms, and listing checkpoints does not need it

        owner = json.dumps({"pid": os.getpid(), "host": platform.node()}).encode()
        with contextlib.suppress(OSError):  # a full disk does not prevent training
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, owner, 0)
        yield
    finally:
        os.close(descriptor)


def check_unlocked(directory: Path) -> None:
    """Raise RunBusyError if a process is training this run. Works on a read-only disk."""
    if fcntl is None:
        return
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released by the close below
    except BlockingIOError:
        raise _busy(directory, descriptor) from None
    except OSError:  # a file system without locks
        return
    finally:
        os.close(descriptor)


def _busy(directory: Path, descriptor: int) -> RunBusyError:
    return RunBusyError(
        f"run {directory.name!r} is in use by {_holder(descriptor)}",
        hint="wait for that process, or stop it",
    )


def _acquire(descriptor: int) -> bool:
    if fcntl is None:
        return True
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL)
        except OSError:  # a file system without locks
            return True
        else:
            return True


def _holder(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"pid {int(owner['pid'])} on host {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
