"""A file appears under its name whole and synced, or not at all.

Order: a new temporary file beside the target, written, fsynced, linked (or renamed) to its name, and the
directory fsynced. Whatever stops this in the middle leaves the old state, and at worst a temporary file.
"""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.errors import AlreadyPublishedError, StorageError

TEMPORARY_SUFFIX = ".tmp"
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
    """Write to the yielded file; when the block ends without an exception, `path` exists with what was written.

    `num_bytes` are reserved first, so a full disk is noticed before anything is written.
    Without `replace`, an existing file is never touched. Raises AlreadyPublishedError, StorageError.
    """
    temporary = path.with_name(
        f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
    )
    _temporaries.add(temporary)
    try:
        flags = (
            os.O_RDWR
            | os.O_CREAT
            | os.O_EXCL
            | getattr(os, "O_NOFOLLOW", 0)
            | getattr(os, "O_BINARY", 0)
        )
        with os.fdopen(os.open(temporary, flags, 0o666), "w+b", buffering=1 << 16) as file:
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
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        _temporaries.discard(temporary)


def keep_previous(path: Path, previous: Path) -> None:
    """Let `previous` be what `path` is now, atomically; `path` itself stays. Nothing happens without `path`."""
    temporary = previous.with_name(
        f".{previous.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
    )
    _temporaries.add(temporary)
    try:
        try:
            os.link(path, temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.replace(path, previous)  # a moment with `previous` alone, which readers accept
        else:
            os.replace(temporary, previous)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot write {previous}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        _temporaries.discard(temporary)


def put_back(previous: Path, path: Path) -> None:
    """Let `previous` take the place of `path`, which is damaged. Nothing happens without `previous`."""
    try:
        os.replace(previous, path)
        sync_directory(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def sync_directory(directory: Path) -> None:
    """Make the directory's names durable; some systems cannot, and that is no error."""
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
    """A new file for the time of the block. Raises OSError."""
    path = directory / f".scratch.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
    _temporaries.add(path)
    try:
        with path.open("xb") as file:
            yield path, file
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        _temporaries.discard(path)


def check_absent(path: Path) -> None:
    """For who works long before it publishes. Raises AlreadyPublishedError."""
    if os.path.lexists(path):
        raise _exists(path)


def _exists(path: Path) -> AlreadyPublishedError:
    return AlreadyPublishedError(
        f"{path} exists and is not overwritten", hint="name another file, or move that one away"
    )


def sweep_temporaries(directory: Path, idle: float = 0.0) -> None:
    """Remove what killed writers left behind and did not touch for so many seconds.

    Only the holder of the directory's lock may leave no time.
    """
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            if entry.name.startswith(".") and entry.name.endswith(TEMPORARY_SUFFIX):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime >= idle:
                        os.unlink(entry.path)


def discard_temporaries() -> None:
    """Remove this process's half-written files: for a process that is about to leave at once."""
    for temporary in list(_temporaries):
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
        if (
            path.exists()
        ):  # a file system without links: the run's lock keeps others out between these lines
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.rename(temporary, path)
