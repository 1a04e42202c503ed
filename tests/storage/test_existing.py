"""Files of the user's that are added to, or replaced."""

import contextlib
import errno
import fcntl
import io
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from charrnn_cli.errors import ForeignFileError, StorageError
from charrnn_cli.storage import existing
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.existing import atomic_append, atomic_replace
from tests.processes import exit_codes, forked

CHANGES = [atomic_append, atomic_replace]


@pytest.mark.parametrize("change", CHANGES)
def test_an_exception_changes_nothing(tmp_path: Path, change: object) -> None:
    """A block that fails leaves the file as it was, and no other file."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def attempt() -> None:
        with change(path) as file:  # type: ignore[operator]
            file.write(b"new")
            raise KeyError

    with pytest.raises(KeyError):
        attempt()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_content_comes_first(tmp_path: Path) -> None:
    """An addition starts a line of its own, and an empty or absent file starts with it."""
    path = tmp_path / "x"
    for old, expected in ((None, b"new"), (b"", b"new"), (b"a\n", b"a\nnew"), (b"a", b"a\nnew")):
        path.unlink(missing_ok=True)
        if old is not None:
            path.write_bytes(old)
        with atomic_append(path) as file:
            file.write(b"new")
        assert path.read_bytes() == expected
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("change", CHANGES)
def test_permissions_and_links_stay(tmp_path: Path, change: object) -> None:
    """The new file has the permissions of the old one, and a link still leads to it."""
    path, link = tmp_path / "x", tmp_path / "link"
    path.write_bytes(b"old\n")
    link.symlink_to("x")
    for mode in (0o600, 0o644, 0o640):
        path.chmod(mode)
        with change(link) as file:  # type: ignore[operator]
            file.write(b"new\n")
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert link.is_symlink()
    assert path.read_bytes().endswith(b"new\n")


@pytest.mark.parametrize("change", CHANGES)
def test_only_a_regular_file_is_changed(tmp_path: Path, change: object) -> None:
    """A directory, a FIFO and a device are refused, and stay."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def attempt(path: Path) -> None:
        with change(path):  # type: ignore[operator]
            pass

    for path in (tmp_path, fifo, Path("/dev/null")):
        with pytest.raises(ForeignFileError, match="is not a regular file"):
            attempt(path)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def _add(path: Path, letter: str) -> None:
    for _ in range(20):
        with atomic_append(path) as file:
            file.write(letter.encode() + b"\n")


@pytest.mark.forks
def test_two_processes_add_to_one_file(tmp_path: Path) -> None:
    """Nothing is lost that several processes add to one file, even while it is being created."""
    path = tmp_path / "x"
    assert exit_codes([forked(partial(_add, path, letter)) for letter in "abc"]) == [0, 0, 0]
    assert sorted(path.read_text().split()) == [letter for letter in "abc" for _ in range(20)]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process holds for too long is an error, and stays as it was."""
    monkeypatch.setattr(existing, "PATIENCE", 0.05)
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def attempt() -> None:
        with atomic_append(path) as file:
            file.write(b"new")

    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageError) as caught:
            attempt()
    assert caught.value.message == f"{path} is in use by another process"
    assert path.read_bytes() == b"old"


def test_a_new_file_takes_an_empty_place(tmp_path: Path) -> None:
    """Replacing a file that does not exist creates it."""
    with atomic_replace(tmp_path / "x") as file:
        file.write(b"new")
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_path_that_is_none(tmp_path: Path) -> None:
    """A path that the system cannot use is an error."""
    with pytest.raises(StorageError, match="cannot open"):
        existing.check_changeable(tmp_path / "a\0b")


def appended(path: Path) -> bytes:
    with atomic_append(path) as file:
        file.write(b"new")
    return path.read_bytes()


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_file_that_changes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    """What another process puts in the file's place, or takes away, is respected."""
    path, lock, calls = tmp_path / "x", existing._lock, [0]
    path.write_bytes(b"old\n")

    def slow_lock(old: BinaryIO, locked: Path) -> None:
        lock(old, locked)
        calls[0] += 1
        if calls[0] == 1:
            path.unlink()
            if is_replaced:
                path.write_bytes(b"other\n")

    monkeypatch.setattr(existing, "_lock", slow_lock)
    assert appended(path) == (b"other\nnew" if is_replaced else b"new")


def test_a_file_that_appears_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process creates at the same time is not replaced."""
    path, write, calls = tmp_path / "x", atomic_write, [0]

    @contextlib.contextmanager
    def slow_write(target: Path, **options: Any) -> Iterator[BinaryIO]:
        calls[0] += 1
        if calls[0] == 1:
            target.write_bytes(b"other\n")
        with write(target, **options) as file:
            yield file

    monkeypatch.setattr(existing, "atomic_write", slow_write)
    assert appended(path) == b"other\nnew"


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read error of the old file is an error, and the file stays as it was."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    class Broken(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "broken disk")

    @contextlib.contextmanager
    def opened(broken: Path) -> Iterator[Any]:
        with Broken(broken) as file:
            yield file

    monkeypatch.setattr(existing, "open_regular", opened)
    with pytest.raises(StorageError, match="broken disk"):
        appended(path)
    assert path.read_bytes() == b"old"


def test_systems_without_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files have neither owners nor permissions, nothing is copied but the content."""
    monkeypatch.delattr(os, "fchown")
    monkeypatch.delattr(os, "fchmod")
    (tmp_path / "x").write_bytes(b"old\n")
    assert appended(tmp_path / "x") == b"old\nnew"
