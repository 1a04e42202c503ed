"""A directory held open, so that its files are the same ones even if its path is renamed.

Every function of `os` that takes a name takes it relative to the open directory. A system without
such functions (Windows), or a directory that may be written but not read, uses the path instead.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn_cli.errors import NotFoundError, StorageError

_HAS_DIRECTORY_DESCRIPTORS = os.open in os.supports_dir_fd
_FOLLOWED_BY_LINK = os.link not in os.supports_follow_symlinks
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory, and its descriptor where the system supports that."""

    path: Path
    descriptor: int | None = None

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file without following a link, and without waiting for a FIFO. Raises OSError."""
        flags |= _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        return os.open(self._place(name), flags, mode, dir_fd=self.descriptor)

    def stat(self, name: str) -> os.stat_result:
        """Return the state of an entry; of a link itself. Raises OSError."""
        return os.stat(self._place(name), dir_fd=self.descriptor, follow_symlinks=False)

    def names(self) -> list[str]:
        """Return the names of all entries. Raises OSError."""
        return os.listdir(self.path if self.descriptor is None else self.descriptor)

    def entries(self) -> list[tuple[str, os.stat_result]]:
        """Return the entries that exist, each with its state. Raises OSError."""
        found = []
        for name in self.names():
            with contextlib.suppress(FileNotFoundError):  # deleted since the names were read
                found.append((name, self.stat(name)))
        return found

    def link(self, name: str, new_name: str) -> None:
        """Give a file a second name, unless that is taken. Raises OSError."""
        os.link(
            self._place(name),
            self._place(new_name),
            src_dir_fd=self.descriptor,
            dst_dir_fd=self.descriptor,
            follow_symlinks=_FOLLOWED_BY_LINK,
        )

    def replace(self, name: str, new_name: str) -> None:
        """Rename a file, over an existing one. Raises OSError."""
        os.replace(
            self._place(name),
            self._place(new_name),
            src_dir_fd=self.descriptor,
            dst_dir_fd=self.descriptor,
        )

    def unlink(self, name: str) -> None:
        """Delete a file, or a link itself, if it exists. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._place(name), dir_fd=self.descriptor)

    def is_at_its_path(self) -> bool:
        """Return whether the path still names the open directory."""
        if self.descriptor is None:
            return self.path.is_dir()
        try:
            named = self.path.lstat()
        except OSError:
            return False
        return os.path.samestat(named, os.fstat(self.descriptor))

    def _place(self, name: str) -> str | Path:
        return self.path / name if self.descriptor is None else name


@contextlib.contextmanager
def open_directory(path: Path, *, follow: bool = False) -> Iterator[Directory]:
    """Hold a directory open; `follow` accepts a link, such as one that the user named.

    Raises NotFoundError, StorageError.
    """
    if not _HAS_DIRECTORY_DESCRIPTORS:
        yield Directory(path)
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | (0 if follow else _NO_FOLLOW)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise NotFoundError(f"no directory named {path}", hint="check the spelling") from error
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror}") from error
    try:
        yield Directory(path, descriptor)
    finally:
        os.close(descriptor)
