"""Which files make up a text: files, directories, and what comes in through standard input."""

import contextlib
import fnmatch
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO

from charrnn_cli.errors import StorageError, TextError
from charrnn_cli.paths import corpora_directory, make_directory

STANDARD_INPUT = Path("-")
CHUNK_BYTES = 1 << 20
_FROM_STANDARD_INPUT = "standard input"


@dataclass(frozen=True, slots=True)
class Document:
    """One file. An optional one, met in a directory, is left out with a word where it cannot be read."""

    path: Path
    name: str
    optional: bool = False


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
        only = self.documents[0] if len(self.documents) == 1 else None
        if only is None:
            return f"the text {self.name!r}"
        return only.name if only.name == _FROM_STANDARD_INPUT else str(only.path)


@contextlib.contextmanager
def gathered(paths: Sequence[Path], include: str = "*") -> Iterator[Gathered]:
    """The files that are named, those of directories sorted by path; standard input is kept in a file meanwhile.

    From a directory come the regular files whose name or path in it matches `include`, hidden ones left out;
    links to directories are not followed. Raises TextError.
    """
    with contextlib.ExitStack() as stack:
        found = Gathered(text_name(paths[0]), [])
        for path in paths:
            if path == STANDARD_INPUT:
                spooled = stack.enter_context(_standard_input())
                found.documents.append(Document(spooled, _FROM_STANDARD_INPUT))
            elif os.path.isdir(path):
                before = len(found.documents)
                _walk(path, include, found)
                if len(found.documents) == before:
                    raise TextError(f"no file in {path} matches {include!r}", hint="--include '*.txt' names others")
            else:
                found.documents.append(Document(path, path.name))
        yield found


def text_name(path: Path) -> str:
    """What a text is called: its file's name without what follows a dot, or its directory's."""
    if path == STANDARD_INPUT:
        return "stdin"
    name = path.name or path.resolve().name
    stem = name if os.path.isdir(path) else name.split(".")[0]
    return (stem or name or "text").encode("utf-8", "replace").decode()


def _walk(root: Path, include: str, found: Gathered) -> None:
    # No recursion: a directory may be deeper than Python's stack.
    waiting = [root]
    files: list[Path] = []
    while waiting:
        directory = waiting.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError as error:
            found.skipped.append((str(directory.relative_to(root)), error.strerror or str(error)))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif _matches(PurePath(entry.path).relative_to(root), include):
                if entry.is_file():
                    files.append(Path(entry.path))
                elif not entry.is_dir():  # else a link to a directory
                    found.skipped.append((str(Path(entry.path).relative_to(root)), "is not a regular file"))
    found.documents += [Document(path, str(path.relative_to(root)), optional=True) for path in sorted(files)]


def _matches(path: PurePath, include: str) -> bool:
    return fnmatch.fnmatch(path.name, include) or fnmatch.fnmatch(path.as_posix(), include)


@contextlib.contextmanager
def _standard_input() -> Iterator[Path]:
    """Its bytes as a file, since a text is read twice."""
    if sys.stdin.isatty():
        raise TextError("nothing comes in through standard input", hint="for example: cat *.txt | charrnn train -")
    directory = make_directory(corpora_directory())
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".stdin-", suffix=".tmp") as file:
        try:
            _copy(sys.stdin.buffer, file)
            file.flush()
        except OSError as error:
            raise StorageError(f"cannot keep standard input in {directory}: {error.strerror}") from error
        yield Path(file.name)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(CHUNK_BYTES):
        target.write(chunk)
