"""The file format: what it promises to readers, and what it refuses."""

import io
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from charrnn_cli.errors import AlreadyPublishedError, FileFormatError, NotFoundError, StorageError
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import (
    TensorSpec,
    read_header,
    read_open_header,
    read_tensors,
    read_verified,
)

SPECS = {
    "bytes": TensorSpec("U8", (3,)),
    "matrix": TensorSpec("F32", (2, 2)),
    "empty": TensorSpec("U16", (0,)),
    "wide": TensorSpec("U64", (1,)),
}
PIECES = {
    "bytes": b"abc",
    "matrix": np.arange(4, dtype="<f4").tobytes(),
    "empty": b"",
    "wide": (2**40).to_bytes(8, "little"),
}


def write(path: Path, *, replace: bool = False, **metadata: object) -> Path:
    with write_tensors(path, "test", SPECS, metadata, replace=replace) as tensors:
        for name in tensors.order:
            if PIECES[name]:
                tensors.write(PIECES[name])
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x", answer=42, word="é")
    header, tensors = read_tensors(path)
    assert (header.kind, header.metadata["answer"], header.metadata["word"]) == ("test", 42, "é")
    assert tensors == PIECES
    assert {name: (spec.dtype, spec.shape) for name, spec in header.tensors.items()} == {
        name: (spec.dtype, spec.shape) for name, spec in SPECS.items()
    }


def test_any_safetensors_reader_opens_it(tmp_path: Path) -> None:
    """And finds one metadata key that holds sorted JSON; every tensor is aligned to its items."""
    path = write(tmp_path / "x.safetensors", b=1, a=2)
    loaded = load_file(path)
    assert loaded["matrix"].tolist() == [[0, 1], [2, 3]]
    assert loaded["wide"].tolist() == [2**40]
    with safe_open(path, "numpy") as file:
        assert set(file.metadata()) == {"charrnn"}
        text = file.metadata()["charrnn"]
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    for spec in read_header(path).tensors.values():
        assert spec.start % {"F32": 4, "U64": 8, "U16": 2, "U8": 1}[spec.dtype] == 0


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    """Byte for byte: nothing in it depends on the time or on the order of a dict."""
    assert (
        write(tmp_path / "x", a=1, b=2).read_bytes() == write(tmp_path / "y", b=2, a=1).read_bytes()
    )


@pytest.mark.parametrize("padding", range(130))
def test_any_header_length_is_read(tmp_path: Path, padding: int) -> None:
    """Also one whose first byte is a pickle's."""
    assert read_header(write(tmp_path / "x", note="n" * padding)).metadata["note"] == "n" * padding


def test_an_existing_file_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "x", note=1)
    before = path.read_bytes()
    with pytest.raises(AlreadyPublishedError):
        write(path, note=2)
    assert path.read_bytes() == before
    write(path, replace=True, note=2)
    assert read_header(path).metadata["note"] == 2


@pytest.mark.parametrize("count", [2, 4])
def test_a_wrong_number_of_bytes_publishes_nothing(tmp_path: Path, count: int) -> None:
    def attempt() -> None:
        with write_tensors(tmp_path / "x", "test", {"t": TensorSpec("U8", (3,))}, {}) as tensors:
            tensors.write(b"a" * count)

    with pytest.raises(ValueError, match="bytes"):
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_not_one_of_ours(tmp_path: Path) -> None:
    """Text, emptiness, other safetensors files, pickles and archives are told apart from damage, without a crash."""
    path = tmp_path / "x.safetensors"
    for content in (b"", b"abc", b"<html>not here</html>", b"\0" * 100, b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(FileFormatError):
            read_header(path)
    for content in (
        b"PK\x03\x04" + b"\0" * 50,
        b"\x80\x02}q\0." + b"\xff" * 50,
        b"\x80\x04\x95\x10" + b"\0\0\0\x7f" * 9,
    ):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="pickle") as caught:
            read_header(path)
        assert "never loads" in str(caught.value.hint)
    save_file({"a": np.zeros(3, np.float32)}, path)
    with pytest.raises(FileFormatError):
        read_header(path)
    save_file({"a": np.zeros(3, np.float32)}, path, {"charrnn": "{}"})
    with pytest.raises(FileFormatError):
        read_header(path)


