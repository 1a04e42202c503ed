"""Adding to a user's file, or replacing it; a crash leaves the old content or all of the new.

A crash can cut short what is appended to a file in place. So the old content is copied into a new
file, followed by the addition, and the new file takes the place of the old one.
"""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from charrnn_cli.errors import (
    AlreadyPublishedError,
    ForeignFileError,
    NotFoundError,
    StorageError,
)
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.opening import CHUNK_BYTES, open_regular
from charrnn_cli.storage.temporary import try_lock

MAX_MEMORY = 1 << 20  # bytes of an addition; more are kept in a temporary file
PATIENCE = 10.0  # seconds to wait for another process, which only copies the file
POLL_INTERVAL = 0.02  # seconds


@contextlib.contextmanager
def atomic_replace(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write; it takes the place of `path` when the block ends without an exception.

    It gets the owner and the permissions of the file that it replaces, if there is one. Of a link,
    the target is replaced. Raises ForeignFileError if `path` is not a regular file, StorageError.
    """
    path, old = _target(path), check_changeable(path)
    with atomic_write(path, replace=True, private=old is not None) as new:
        yield new
        if old is not None:
            _copy_access(old, new)


@contextlib.contextmanager
def atomic_append(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write; what it holds is added to `path` when the block ends.

    A file whose last line has no end gets one first. Without a file at `path`, one is created. Two
    processes may add to one file: nothing is lost. Raises as `atomic_replace` does.
    """
    check_changeable(path)
    with tempfile.SpooledTemporaryFile(MAX_MEMORY) as addition:
        yield addition
        while not _has_added(_target(path), addition):
            pass  # another process has created or replaced the file


def check_changeable(path: Path) -> os.stat_result | None:
    """Return the state of a file to change; None if it is absent.

    Raises ForeignFileError if it is not a regular file, StorageError.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot open {path}: {error}") from error
    if not stat.S_ISREG(state.st_mode):
        raise ForeignFileError(f"{path} is not a regular file")
    return state


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _has_added(path: Path, addition: IO[bytes]) -> bool:
    """Add to the file, unless another process has just changed it; return whether that worked."""
    addition.seek(0)
    try:
        with open_regular(path) as old:
            _lock(old, path)
            try:
                if not os.path.samestat(path.stat(), os.fstat(old.fileno())):
                    return False
            except FileNotFoundError:
                return False
            with atomic_write(path, replace=True, private=True) as new:
                _copy(old, new, path)
                shutil.copyfileobj(addition, new)
                _copy_access(os.fstat(old.fileno()), new)
    except NotFoundError:
        try:
            with atomic_write(path) as new:
                shutil.copyfileobj(addition, new)
        except AlreadyPublishedError:
            return False
    return True


def _lock(old: BinaryIO, path: Path) -> None:
    """Keep other processes from adding to the file until it is closed."""
    deadline = time.monotonic() + PATIENCE
    while try_lock(old.fileno()) is False:  # None: a file system without locks
        if time.monotonic() >= deadline:
            raise StorageError(f"{path} is in use by another process", hint="try again later")
        time.sleep(POLL_INTERVAL)


def _copy(old: BinaryIO, new: BinaryIO, path: Path) -> None:
    """Copy the file, and end its last line."""
    last = b"\n"
    while True:
        try:
            piece = old.read(CHUNK_BYTES)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        if not piece:
            break
        new.write(piece)
        last = piece[-1:]
    new.write(b"" if last == b"\n" else b"\n")


def _copy_access(old: os.stat_result, new: BinaryIO) -> None:
    """Give the new file the owner, where that is allowed, and the permissions of the old one."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):
            os.fchown(new.fileno(), old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(new.fileno(), stat.S_IMODE(old.st_mode))
