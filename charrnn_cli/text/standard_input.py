"""A copy of standard input or of a pipe in a file, because a text is read twice."""

import contextlib
import os
import select
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from charrnn_cli.errors import StorageError, TextError
from charrnn_cli.storage.opening import CHUNK_BYTES, open_pipe
from charrnn_cli.storage.paths import corpora_directory, make_directory, temporary_directory
from charrnn_cli.storage.source import STANDARD_INPUT, is_descriptor
from charrnn_cli.storage.temporary import scratch_file

if TYPE_CHECKING:
    from io import BufferedReader

Waiting = Callable[[int, int], None]
POLL_INTERVAL = 0.2  # seconds between calls of `waiting` while standard input is silent


def pipe_title(path: Path) -> str:
    """Name standard input (`-`) or a pipe for messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


@contextlib.contextmanager
def pipe_copy(source: Path, waiting: Waiting) -> Iterator[Path]:
    """Copy standard input (`-`) or a pipe to a private file for the duration of the `with` block.

    The file is in the cache of encoded texts or, if that cannot be written, in the system's
    directory for temporary files. An exception that `waiting` raises ends the copy.
    Raises TextError if standard input is a terminal or the source cannot be read, StorageError.
    """
    if source == STANDARD_INPUT and sys.stdin.isatty():
        raise TextError(
            "standard input is a terminal, not a file or a pipe",
            hint="pipe a text into it, for example: cat *.txt | charrnn train -",
        )
    with contextlib.ExitStack() as stack:
        read = (
            next_chunk
            if source == STANDARD_INPUT
            else stack.enter_context(_opened_pipe(source)).next_chunk
        )
        path, file = _scratch(stack, source)
        while rest := memoryview(read(waiting)):
            while rest:
                try:
                    rest = rest[os.write(file.fileno(), rest) :]
                except OSError as error:
                    if path.parent == temporary_directory():
                        raise _failed(source, path.parent, error) from error
                    path, file = _moved(stack, file, source)
        yield path


def read_pipe(path: Path) -> bytes:
    """Return everything from a pipe. Raises TextError."""
    with _opened_pipe(path) as pipe:
        return b"".join(iter(lambda: pipe.next_chunk(lambda done, total: None), b""))


class _Pipe:
    """A pipe that is open for reading."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def next_chunk(self, waiting: Waiting) -> bytes:
        """Read the next bytes; empty when the last writer has closed the pipe. Raises TextError."""
        while True:
            # Without a writer yet, this waits too: only a reading would find the end.
            while not select.select([self._descriptor], [], [], POLL_INTERVAL)[0]:
                waiting(0, 1)
            waiting(0, 1)
            with contextlib.suppress(BlockingIOError):  # another process was faster
                try:
                    return os.read(self._descriptor, CHUNK_BYTES)
                except OSError as error:
                    if isinstance(error, BlockingIOError):
                        raise
                    raise TextError(f"cannot read {self._path}: {error.strerror}") from error


@contextlib.contextmanager
def _opened_pipe(path: Path) -> Iterator[_Pipe]:
    """Open a pipe without waiting for its writer. Raises TextError."""
    number = (int(path.name) if path.name.isdecimal() else 0) if is_descriptor(path) else None
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(open_pipe(path, number))
        except StorageError as error:
            raise TextError(error.message, hint="use a readable text file") from error
        yield _Pipe(path, descriptor)


def _scratch(stack: contextlib.ExitStack, source: Path) -> tuple[Path, BinaryIO]:
    """Create a file in the cache or, if that is impossible, in the temporary directory."""
    try:
        return stack.enter_context(scratch_file(make_directory(corpora_directory())))
    except (OSError, StorageError):
        return _temporary_scratch(stack, source)


def _temporary_scratch(stack: contextlib.ExitStack, source: Path) -> tuple[Path, BinaryIO]:
    directory = temporary_directory()
    try:
        return stack.enter_context(scratch_file(directory))
    except OSError as error:
        raise _failed(source, directory, error) from error


def _moved(stack: contextlib.ExitStack, full: BinaryIO, source: Path) -> tuple[Path, BinaryIO]:
    """Move a file from a full disk to the temporary directory."""
    path, file = _temporary_scratch(stack, source)
    try:
        full.seek(0)
        shutil.copyfileobj(full, file)
        file.flush()
        full.truncate(0)
    except OSError as error:
        raise _failed(source, path.parent, error) from error
    return path, file


def _failed(source: Path, directory: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot copy {pipe_title(source)} to {directory}: {error.strerror}",
        hint="set TMPDIR to a directory on another disk",
    )


def next_chunk(waiting: Waiting) -> bytes:
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
