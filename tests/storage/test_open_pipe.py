"""Opening pipes without waiting for a writer."""

import os
from pathlib import Path

import pytest

from charrnn_cli.errors import StorageError
from charrnn_cli.storage.opening import open_pipe


def test_a_named_pipe_opens_at_once(tmp_path: Path) -> None:
    """A named pipe opens before its writer comes, and then gives what is written."""
    os.mkfifo(tmp_path / "pipe")
    with open_pipe(tmp_path / "pipe", None) as descriptor:
        (tmp_path / "pipe").write_text("abc")
        assert os.read(descriptor, 9) == b"abc"
        assert os.read(descriptor, 9) == b""


def test_an_open_pipe_has_a_second_descriptor() -> None:
    """A pipe that is open already is read through a descriptor of its own."""
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.close(writer)
    with open_pipe(Path(f"/dev/fd/{reader}"), reader) as descriptor:
        assert descriptor != reader
        assert os.read(descriptor, 9) == b"abc"
    os.close(reader)


def test_a_pipe_that_cannot_be_opened(tmp_path: Path) -> None:
    """A missing pipe is an error that names it."""
    with (
        pytest.raises(StorageError, match=r"^cannot open .*gone: No such file or directory$"),
        open_pipe(tmp_path / "gone", None),
    ):
        pass
