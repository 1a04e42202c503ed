"""Opening files to read and to append: regular files only, and without blocking.

Files in our own directories are opened without following a link, because anyone may have written
the directory: a copied run must not lead to another file. Only a path that the user typed is
followed.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.errors import (
    AlreadyPublishedError,
    ForeignFileError,
    NotFoundError,
    StorageError,
)
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.directory import Directory

CHUNK_BYTES = 1 << 20  # bytes to read from a file at a time


@contextlib.contextmanager
def open_regular(
    path: Path, *, follow: bool = False, directory: Directory | None = None
) -> Iterator[BinaryIO]:
    """Open a regular file for reading; reject a FIFO or device without waiting for it.

    `follow` accepts a link. With `directory`, the file is the one of that name in the open
    directory; `path` is then only for messages.
    Raises NotFoundError, ForeignFileError if it is not a regular file, StorageError.
    """
    with (
        _opened(path, os.O_RDONLY, follow=follow, directory=directory) as descriptor,
        os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file,
    ):
        yield file


def read_small(path: Path, max_bytes: int, *, follow: bool = False) -> bytes:
    """Return the content of a file of at most `max_bytes`.

    Raises NotFoundError, ForeignFileError if it is larger or not a regular file, StorageError.
    """
    with open_regular(path, follow=follow) as file:
        try:
            data = file.read(max_bytes + 1)
            while 0 < len(data) <= max_bytes and (more := file.read(max_bytes + 1 - len(data))):
                data += more
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > max_bytes:
        raise ForeignFileError(f"{path} is larger than {max_bytes:,} bytes")
    return data


@contextlib.contextmanager
def open_pipe(path: Path, descriptor: int | None) -> Iterator[int]:
    """Open a pipe for reading without waiting for its writer, and yield a descriptor.

    With `descriptor`, the pipe is one that is open already: a socket cannot be opened again.
    Raises StorageError.
    """
    try:
        if descriptor is not None:
            opened = os.dup(descriptor)
        else:
            opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror}") from error
    try:
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def open_to_append(path: Path, *, directory: Directory | None = None) -> Iterator[int]:
    """Open a regular file for reading and appending, and create it if it is absent.

    A file that has another name too, which may be anything, is replaced by a copy first. Yields a
    descriptor. Only the user can read a new file. Raises ForeignFileError, StorageError.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    with contextlib.ExitStack() as stack:
        descriptor = stack.enter_context(_opened(path, flags, directory=directory))
        if os.fstat(descriptor).st_nlink > 1:
            with atomic_write(path, replace=True, private=True, directory=directory) as copy:
                shutil.copyfileobj(stack.enter_context(os.fdopen(os.dup(descriptor), "rb")), copy)
            descriptor = stack.enter_context(_opened(path, flags, directory=directory))
        yield descriptor


@contextlib.contextmanager
def open_new(path: Path) -> Iterator[BinaryIO]:
    """Create a file that only the user can read, and open it for writing.

    Raises AlreadyPublishedError if the name is taken, even by a link, StorageError.
    """
    try:
        descriptor = Directory(path.parent).open(
            path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
        )
    except FileExistsError as error:
        raise AlreadyPublishedError(f"{path} already exists") from error
    except OSError as error:
        raise StorageError(f"cannot create {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        yield file


@contextlib.contextmanager
def _opened(
    path: Path, flags: int, *, follow: bool = False, directory: Directory | None = None
) -> Iterator[int]:
    """Yield the descriptor of a regular file."""
    try:
        if follow:
            flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags, 0o600)
        else:
            descriptor = (directory or Directory(path.parent)).open(path.name, flags, 0o600)
    except FileNotFoundError as error:
        raise NotFoundError(f"no file named {path}", hint="check the spelling") from error
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise ForeignFileError(f"{path} is a link, and is not followed") from error
        raise StorageError(f"cannot open {path}: {error.strerror}") from error
    except ValueError as error:  # a name that contains a null character
        raise NotFoundError(f"no file named {path}", hint="check the spelling") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ForeignFileError(f"{path} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)
