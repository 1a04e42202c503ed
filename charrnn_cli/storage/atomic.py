"""Atomic writes: a file appears under its name complete and synced, or not at all.

The order is: create a temporary file beside the target, write it, fsync it, link (or rename) it to
its name, fsync the directory. An interruption at any point leaves the old state, and at worst a
temporary file.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.errors import AlreadyPublishedError, DiskFullError, NotFoundError, StorageError
from charrnn_cli.storage import temporary
from charrnn_cli.storage.directory import Directory, open_directory

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_PREALLOCATION = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_CLOSE_FIRST = os.name == "nt"  # Windows does not rename an open file
_NO_DIRECTORY_SYNC = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


@contextlib.contextmanager
def atomic_write(
    path: Path,
    *,
    num_bytes: int = 0,
    replace: bool = False,
    private: bool = False,
    directory: Directory | None = None,
) -> Iterator[BinaryIO]:
    """Yield a file to write; `path` gets its content when the block ends without an exception.

    `num_bytes` is reserved first, so that a full disk is an error before anything is written.
    Without `replace`, an existing file is never changed. A `private` file can be read by the user
    alone; the umask decides about others. `directory` is the open directory to write to; by
    default, the parent of `path`, where remains of killed writers of `path` are removed first.
    Raises AlreadyPublishedError, StorageError.
    """
    if path.name in ("", ".."):  # a directory
        raise _exists(path)
    with contextlib.ExitStack() as stack:
        is_users = directory is None
        directory = stack.enter_context(_opened(directory or Directory(path.parent)))
        if is_users:
            target = temporary.temporary_target(path.name)
            temporary.sweep_temporaries(directory, lambda found: found == target)
        try:
            mode = 0o600 if private else 0o666
            name, file = stack.enter_context(temporary.temporary_file(directory, path.name, mode))
            _preallocate(file.fileno(), num_bytes)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if _CLOSE_FIRST:
                file.close()
            if replace:
                directory.replace(name, path.name)
            else:
                _link_without_overwriting(directory, name, path.name)
            _sync(directory)
        except FileExistsError as error:
            raise _exists(path) from error
        except OSError as error:
            kind = DiskFullError if error.errno in _DISK_FULL else StorageError
            room = _room(path.parent, num_bytes) if kind is DiskFullError else ""
            raise kind(f"cannot write {path}: {error.strerror or error}{room}") from error


def keep_previous(path: Path, previous: Path, *, directory: Directory) -> None:
    """Keep the file at `path` under the name `previous` as well, atomically.

    Does nothing if `path` does not exist. Raises StorageError.
    """
    with _opened(directory) as opened:
        try:
            with temporary.temporary_link(opened, path.name, previous.name) as name:
                opened.replace(name, previous.name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise StorageError(f"cannot write {previous}: {error.strerror}") from error
            # For a moment only `previous` exists; readers accept that.
            move_over(path, previous, directory=opened)


def move_over(source: Path, target: Path, *, directory: Directory) -> None:
    """Rename `source` to `target` in the same directory, replacing it.

    Does nothing if `source` does not exist. Raises StorageError.
    """
    with _opened(directory) as opened:
        try:
            opened.replace(source.name, target.name)
            _sync(opened)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"cannot write {target}: {error.strerror}") from error


def check_absent(path: Path, hint: str | None = None) -> None:
    """Raise AlreadyPublishedError if `path` exists. Call this before long work, to fail early."""
    if os.path.lexists(path):
        raise _exists(path, hint)


@contextlib.contextmanager
def _opened(directory: Directory) -> Iterator[Directory]:
    """Open a directory unless it is open; it cannot be synced otherwise."""
    with contextlib.ExitStack() as stack:
        if directory.descriptor is None:
            # A missing directory is reported by the write; one that cannot be listed needs no sync.
            with contextlib.suppress(NotFoundError, StorageError):
                directory = stack.enter_context(open_directory(directory.path, follow=True))
        yield directory


def _sync(directory: Directory) -> None:
    """Sync the directory's entries to disk, if the system supports it. Raises OSError."""
    if directory.descriptor is not None:
        try:
            os.fsync(directory.descriptor)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_SYNC:
                raise


def _exists(path: Path, hint: str | None = None) -> AlreadyPublishedError:
    hint = hint or "choose another file name, or move the existing file"
    return AlreadyPublishedError(f"{path} already exists", hint=hint)


def _room(directory: Path, num_bytes: int) -> str:
    with contextlib.suppress(OSError):
        needed = f"{num_bytes:,} bytes needed, " if num_bytes else ""
        return f" ({needed}{shutil.disk_usage(directory).free:,} bytes free)"
    return ""


def _preallocate(descriptor: int, num_bytes: int) -> None:
    if num_bytes and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, num_bytes)
        except OSError as error:
            if error.errno not in _NO_PREALLOCATION:
                raise


def _link_without_overwriting(directory: Directory, name: str, target: str) -> None:
    try:
        directory.link(name, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without links, only the run's lock keeps other writers out between these two lines.
        try:
            directory.stat(target)
        except FileNotFoundError:
            directory.replace(name, target)
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