def test_only_regular_files(tmp_path: Path) -> None:
    """A FIFO, a directory, a device and a socket are refused at once; a missing file is named."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    address = tmp_path / "socket"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(address))
    for path in (fifo, tmp_path, Path("/dev/zero"), address):
        with pytest.raises((FileFormatError, StorageError), match=path.name):
            read_header(path)
    server.close()
    with pytest.raises(NotFoundError, match="no file named"):
        read_header(tmp_path / "missing")


def forge(
    path: Path, tensors: Callable[[dict[str, Any]], None] | None = None, **changes: object
) -> None:
    """Rewrite a header with a correct digest, as a program of ours gone wrong would."""
    from charrnn_cli.storage.tensor_writer import sign_header

    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    inner = {**json.loads(header["__metadata__"]["charrnn"]), **changes, "header_sha256": "0" * 64}
    header["__metadata__"]["charrnn"] = json.dumps(inner, sort_keys=True, separators=(",", ":"))
    if tensors is not None:
        tensors(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(sign_header(len(text).to_bytes(8, "little") + text) + raw[8 + length :])


def test_a_later_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = write(tmp_path / "x")
    forge(path, format=2, version="3.1")
    with pytest.raises(FileFormatError, match=r"charrnn 3.1 \(format 2\)") as caught:
        read_header(path)
    assert caught.value.hint == "upgrade charrnn"


@pytest.mark.parametrize(
    "changes", [{"kind": 3}, {"tensors_sha256": None}, {"format": "1"}], ids=str
)
def test_mistyped_fields(tmp_path: Path, changes: dict[str, object]) -> None:
    path = write(tmp_path / "x")
    forge(path, None, **changes)
    with pytest.raises(FileFormatError):
        read_header(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F64"},
        {"dtype": 3},
        {"shape": 3},
        {"shape": [3.0]},
        {"shape": [-3]},
        {"shape": [True]},
        {"shape": [1, 1, 1, 1, 3]},
        {"shape": [2**50, 2**50]},
        {"data_offsets": [0, 2]},
        {"data_offsets": [5, 8]},
        {"data_offsets": None},
        {"extra": 1},
    ],
    ids=str,
)
def test_impossible_tensors(tmp_path: Path, entry: dict[str, object]) -> None:
    """Types, shapes and places that no writer of ours makes, under a correct digest."""
    path = write(tmp_path / "x")
    forge(path, lambda header: header["bytes"].update(entry))
    with pytest.raises(FileFormatError, match="damaged"):
        read_header(path)


def test_too_many_tensors(tmp_path: Path) -> None:
    path = write(tmp_path / "x")
    empty = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    forge(path, lambda header: header.update({f"t{number}": empty for number in range(5000)}))
    with pytest.raises(FileFormatError, match="too many"):
        read_header(path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    """Or whose disk fails, is an error of one of the two kinds, never a crash."""
    path = write(tmp_path / "x")

    class FailingDisk(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with open_regular(path) as file:
        header = read_open_header(file, path)
        with (
            FailingDisk(path) as failing,
            pytest.raises(StorageError, match=r"cannot read .*Input/output error"),
        ):
            read_verified(failing, header, path)
        os.truncate(path, path.stat().st_size - 2)
        with pytest.raises(FileFormatError, match="truncated"):
            read_verified(file, header, path)


def test_a_tensor_that_was_forgotten_publishes_nothing(tmp_path: Path) -> None:
    def attempt() -> None:
        with write_tensors(tmp_path / "x", "test", {"t": TensorSpec("U8", (3,))}, {}):
            pass

    with pytest.raises(ValueError, match="'t' was not written"):
        attempt()
    with write_tensors(tmp_path / "empty", "test", {"t": TensorSpec("U8", (0,))}, {}):
        pass
    assert read_tensors(tmp_path / "empty")[1] == {"t": b""}
