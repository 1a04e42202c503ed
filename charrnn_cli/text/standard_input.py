"""A copy of standard input in a file, because a text is read twice."""

import contextlib
import os
import select
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from charrnn_cli.errors import StorageError, TextError
from charrnn_cli.storage.opening import CHUNK_BYTES
from charrnn_cli.storage.paths import corpora_directory, make_directory, temporary_directory
from charrnn_cli.storage.temporary import scratch_file

if TYPE_CHECKING:
    from io import BufferedReader

POLL_INTERVAL = 0.2  # seconds between calls of `waiting` while standard input is silent


@contextlib.contextmanager
def standard_input_copy(waiting: Callable[[int, int], None]) -> Iterator[Path]:
    """Copy standard input to a private file, which exists for the duration of the `with` block.

    The file is in the cache of encoded texts or, if that cannot be written, in the system's
    directory for temporary files. An exception that `waiting` raises ends the copy.
    Raises TextError if standard input is a terminal or cannot be read, StorageError.
    """
    if sys.stdin.isatty():
        raise TextError(
            "standard input is a terminal, not a file or a pipe",
            hint="pipe a text into it, for example: cat *.txt | charrnn train -",
        )
    with contextlib.ExitStack() as stack:
        path, file = _scratch(stack)
        while rest := memoryview(next_chunk(waiting)):
            while rest:
                try:
                    rest = rest[os.write(file.fileno(), rest) :]
                except OSError as error:
                    if path.parent == temporary_directory():
                        raise _failed(path.parent, error) from error
                    path, file = _moved(stack, file)
        yield path


def _scratch(stack: contextlib.ExitStack) -> tuple[Path, BinaryIO]:
    """Create a file in the cache or, if that is impossible, in the temporary directory."""
    try:
        return stack.enter_context(scratch_file(make_directory(corpora_directory())))
    except (OSError, StorageError):
        return _temporary_scratch(stack)


def _temporary_scratch(stack: contextlib.ExitStack) -> tuple[Path, BinaryIO]:
    directory = temporary_directory()
    try:
        return stack.enter_context(scratch_file(directory))
    except OSError as error:
        raise _failed(directory, error) from error


def _moved(stack: contextlib.ExitStack, full: BinaryIO) -> tuple[Path, BinaryIO]:
    """Move a file from a full disk to the temporary directory."""
    path, file = _temporary_scratch(stack)
    try:
        full.seek(0)
        shutil.copyfileobj(full, file)
        file.flush()
        full.truncate(0)
    except OSError as error:
        raise _failed(path.parent, error) from error
    return path, file


def _failed(directory: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot copy standard input to {directory}: {error.strerror}",
        hint="set TMPDIR to a directory on another disk",
    )


def next_chunk(waiting: Callable[[int, int], None]) -> bytes:
    """Read the next bytes of standard input; empty at its end. Raises TextError."""
    source = sys.stdin.buffer
    with contextlib.suppress(OSError, ValueError):  # on Windows, select takes only sockets
        while not select.select([source], [], [], POLL_INTERVAL)[0]:
            waiting(0, 1)
    waiting(0, 1)
    try:
        return cast("BufferedReader", source).read1(CHUNK_BYTES)
    except OSError as error:
        raise TextError(f"cannot read standard input: {error.strerror}") from error
