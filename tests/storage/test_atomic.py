"""Files that appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from charrnn_cli.errors import AlreadyPublishedError
from charrnn_cli.storage.atomic import atomic_write, check_absent, keep_previous
from charrnn_cli.storage.directory import Directory


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
