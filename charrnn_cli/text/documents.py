"""Which files make up a text: files, directories, and what comes in through standard input."""

import contextlib
import fnmatch
import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, cast

from charrnn_cli.errors import StorageError, TextError
from charrnn_cli.storage.atomic import scratch_file
from charrnn_cli.storage.paths import corpora_directory, make_directory
from charrnn_cli.storage.source import STANDARD_INPUT

if TYPE_CHECKING:
    from io import BufferedReader

CHUNK_BYTES = 1 << 20
POLL_INTERVAL = 0.2  # seconds between looks whether to go on waiting for standard input
_FROM_STANDARD_INPUT = "standard input"


@dataclass(frozen=True, slots=True)
class Document:
    """One file. An optional one, met in a directory, is left out with a word where it cannot be read."""

    path: Path
    name: str
    optional: bool = False

    @property
    def title(self) -> str:
        """For messages."""
        return self.name if self.name == _FROM_STANDARD_INPUT else str(self.path)


@dataclass(slots=True)
class Gathered:
    """The documents of a text, in their order."""

    name: str
    """The text's."""
    documents: list[Document]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Files of directories that were left out, and why; more may follow while they are read."""

    @property
    def title(self) -> str:
        """For messages: the only file's path, or the text's name."""
        return self.documents[0].title if len(self.documents) == 1 else f"the text {self.name!r}"


@contextlib.contextmanager
def gather_documents(
    paths: Sequence[Path], include: str, waiting: Callable[[int, int], None]
) -> Iterator[Gathered]:
    """The files that are named, those of directories sorted by path; standard input is kept in a file meanwhile.

    `waiting` is called often while it comes in, and may raise.

    From a directory come the regular files whose name or path in it matches `include`, hidden ones left out;
    links to directories are not followed. Raises TextError.
    """
    with contextlib.ExitStack() as stack:
        found = Gathered(text_name(paths[0]), [])
        for path in paths:
            if path == STANDARD_INPUT:
                spooled = stack.enter_context(_standard_input(waiting))
                found.documents.append(Document(spooled, _FROM_STANDARD_INPUT))
            elif os.path.isdir(path):
                before = len(found.documents)
                _walk(path, include, found)
                if len(found.documents) == before:
                    raise TextError(
                        f"no file in {path} matches {include!r}",
                        hint="--include '*.txt' names others",
                    )
            else:
                found.documents.append(Document(path, _printable(path.name)))
        yield found


def text_name(path: Path) -> str:
    """What a text is called: its file's name without what follows a dot, or its directory's."""
    if path == STANDARD_INPUT:
        return "stdin"
    name = path.name or path.resolve().name
    stem = name if os.path.isdir(path) else name.split(".")[0]
    return _printable(stem or name or "text")


def _printable(name: str) -> str:
    """A file's name as text; bytes that are none are written as numbers."""
    return name.encode("utf-8", "backslashreplace").decode()


def _walk(root: Path, include: str, found: Gathered) -> None:
    # No recursion: a directory may be deeper than Python's stack.
    waiting = [root]
    files: list[Path] = []
    while waiting:
        directory = waiting.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError as error:
            found.skipped.append(
                (_printable(str(directory.relative_to(root))), error.strerror or str(error))
            )
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif _matches(PurePath(entry.path).relative_to(root), include):
                name = _printable(str(Path(entry.path).relative_to(root)))
                try:
                    if entry.is_file():
                        files.append(Path(entry.path))
                    elif not entry.is_dir():  # else a link to a directory
                        found.skipped.append((name, "is not a regular file"))
                except OSError as error:  # a link in a circle, or to where nobody may look
                    found.skipped.append((name, f"cannot be read: {error.strerror}"))
    names = ((path, _printable(str(path.relative_to(root)))) for path in sorted(files))
    found.documents += [Document(path, name, optional=True) for path, name in names]


def _matches(path: PurePath, include: str) -> bool:
    return fnmatch.fnmatch(path.name, include) or fnmatch.fnmatch(path.as_posix(), include)


@contextlib.contextmanager
def _standard_input(waiting: Callable[[int, int], None]) -> Iterator[Path]:
    """Its bytes as a file, since a text is read twice."""
    if sys.stdin.isatty():
        raise TextError(
            "nothing comes in through standard input",
            hint="for example: cat *.txt | charrnn train -",
        )
    directory = make_directory(corpora_directory())
    with contextlib.ExitStack() as stack:
        try:
            path, file = stack.enter_context(scratch_file(directory))
            while chunk := _next_chunk(waiting):
                file.write(chunk)
            file.flush()
        except OSError as error:
            raise StorageError(
                f"cannot keep standard input in {directory}: {error.strerror}"
            ) from error
        yield path


def _next_chunk(waiting: Callable[[int, int], None]) -> bytes:
    """Bytes of standard input; empty at its end."""
    source = sys.stdin.buffer
    with contextlib.suppress(OSError, ValueError):  # a system that waits for sockets alone
        while not select.select([source], [], [], POLL_INTERVAL)[0]:
            waiting(0, 1)
    waiting(0, 1)
    return cast("BufferedReader", source).read1(CHUNK_BYTES)
