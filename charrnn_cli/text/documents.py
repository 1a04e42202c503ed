"""The files of a text: named files, files in directories, and standard input."""

import contextlib
import fnmatch
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from charrnn_cli.errors import TextError
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.text.standard_input import standard_input_copy

_FROM_STANDARD_INPUT = "standard input"


@dataclass(frozen=True, slots=True)
class Document:
    """A file of a text.

    An optional document, found in a directory, is skipped and reported if it cannot be read.
    """

    path: Path
    name: str
    optional: bool = False
    encoding: str | None = None
    """Encoding in which it is read unless it has a byte order mark; None until that is decided."""

    @property
    def title(self) -> str:
        """Name for messages."""
        return self.name if self.name == _FROM_STANDARD_INPUT else str(self.path)


@dataclass(slots=True)
class Gathered:
    """The documents of a text, in order."""

    name: str
    """Name of the text."""
    documents: list[Document]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Skipped files in directories, each with a reason; reading the documents may add more."""

    @property
    def title(self) -> str:
        """Name for messages: the path of the only file, or the name of the text."""
        return self.documents[0].title if len(self.documents) == 1 else f"the text {self.name!r}"


@contextlib.contextmanager
def gather_documents(
    paths: Sequence[Path], include: str, waiting: Callable[[int, int], None]
) -> Iterator[Gathered]:
    """Yield the documents of named files, directories and standard input (`-`).

    A directory contributes its regular files, sorted by path, whose name or relative path matches
    the glob `include`. Hidden files are left out, and links to directories are not followed.
    Standard input is copied to a file for the duration of the `with` block. During the copy,
    `waiting` is called often, and an exception that it raises ends the wait.
    Raises TextError, StorageError.
    """
    with contextlib.ExitStack() as stack:
        found = Gathered(text_name(paths[0]), [])
        for path in paths:
            if path == STANDARD_INPUT:
                spooled = stack.enter_context(standard_input_copy(waiting))
                found.documents.append(Document(spooled, _FROM_STANDARD_INPUT))
            elif os.path.isdir(path):
                before = len(found.documents)
                _walk(path, include, found)
                if len(found.documents) == before:
                    raise TextError(
                        f"no file in {path} matches {include!r}",
                        hint="choose files with --include, for example --include '*.txt'",
                    )
            else:
                found.documents.append(Document(path, printable(path.name)))
        yield found


def text_name(path: Path) -> str:
    """Name a text after its directory, or after its file up to the first dot."""
    if path == STANDARD_INPUT:
        return "stdin"
    try:
        name = path.name or path.resolve().name
    except OSError:  # a working directory that was removed
        name = ""
    stem = name if os.path.isdir(path) else name.split(".")[0]
    return printable(stem or name or "text")


def printable(name: str) -> str:
    """Escape the bytes of a file name that are not valid text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _walk(root: Path, include: str, found: Gathered) -> None:
    # Not recursive: directories can be nested deeper than Python's recursion limit.
    waiting = [root]
    files: list[Path] = []
    while waiting:
        directory = waiting.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError as error:
            found.skipped.append(
                (printable(str(directory.relative_to(root))), error.strerror or str(error))
            )
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif _matches(PurePath(entry.path).relative_to(root), include):
                name = printable(str(Path(entry.path).relative_to(root)))
                try:
                    if entry.is_file():
                        files.append(Path(entry.path))
                    elif not entry.is_dir():  # a link to a directory is skipped silently
                        found.skipped.append((name, "is not a regular file"))
                except OSError as error:  # a circular link, or no permission
                    found.skipped.append((name, f"cannot be read: {error.strerror}"))
    names = ((path, printable(str(path.relative_to(root)))) for path in sorted(files))
    found.documents += [Document(path, name, optional=True) for path, name in names]


def _matches(path: PurePath, include: str) -> bool:
    return fnmatch.fnmatch(path.name, include) or fnmatch.fnmatch(path.as_posix(), include)
