"""Files that appear whole or not at all."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.errors import AlreadyPublishedError, NotFoundError, StorageError
from charrnn_cli.storage.atomic import atomic_write, check_absent, keep_previous, move_over
from charrnn_cli.storage.directory import Directory, open_directory


def test_nothing_appears_before_the_block_ends(tmp_path: Path) -> None:
    """The file gets its name after the block, and no other file is left."""
    path = tmp_path / "x"
    with atomic_write(path, num_bytes=3) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    """A block that fails leaves an existing file as it was, and no other file."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def attempt() -> None:
        with atomic_write(path, replace=True) as file:
            file.write(b"new")
            raise KeyError

    with pytest.raises(KeyError):
        attempt()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_target_that_exists_is_noticed_before_long_work(tmp_path: Path) -> None:
    """A file or a dangling link in the way is an error, and a free name is not."""
    path = tmp_path / "x"
    check_absent(path)
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyPublishedError) as caught:
        check_absent(path)
    assert caught.value.message == f"{path} already exists"
    assert caught.value.hint == "choose another file name, or move the existing file"


def no_links(*arguments: object, **options: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", [True, False])
def test_the_previous_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """A file is kept under a second name, also where the file system has no hard links."""
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path, previous = tmp_path / "x", tmp_path / "previous"
    keep_previous(path, previous, directory=Directory(tmp_path))
    assert not previous.exists()
    for content in (b"1", b"2", b"3"):
        keep_previous(path, previous, directory=Directory(tmp_path))
        with atomic_write(path, replace=True) as file:
            file.write(content)
    assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")
    assert sorted(tmp_path.iterdir()) == [previous, path]


def test_without_links_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without hard links, a new file appears and an existing one stays."""
    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "x"

    def write(content: bytes) -> None:
        with atomic_write(path) as file:
            file.write(content)

    write(b"first")
    with pytest.raises(AlreadyPublishedError):
        write(b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


class Syncs:
    """Notes, in their order, the files and directories that are synced, and new names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        fsync, link, replace = os.fsync, os.link, os.replace

        def noted(call: Any, name: str) -> Any:
            def work(*arguments: Any, **options: Any) -> Any:
                self.calls.append(name)
                return call(*arguments, **options)

            return work

        def noted_fsync(descriptor: int) -> None:
            is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            self.calls.append("sync directory" if is_directory else "sync file")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(os, "link", noted(link, "link"))
        monkeypatch.setattr(os, "replace", noted(replace, "replace"))


def test_everything_is_synced_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is synced before it gets its name, and the directory after it, for every change."""
    path, previous = tmp_path / "x", tmp_path / "previous"
    previous.touch()
    syncs = Syncs(monkeypatch)
    with open_directory(tmp_path) as opened:
        for directory in (None, opened):
            with atomic_write(path, replace=True, directory=directory) as file:
                file.write(b"1")
            assert syncs.calls == ["sync file", "replace", "sync directory"]
            path.unlink()
            syncs.calls.clear()
            with atomic_write(path, directory=directory) as file:
                file.write(b"2")
            assert syncs.calls == ["sync file", "link", "sync directory"]
            syncs.calls.clear()
        for either in (Directory(tmp_path), opened):
            move_over(path, previous, directory=either)
            assert syncs.calls == ["replace", "sync directory"]
            previous.rename(path)
            syncs.calls.clear()


def test_private_files(tmp_path: Path) -> None:
    """A private file can be read by its user alone; another follows the umask."""
    before = os.umask(0o022)
    try:
        for private, mode in ((True, 0o600), (False, 0o644)):
            path = tmp_path / str(private)
            with atomic_write(path, private=private) as file:
                file.write(b"1")
            assert path.stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", [".", "/", "a/.."])
def test_a_path_without_a_name(tmp_path: Path, name: str) -> None:
    """A directory in the place of a file's name is an error."""
    with pytest.raises(AlreadyPublishedError), atomic_write(tmp_path / name):
        pass


def test_remains_of_killed_writers_of_the_same_file(tmp_path: Path) -> None:
    """Writing a file removes what killed writers of the same file left, and nothing else."""
    names = [".x.1-0123abcd.tmp", ".x.2-0123abcd.tmp", ".y.1-0123abcd.tmp", ".x.notes.tmp"]
    for name in names:
        (tmp_path / name).write_text("half")
    with (tmp_path / names[1]).open("r+b") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        with atomic_write(tmp_path / "x") as file:
            file.write(b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names[1:], "x"])


def test_a_directory_that_moves_keeps_its_writer(tmp_path: Path) -> None:
    """A file is written to the directory that was opened, whatever has its name by then."""
    place, moved = tmp_path / "place", tmp_path / "moved"
    place.mkdir()
    with open_directory(place) as directory:
        assert directory.is_at_its_path()
        place.rename(moved)
        assert not directory.is_at_its_path()
        place.mkdir()
        assert not directory.is_at_its_path()
        with atomic_write(place / "x", directory=directory) as file:
            file.write(b"1")
        assert directory.names() == ["x"]
    assert (list(place.iterdir()), list(moved.iterdir())) == ([], [moved / "x"])
    for missing in (tmp_path / "missing", moved / "x"):
        with pytest.raises((NotFoundError, StorageError)), open_directory(missing):
            pass
