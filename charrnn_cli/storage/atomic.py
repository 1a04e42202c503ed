"""Atomic writes: a file appears under its name complete and synced, or not at all.

The order is: create a temporary file beside the target, write it, fsync it, link (or rename) it to
its name, fsync the directory. An interruption at any point leaves the old state, and at worst a
temporary file.
"""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.errors import AlreadyPublishedError, StorageError

TEMPORARY_SUFFIX = ".tmp"
BUFFER_BYTES = 1 << 16

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PREALLOCATION = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_NO_DIRECTORY_SYNC = {
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EBADF,
    errno.EACCES,
    errno.EISDIR,
}

_temporaries: set[Path] = set()


@contextlib.contextmanager
def atomic_write(path: Path, *, num_bytes: int = 0, replace: bool = False) -> Iterator[BinaryIO]:
    """Yield a file to write; `path` gets its content when the block ends without an exception.

    `num_bytes` is reserved first, so that a full disk is an error before anything is written.
    Without `replace`, an existing file is never changed.
    Raises AlreadyPublishedError, StorageError.
    """
    with _temporary(path) as temporary:
        try:
            with temporary.open("xb", buffering=BUFFER_BYTES) as file:
                _preallocate(file.fileno(), num_bytes)
                yield file
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(temporary, path)
            else:
                _link_without_overwriting(temporary, path)
            sync_directory(path.parent)
        except FileExistsError as error:
            raise _exists(path) from error
        except OSError as error:
            room = _room(path.parent, num_bytes) if error.errno in _NO_ROOM else ""
            raise StorageError(f"cannot write {path}: {error.strerror or error}{room}") from error


def keep_previous(path: Path, previous: Path) -> None:
    """Keep the file at `path` under the name `previous` as well, atomically.

    Does nothing if `path` does not exist. Raises StorageError.
    """
    with _temporary(previous) as temporary:
        try:
            os.link(path, temporary)
            os.replace(temporary, previous)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise StorageError(f"cannot write {previous}: {error.strerror}") from error
            move_over(path, previous)  # for a moment only `previous` exists; readers accept that


def move_over(source: Path, target: Path) -> None:
    """Rename `source` to `target`, replacing it.

    Does nothing if `source` does not exist. Raises StorageError.
    """
    try:
        os.replace(source, target)
        sync_directory(target.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}") from error


def sync_directory(directory: Path) -> None:
    """Sync the directory's entries to disk, if the system supports it. Raises OSError."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError as error:
        if error.errno in _NO_DIRECTORY_SYNC:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def scratch_file(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a new file that is removed when the block ends. Raises OSError."""
    with _temporary(directory / "scratch") as path, path.open("xb") as file:
        yield path, file


def check_absent(path: Path) -> None:
    """Raise AlreadyPublishedError if `path` exists. Call this before long work, to fail early."""
    if os.path.lexists(path):
        raise _exists(path)


def sweep_temporaries(directory: Path, idle: float = 0.0) -> None:
    """Remove the temporary files of killed processes.

    Files written to within the last `idle` seconds stay. Leave `idle` at 0 only while holding the
    directory's lock.
    """
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            if entry.name.startswith(".") and entry.name.endswith(TEMPORARY_SUFFIX):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime >= idle:
                        os.unlink(entry.path)


def discard_temporaries() -> None:
    """Remove this process's unfinished files before it exits without unwinding."""
    for temporary in list(_temporaries):
        _remove(temporary)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield an unused path beside `path`; a file there is removed when the block ends."""
    unique = f"{os.getpid()}-{os.urandom(4).hex()}"
    temporary = path.with_name(f".{path.name}.{unique}{TEMPORARY_SUFFIX}")
    _temporaries.add(temporary)
    try:
        yield temporary
    finally:
        _remove(temporary)
        _temporaries.discard(temporary)


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _exists(path: Path) -> AlreadyPublishedError:
    return AlreadyPublishedError(
        f"{path} already exists", hint="choose another file name, or move the existing file"
    )


def _room(directory: Path, num_bytes: int) -> str:
    with contextlib.suppress(OSError):
        return f" ({num_bytes:,} bytes needed, {shutil.disk_usage(directory).free:,} free)"
    return ""


def _preallocate(descriptor: int, num_bytes: int) -> None:
    if num_bytes and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, num_bytes)
        except OSError as error:
            if error.errno not in _NO_PREALLOCATION:
                raise


def _link_without_overwriting(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without links, only the run's lock keeps other writers out between these two lines.
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.rename(temporary, path)
