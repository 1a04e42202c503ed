"""The file format: what readers can rely on, and what is refused."""

import io
import json
import os
import pickle
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from charrnn_cli.errors import (
    AlreadyPublishedError,
    ConfigError,
    DamagedFileError,
    FileFormatError,
    ForeignFileError,
    NotFoundError,
    StorageError,
)
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.tensor_writer import tensors_digest, write_tensors
from charrnn_cli.storage.tensorfile import (
    MAX_ELEMENTS,
    MAX_HEADER_BYTES,
    Header,
    TensorSpec,
    read_header,
    read_open_header,
    read_verified,
    verify_tensors,
)
from tests.helpers import forge

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
            tensors.write(PIECES[name])
    return path


def read_all(path: Path) -> tuple[Header, dict[str, bytes]]:
    with path.open("rb") as file:
        header = read_open_header(file, path)
        return header, read_verified(file, header, path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Metadata, tensors and their shapes survive a round trip."""
    path = write(tmp_path / "x", answer=42, word="é")
    header, tensors = read_all(path)
    assert header.tensors_sha256 == tensors_digest(SPECS, PIECES)
    assert (header.kind, header.metadata["answer"], header.metadata["word"]) == ("test", 42, "é")
    assert tensors == PIECES
    assert {name: (spec.dtype, spec.shape) for name, spec in header.tensors.items()} == {
        name: (spec.dtype, spec.shape) for name, spec in SPECS.items()
    }


def test_any_safetensors_reader_opens_it(tmp_path: Path) -> None:
    """The safetensors library reads the tensors, which are aligned, and one key of sorted JSON."""
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
    """Files are equal byte for byte, whatever the time and the order of a dict."""
    assert (
        write(tmp_path / "x", a=1, b=2).read_bytes() == write(tmp_path / "y", b=2, a=1).read_bytes()
    )


def test_any_header_length_is_read(tmp_path: Path) -> None:
    """Every length is read, also one whose first byte is that of a pickle."""
    first_bytes = set()
    for padding in range(260):
        path = write(tmp_path / "x", replace=True, note="n" * padding)
        assert read_header(path).metadata["note"] == "n" * padding
        first_bytes.add(path.read_bytes()[0])
    assert first_bytes == set(range(0, 256, 8))  # headers are aligned
    assert pickle.dumps(None)[0] in first_bytes


def test_an_existing_file_stays(tmp_path: Path) -> None:
    """A file is overwritten only with `replace`."""
    path = write(tmp_path / "x", note=1)
    before = path.read_bytes()
    with pytest.raises(AlreadyPublishedError) as caught:
        write(path, note=2)
    assert caught.value.message == f"{path} already exists"
    assert caught.value.hint == "choose another file name, or move the existing file"
    assert path.read_bytes() == before
    write(path, replace=True, note=2)
    assert read_header(path).metadata["note"] == 2


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (2, "fewer bytes than the tensor's shape requires"),
        (4, "more bytes than the tensor's shape allows"),
    ],
)
def test_a_wrong_number_of_bytes_publishes_nothing(
    tmp_path: Path, count: int, message: str
) -> None:
    """Too few or too many bytes for a tensor leave no file."""

    def attempt() -> None:
        with write_tensors(tmp_path / "x", "test", {"t": TensorSpec("U8", (3,))}, {}) as tensors:
            tensors.write(b"a" * count)

    with pytest.raises(ValueError, match=message):
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_not_one_of_ours(tmp_path: Path) -> None:
    """Text, empty files, pickles, archives and other safetensors files are refused by name."""
    path = tmp_path / "x.safetensors"
    for content in (b"abc", b"<html>the charrnn page</html>", b"\xff" * 100, b"\x09" + b"\0" * 7):
        path.write_bytes(content)
        with pytest.raises(FileFormatError) as caught:
            read_header(path)
        assert type(caught.value) is ForeignFileError
        assert caught.value.message == f"{path} is not a charrnn file"
        assert caught.value.hint == "use a file written by `charrnn encode` or `charrnn train`"
    for content in (
        b"PK\x03\x04" + b"\0" * 50,
        b"\x80\x02}q\0." + b"\xff" * 50,
        b"\x80\x04\x95\x10" + b"\0\0\0\x7f" * 9,
    ):
        path.write_bytes(content)
        with pytest.raises(FileFormatError) as caught:
            read_header(path)
        assert caught.value.message == f"{path} is a PyTorch or pickle file"
        assert caught.value.hint == (
            "use a file written by `charrnn train`; loading a pickle file can run code"
        )
    for metadata, problem in (
        (None, "not a charrnn file"),
        ({"other": ""}, "not a charrnn file"),
        ({"charrnn": "{}"}, "damaged: 'format'"),
    ):
        save_file({"a": np.zeros(3, np.float32)}, path, metadata)
        with pytest.raises(FileFormatError) as caught:
            read_header(path)
        assert caught.value.message == f"{path} is {problem}"


@pytest.mark.parametrize("size", [0, 4096])
def test_what_a_crash_leaves_of_a_file_is_damage(tmp_path: Path, size: int) -> None:
    """An empty file, zeros, and any beginning of one of our files are damage, not another kind."""
    path = tmp_path / "x"
    like_a_pickle = next(
        note
        for note in ("n" * length for length in range(256))
        if write(path, replace=True, note=note).read_bytes()[0] == pickle.dumps(None)[0]
    )
    for note in ("", like_a_pickle):
        whole = write(path, replace=True, note=note).read_bytes()
        for content in (bytes(size), *(whole[:cut] for cut in range(9, len(whole)))):
            path.write_bytes(content)
            with pytest.raises(DamagedFileError):
                read_header(path)


def test_only_regular_files(tmp_path: Path) -> None:
    """A FIFO, a directory, a device and a socket are refused at once, and a missing file too."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    address = tmp_path / "socket"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(address))
    for path in (fifo, tmp_path, Path("/dev/zero"), address):
        with pytest.raises((FileFormatError, StorageError), match=path.name):
            read_header(path)
    server.close()
    with pytest.raises(NotFoundError) as caught:
        read_header(tmp_path / "missing")
    assert caught.value.message == f"no file named {tmp_path / 'missing'}"
    assert caught.value.hint == "check the spelling"


def test_a_later_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    """A file of format 2 is refused, with the version that wrote it."""
    path = write(tmp_path / "x")
    forge(path, format=2, version="3.1")
    with pytest.raises(FileFormatError) as caught:
        read_header(path)
    assert caught.value.message == (
        f"{path} was written by charrnn 3.1 (format 2); this version reads format 1"
    )
    assert caught.value.hint == "upgrade charrnn"


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes of a header with others of the same length, without a new digest."""
    raw = path.read_bytes()
    assert raw.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(raw.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b'"dtype":"U64"', b'"shape":"U64"', "duplicate key"),
        (b'"dtype":"U64"', b'"dtype":NaN  ', "NaN is not valid JSON"),
        (b"note", b"nose", "the checksum of its header does not match"),
        (b"header_sha256", b"header_sha257", "'header_sha256'"),
    ],
    ids=str,
)
def test_damaged_headers(tmp_path: Path, old: bytes, new: bytes, problem: str) -> None:
    """The error for a damaged header says what is wrong with it."""
    path = write(tmp_path / "x", note=1)
    rewrite(path, old, new)
    with pytest.raises(FileFormatError) as caught:
        read_header(path)
    assert caught.value.message == f"{path} is damaged: {problem}"


@pytest.mark.parametrize("digest", [None, "0", "0" * 64], ids=str)
def test_headers_without_their_digest(tmp_path: Path, digest: str | None) -> None:
    """A digest of another type or length, or with a second occurrence, is refused."""
    path = write(tmp_path / "x")
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["charrnn"])
    if digest == "0" * 64:
        inner["more"] = {"header_sha256": digest}
    else:
        inner["header_sha256"] = digest
    header["__metadata__"]["charrnn"] = json.dumps(inner, separators=(",", ":"))
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    with pytest.raises(FileFormatError) as caught:
        read_header(path)
    assert caught.value.message == (f"{path} is damaged: its header has no digest")


def test_a_lone_surrogate_is_refused(tmp_path: Path) -> None:
    """Text that is not valid Unicode is refused, in spite of a correct digest."""
    path = write(tmp_path / "x")
    forge(path, None, note="\ud800")
    with pytest.raises(FileFormatError, match="surrogates not allowed"):
        read_header(path)
    forge(path, None, note="\U0001f600")
    assert read_header(path).metadata["note"] == "\U0001f600"


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    """A byte after the last tensor is an error that names both lengths."""
    path = write(tmp_path / "x")
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(FileFormatError) as caught:
        read_header(path)
    assert caught.value.message == (f"{path} is damaged: expected {size} bytes, found {size + 1}")


def test_a_damaged_tensor_is_refused(tmp_path: Path) -> None:
    """A changed byte in a tensor is noticed when the tensors are read, or only verified."""
    path = write(tmp_path / "x")
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + b"X")
    message = f"{path} is damaged: the checksum of its tensors does not match"
    with pytest.raises(FileFormatError) as caught:
        read_all(path)
    assert caught.value.message == message
    with open_regular(path) as file:
        header = read_open_header(file, path)
        with pytest.raises(FileFormatError) as caught:
            verify_tensors(file, header, path)
    assert caught.value.message == message


DAMAGED = "{} is damaged: kind, version and digest must be strings"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": 3}, DAMAGED),
        ({"tensors_sha256": None}, DAMAGED),
        (
            {"format": 2, "version": "9.0"},
            "{} was written by charrnn 9.0 (format 2); this version reads format 1",
        ),
        ({"format": "1"}, "{} is damaged: its format is '1'"),
        ({"format": 0}, "{} is damaged: its format is 0"),
        ({"format": True}, "{} is damaged: its format is True"),
    ],
    ids=["kind", "tensors_sha256", "newer", "text", "older", "bool"],
)
def test_mistyped_fields(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """A header with a field of the wrong type is refused, in spite of a correct digest."""
    path = write(tmp_path / "x")
    forge(path, None, **changes)
    with pytest.raises(FileFormatError) as caught:
        read_header(path)
    assert caught.value.message == message.format(path)


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
    """Invalid types, shapes and offsets are refused, in spite of a correct digest."""
    path = write(tmp_path / "x")
    forge(path, lambda header: header["bytes"].update(entry))
    with pytest.raises(FileFormatError, match="damaged"):
        read_header(path)


def test_too_many_tensors(tmp_path: Path) -> None:
    """A header that describes thousands of tensors is refused."""
    path = write(tmp_path / "x")
    empty = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    forge(path, lambda header: header.update({f"t{number}": empty for number in range(5000)}))
    with pytest.raises(FileFormatError, match="too many"):
        read_header(path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    """A file that is cut off while open, or whose disk fails, is an error that names it."""
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
    """A tensor that was not written leaves no file, unless it has no elements."""

    def attempt() -> None:
        with write_tensors(tmp_path / "x", "test", {"t": TensorSpec("U8", (3,))}, {}):
            pass

    with pytest.raises(ValueError, match="'t' was not written"):
        attempt()
    with write_tensors(tmp_path / "empty", "test", {"t": TensorSpec("U8", (0,))}, {}):
        pass
    assert read_all(tmp_path / "empty")[1] == {"t": b""}


def test_a_header_that_is_too_long(tmp_path: Path) -> None:
    """A header of more than 4 MiB is refused, whether it is to be read or to be written."""
    path = write(tmp_path / "x", note="")
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    padding = b" " * (MAX_HEADER_BYTES - length + 8)
    path.write_bytes(
        (length + len(padding)).to_bytes(8, "little") + raw[8 : 8 + length] + padding + raw[8:]
    )
    with pytest.raises(DamagedFileError, match="truncated"):
        read_header(path)
    with pytest.raises(ConfigError, match="a file has room for 4,194,304"):
        write(tmp_path / "y", note="n" * MAX_HEADER_BYTES)
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(
    "shape", [[MAX_ELEMENTS + 1], [1 << 23, 1 << 22], [1] * 5, [2**63] * 4, [9] * 10_000]
)
def test_a_tensor_that_is_too_large(tmp_path: Path, shape: list[int]) -> None:
    """A tensor of too many elements or dimensions is refused, before its size is multiplied."""
    path = write(tmp_path / "x")

    def enlarge(header: dict[str, Any]) -> None:
        header["bytes"]["shape"] = shape

    forge(path, enlarge)
    with pytest.raises(DamagedFileError, match="tensor 'bytes' is too large"):
        read_header(path)
