"""Files of the user's that are added to, or replaced."""

import fcntl
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from charrnn_cli.errors import ForeignFileError, StorageError
from charrnn_cli.storage import existing
from charrnn_cli.storage.existing import atomic_append, atomic_replace

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


def test_two_processes_add_to_one_file(tmp_path: Path) -> None:
    """Nothing is lost that several processes add to one file, even while it is being created."""
    path = tmp_path / "x"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add, args=(path, letter)) for letter in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
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
