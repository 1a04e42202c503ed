"""The files of a text: named files, files in directories, and standard input."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from charrnn_cli.errors import TextError
from charrnn_cli.shell import shell_word
from charrnn_cli.storage.source import STANDARD_INPUT, is_descriptor, is_pipe
from charrnn_cli.text.selection import count_suffixes, described_suffixes, select
from charrnn_cli.text.standard_input import pipe_copy, pipe_title


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
    source: str = ""
    """Standard input or the pipe that the file is a copy of; empty for any other file."""

    @property
    def title(self) -> str:
        """Name for messages."""
        return self.source or str(self.path)


@dataclass(slots=True)
class Gathered:
    """The documents of a text, in order."""

    name: str
    """Name of the text."""
    documents: list[Document]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Skipped files in directories, each with a reason; reading the documents may add more."""
    left_out: list[str] = field(default_factory=list)
    """Names of files in directories that were not chosen."""

    @property
    def title(self) -> str:
        """Name for messages: the path of the only file, or the name of the text."""
        return self.documents[0].title if len(self.documents) == 1 else f"the text {self.name!r}"


@contextlib.contextmanager
def gather_documents(
    paths: Sequence[Path], include: str | None, waiting: Callable[[int, int], None]
) -> Iterator[Gathered]:
    """Yield the documents of named files, directories, pipes and standard input (`-`).

    A directory contributes those of its regular files, sorted by path, that `select` chooses.
    Hidden files are left out, and links to directories are not followed. Standard input and pipes
    are copied to files for the duration of the `with` block. During the copy, `waiting` is called
    often, and an exception that it raises ends the wait.
    Raises TextError, StorageError.
    """
    with contextlib.ExitStack() as stack:
        found = Gathered(text_name(paths[0]), [])
        for path in paths:
            if path == STANDARD_INPUT or is_pipe(path):
                copy, title = stack.enter_context(pipe_copy(path, waiting)), pipe_title(path)
                has_name = path != STANDARD_INPUT and not is_descriptor(path)
                name = printable(path.name if has_name else title)
                found.documents.append(Document(copy, name, source=title))
            elif os.path.isdir(path):
                before = len(found.documents)
                _walk(path, include, found)
                if len(found.documents) == before:
                    raise _nothing_chosen(path, include, found)
            else:
                found.documents.append(Document(path, printable(path.name)))
        yield found


def _nothing_chosen(path: Path, include: str | None, found: Gathered) -> TextError:
    which = "is a text" if include is None else f"matches {include!r}"
    counts = count_suffixes(found.left_out)
    pattern = next((f"*{suffix}" for suffix in counts if suffix.startswith(".")), "*.txt")
    left_out = f"; it has {described_suffixes(counts)}" if counts else ""
    return TextError(
        f"no file in {path} {which}{left_out}",
        hint=f"choose files with --include, for example --include {shell_word(pattern)}",
    )


def text_name(path: Path) -> str:
    """Name a text after its directory, or after its file up to the first dot."""
    if path == STANDARD_INPUT:
        return "stdin"
    if is_descriptor(path):
        return "pipe"
    try:
        name = path.name or path.resolve().name
    except OSError:  # a working directory that was removed
        name = ""
    stem = name if os.path.isdir(path) else name.split(".")[0]
    return printable(stem or name or "text")


def printable(name: str) -> str:
    """Escape the bytes of a file name that are not valid text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _walk(root: Path, include: str | None, found: Gathered) -> None:
    """Add the chosen files of a directory to `found`, and name the others there."""
    entries = sorted(_entries(root, found), key=lambda entry: _natural_order(entry[0]))
    names = [PurePath(path).relative_to(root) for path, _ in entries]
    for (path, problem), relative, chosen in zip(
        entries, names, select(names, include), strict=True
    ):
        name = printable(str(relative))
        if not chosen:
            found.left_out.append(name)
        elif problem:
            found.skipped.append((name, problem))
        else:
            found.documents.append(Document(path, name, optional=True))


def _natural_order(path: Path) -> tuple[list[str | tuple[int, str]], ...]:
    """Return a key that sorts `chapter 2` before `chapter 10`."""
    return tuple(
        [
            (int(piece), piece) if piece.isascii() and piece.isdigit() else piece
            for piece in re.split(r"([0-9]+)", part)
        ]
        for part in path.parts
    )


def _entries(root: Path, found: Gathered) -> Iterator[tuple[Path, str]]:
    """Yield the files below a directory, each with the reason why it cannot be read, or empty.

    A directory that cannot be read is added to `found.skipped`.
    """
    # Not recursive: directories can be nested deeper than Python's recursion limit.
    waiting = [root]
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
            if entry.name.startswith((".", "~$")):  # hidden; a lock of a word processor
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
                continue
            try:
                if entry.is_file():
                    yield Path(entry.path), ""
                elif not entry.is_dir():  # a link to a directory is skipped silently
                    yield Path(entry.path), "is not a regular file"
            except OSError as error:  # a circular link, or no permission
                yield Path(entry.path), f"cannot be read: {error.strerror}"
