"""Opening files to read: regular files only, and without blocking."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.errors import FileFormatError, NotFoundError, StorageError

CHUNK_BYTES = 1 << 20  # bytes to read from a file at a time


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; reject a FIFO or device without waiting for it.

    Raises NotFoundError, FileFormatError if it is not a regular file, StorageError.
    """
    flags = (
        os.O_RDONLY
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_CLOEXEC", 0)
        | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise NotFoundError(f"no file named {path}", hint="check the spelling") from error
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileFormatError(f"{path} is not a regular file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield file
