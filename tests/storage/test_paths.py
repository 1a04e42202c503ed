"""Where files are on this machine."""

import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from charrnn_cli.errors import ConfigError, StorageError
from charrnn_cli.storage.paths import (
    check_working_directory,
    check_writable,
    corpora_directory,
    free_bytes,
    logs_directory,
    make_directory,
    path_from_uri,
    path_to_uri,
    runs_directory,
    temporary_directory,
    tunes_directory,
)

HINT = "set CHARRNN_HOME to a writable directory"


def test_directories_of_a_home(home: Path) -> None:
    """`CHARRNN_HOME` holds a directory for each kind of file."""
    found = [runs_directory(), tunes_directory(), corpora_directory(), logs_directory()]
    assert found == [home / "runs", home / "tunes", home / "corpora", home / "logs"]


def test_directories_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without `CHARRNN_HOME`, the platform's directories for data and caches are used."""
    monkeypatch.delenv("CHARRNN_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = [runs_directory(), tunes_directory(), corpora_directory(), logs_directory()]
    assert [path.name for path in found] == ["runs", "tunes", "corpora", "logs"]


def test_a_directory_is_made(tmp_path: Path) -> None:
    """Missing parents are created, and an existing directory stays."""
    path = tmp_path / "a" / "b"
    assert make_directory(path) == make_directory(path) == path
    assert path.is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as caught:
        make_directory(tmp_path / "file" / "x")
    assert caught.value.message == f"cannot create {tmp_path / 'file' / 'x'}: Not a directory"
    assert caught.value.hint == "set CHARRNN_HOME to a writable directory"


def test_a_directory_is_private(tmp_path: Path) -> None:
    """A new directory and its new parents are for the user alone; one that exists stays open."""
    os.chmod(tmp_path, 0o755)
    path = make_directory(tmp_path / "a" / "b")
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, tmp_path)]
    assert modes == [0o700, 0o700, 0o755]


def test_an_unknown_user_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CHARRNN_HOME of an unknown user is a wrong setting."""
    monkeypatch.setenv("CHARRNN_HOME", "~missinguser/x")
    with pytest.raises(ConfigError) as caught:
        runs_directory()
    assert caught.value.message == (
        "CHARRNN_HOME is ~missinguser/x, but ~missinguser has no home directory"
    )
    assert caught.value.hint == "set CHARRNN_HOME to an absolute path"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the list of users needs CHARRNN_HOME."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("CHARRNN_HOME", "HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for directory in (runs_directory, corpora_directory, logs_directory):
        with pytest.raises(StorageError) as caught:
            directory()
        assert (caught.value.message, caught.value.hint) == (
            "this user has no home directory",
            HINT,
        )


def test_a_removed_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative CHARRNN_HOME is an error in a directory that was removed, as is training there."""
    check_working_directory()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("CHARRNN_HOME", "here")
    with pytest.raises(StorageError) as caught:
        runs_directory()
    assert caught.value.message == (
        "CHARRNN_HOME is here, but the working directory no longer exists"
    )
    with pytest.raises(StorageError, match=r"^the working directory no longer exists$"):
        check_working_directory()


def test_a_directory_that_can_be_written(tmp_path: Path) -> None:
    """The check accepts a directory that exists or can be created, and leaves nothing."""
    check_writable(tmp_path)
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for path, reason in (
        (tmp_path / "file" / "x", "Not a directory"),
        (tmp_path / ("n" * 300), "File name too long"),
    ):
        with pytest.raises(StorageError) as caught:
            check_writable(path)
        assert caught.value.message == f"cannot write to {path}: {reason}"
        assert caught.value.hint == HINT


def test_no_directory_for_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system without a directory for temporary files is an error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert temporary_directory() == tmp_path
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    with pytest.raises(StorageError) as caught:
        temporary_directory()
    assert caught.value.message == "no directory for temporary files is writable"
    assert caught.value.hint == "set TMPDIR to a writable directory"


def test_free_bytes_of_a_name_that_is_too_long(tmp_path: Path) -> None:
    """The disk of a directory that cannot exist is that of its parent."""
    assert free_bytes(tmp_path / ("n" * 300)) > 0


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b"a b%20c#?.txt", "漢字.txt".encode()])
def test_a_path_survives_as_a_uri(tmp_path: Path, name: bytes) -> None:
    """A path of any bytes becomes plain ASCII and comes back."""
    path = tmp_path / name.decode("utf-8", "surrogateescape")
    assert path_to_uri(path).isascii()
    assert path_from_uri(path_to_uri(path)) == path


def test_another_uri_is_refused() -> None:
    """A URI of another scheme raises ValueError."""
    with pytest.raises(ValueError, match=r"^'https://example.org/x' is not a file URI$"):
        path_from_uri("https://example.org/x")
