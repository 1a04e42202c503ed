"""New private files."""

import stat
from pathlib import Path

import pytest

from charrnn_cli.errors import AlreadyPublishedError, StorageError
from charrnn_cli.storage.opening import open_new


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """Only the user can read a new file."""
    with open_new(tmp_path / "new") as file:
        file.write(b"mine")
    assert (tmp_path / "new").read_bytes() == b"mine"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    """A file or a link of that name, even to nothing, is never written to."""
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "loose").symlink_to(tmp_path / "nothing")
    for name in ("file", "link", "loose"):
        with pytest.raises(AlreadyPublishedError), open_new(tmp_path / name):
            pass
    assert (tmp_path / "file").read_text() == "theirs"
    assert not (tmp_path / "nothing").exists()


def test_a_directory_that_is_absent(tmp_path: Path) -> None:
    """A file in a directory that does not exist is an error."""
    path = tmp_path / "missing" / "new"
    with pytest.raises(StorageError) as caught, open_new(path):
        pass
    assert caught.value.message == f"cannot create {path}: No such file or directory"
