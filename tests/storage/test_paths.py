"""Where files are on this machine."""

from pathlib import Path

import pytest

from charrnn_cli.errors import StorageError
from charrnn_cli.storage.paths import (
    corpora_directory,
    logs_directory,
    make_directory,
    path_from_uri,
    path_to_uri,
    runs_directory,
)


def test_directories_of_a_home(home: Path) -> None:
    """`CHARRNN_HOME` holds a directory for each kind of file."""
    found = [runs_directory(), corpora_directory(), logs_directory()]
    assert found == [home / "runs", home / "corpora", home / "logs"]


def test_directories_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without `CHARRNN_HOME`, the platform's directories for data and caches are used."""
    monkeypatch.delenv("CHARRNN_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = [path.name for path in (runs_directory(), corpora_directory(), logs_directory())]
    assert names == ["runs", "corpora", "logs"]


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
