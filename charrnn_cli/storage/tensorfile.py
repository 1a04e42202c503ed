"""The file format and how to read it: safetensors with a verified JSON header.

    8 bytes          length of the header, little-endian
    header           JSON: dtype, shape and offsets of each tensor; and `__metadata__`, an object
                     with the key `charrnn`
    data             the tensors' bytes, without gaps

The value of `charrnn` is sorted JSON. Its `tensors_sha256` covers the name, dtype, shape and bytes
of every tensor. Its `header_sha256` covers the raw bytes before the data, with the 64 digits of
`header_sha256` set to 0. The digests detect accidental damage; they are not signatures. These
keys are in every file:

| key | type | meaning |
| --- | --- | --- |
| `format` | integer | version of the format; readers reject other versions |
| `kind` | string | `checkpoint`, `resume` or `corpus` |
| `version` | string | version of charrnn that wrote the file |
| `tensors_sha256` | string | digest of the tensors, 64 hexadecimal digits |
| `header_sha256` | string | digest of the header, 64 hexadecimal digits |

`storage/header.py` documents the others.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from charrnn_cli.errors import (
    DamagedFileError,
    FileFormatError,
    ForeignFileError,
    MemoryShortageError,
    NewerFormatError,
    StorageError,
)
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.opening import CHUNK_BYTES, open_regular
from charrnn_cli.storage.strict_json import json_object, parse_object

FORMAT = 1
METADATA_KEY = "charrnn"
MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 4096
MAX_DIMS = 4
MAX_ELEMENTS = 1 << 44

ITEM_BYTES = {"F16": 2, "F32": 4, "U8": 1, "U16": 2, "U32": 4, "U64": 8}
DIGEST_FIELD = b'\\"header_sha256\\":\\"'  # in a JSON string that holds JSON
NO_DIGEST = "0" * 64
_BEGINNING = b'{"__metadata__":{"charrnn":'  # of every header of ours
LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's type, shape and position; `start` and `stop` are byte offsets in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    stop: int = 0

    @property
    def num_bytes(self) -> int:
        return ITEM_BYTES[self.dtype] * prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """A verified header of a file."""

    metadata: dict[str, Any]
    """The JSON object under `charrnn`; `storage/header.py` turns it into checked fields."""
    tensors: dict[str, TensorSpec]
    """In the order of the data."""
    file_bytes: int

    @property
    def kind(self) -> str:
        return str(self.metadata["kind"])

    @property
    def tensors_sha256(self) -> str:
        return str(self.metadata["tensors_sha256"])

    @property
    def version(self) -> str:
        """Version of charrnn that wrote the file."""
        return str(self.metadata["version"])


def read_header(path: Path, *, follow: bool = False, directory: Directory | None = None) -> Header:
    """Read and check only the header; the arguments are those of `open_regular`.

    Raises DamagedFileError, NewerFormatError, ForeignFileError, NotFoundError, StorageError.
    """
    with open_regular(path, follow=follow, directory=directory) as file:
        return read_open_header(file, path)


def read_verified(file: BinaryIO, header: Header, path: Path) -> dict[str, bytes]:
    """Read the tensors of an open file that is positioned at the end of its header.

    Raises FileFormatError if their digest does not match, StorageError.
    """
    digest = hashlib.sha256()
    tensors: dict[str, bytes] = {}
    for name, spec in header.tensors.items():
        digest.update(describe_tensor(name, spec))
        tensors[name] = read_exactly(file, spec.num_bytes, path)
        digest.update(tensors[name])
    _check_digest(digest.hexdigest(), header, path)
    return tensors


def verify_tensors(
    file: BinaryIO,
    header: Header,
    path: Path,
    check: Callable[[str, bytes], None] = lambda _name, _piece: None,
) -> None:
    """Check the tensors' digest like `read_verified`, in constant memory.

    `check` gets each tensor's name and bytes, in pieces of whole items.
    Raises DamagedFileError if the digest does not match, StorageError.
    """
    digest = hashlib.sha256()
    for name, spec in header.tensors.items():
        digest.update(describe_tensor(name, spec))
        remaining = spec.num_bytes
        while remaining:
            piece = read_exactly(file, min(CHUNK_BYTES, remaining), path)
            digest.update(piece)
            check(name, piece)
            remaining -= len(piece)
    _check_digest(digest.hexdigest(), header, path)


def describe_tensor(name: str, spec: TensorSpec) -> bytes:
    """Return the bytes that represent a tensor's name, dtype and shape in `tensors_sha256`."""
    return json.dumps([name, spec.dtype, spec.shape], separators=(",", ":")).encode() + b"\n"


def read_open_header(file: BinaryIO, path: Path) -> Header:
    """Read the header of an open file, and leave the file positioned at the first tensor.

    Raises DamagedFileError, NewerFormatError, ForeignFileError, StorageError.
    """
    try:
        file_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
    except OSError as error:  # of a file of the system
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    raw = _read_raw_header(file, file_bytes, path)
    try:
        outer = parse_object(raw[LENGTH_BYTES:])
        text = _only_value(json_object(outer.pop("__metadata__", None)), METADATA_KEY)
        metadata = parse_object(text.encode())
        # Another format may have another digest, so this comes first.
        _check_format(metadata, path)
        _check_header_digest(raw, metadata)
        if any(type(metadata[key]) is not str for key in ("kind", "version", "tensors_sha256")):
            raise ValueError("kind, version and digest must be strings")
        tensors = _tensor_table(outer, len(raw), file_bytes)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(raw, path, str(error)) from error
    return Header(metadata=metadata, tensors=tensors, file_bytes=file_bytes)


def _read_raw_header(file: BinaryIO, file_bytes: int, path: Path) -> bytes:
    """Read the length and the header that follows it."""
    prefix = read_exactly(file, min(LENGTH_BYTES, file_bytes), path)
    length = int.from_bytes(prefix, "little")
    if 2 <= length <= MAX_HEADER_BYTES and LENGTH_BYTES + length <= file_bytes:
        return prefix + read_exactly(file, length, path)
    rest = read_exactly(file, min(file_bytes - len(prefix), MAX_HEADER_BYTES), path)
    error = _unreadable(prefix + rest, path, "it is truncated" if rest else "it is empty")
    if isinstance(error, ForeignFileError) and prefix.startswith((b"PK\x03\x04", b"\x80")):
        raise ForeignFileError(
            f"{path} is a PyTorch or pickle file",
            hint="use a file written by `charrnn train`; loading a pickle file can run code",
        )
    raise error


def _unreadable(raw: bytes, path: Path, problem: str) -> FileFormatError:
    """Tell a damaged charrnn file from another program's by what is left of its header."""
    header = raw[LENGTH_BYTES:]
    is_zeros = not raw.strip(b"\0")  # what a crash of the system leaves of a new file
    is_cut = bool(header) and _BEGINNING.startswith(header)
    if is_zeros or is_cut or _BEGINNING in header or DIGEST_FIELD in header:
        return DamagedFileError(f"{path} is damaged: {problem}")
    return ForeignFileError(
        f"{path} is not a charrnn file",
        hint="use a file written by `charrnn encode` or `charrnn train`",
    )


def _check_format(metadata: dict[str, Any], path: Path) -> None:
    found = metadata["format"]
    if type(found) is int and found > FORMAT:
        raise NewerFormatError(
            f"{path} was written by charrnn {metadata.get('version', '?')} (format {found}); "
            f"this version reads format {FORMAT}",
            hint="upgrade charrnn",
        )
    if found != FORMAT or type(found) is not int:
        raise ValueError(f"its format is {found!r}")


def _check_header_digest(raw: bytes, metadata: dict[str, Any]) -> None:
    digest = metadata["header_sha256"]
    if type(digest) is not str or len(digest) != 64 or raw.count(DIGEST_FIELD) != 1:
        raise ValueError("its header has no digest")
    start = raw.index(DIGEST_FIELD) + len(DIGEST_FIELD)
    zeroed = raw[:start] + NO_DIGEST.encode() + raw[start + 64 :]
    if hashlib.sha256(zeroed).hexdigest() != digest:
        raise ValueError("the checksum of its header does not match")


def _tensor_table(raw: dict[str, Any], start: int, file_bytes: int) -> dict[str, TensorSpec]:
    if len(raw) > MAX_TENSORS:
        raise ValueError("too many tensors")
    data_start = start
    tensors: dict[str, TensorSpec] = {}
    for name, entry in sorted(raw.items(), key=lambda item: json_object(item[1])["data_offsets"]):
        if set(entry) != {"dtype", "shape", "data_offsets"} or entry["dtype"] not in ITEM_BYTES:
            raise ValueError(f"tensor {name!r} has an invalid description")
        shape = _integers(entry["shape"])
        # Before the product, which takes a minute for a header full of dimensions.
        if len(shape) > MAX_DIMS or any(size > MAX_ELEMENTS for size in shape):
            raise ValueError(f"tensor {name!r} is too large")
        spec = TensorSpec(
            entry["dtype"], shape, start, start + ITEM_BYTES[entry["dtype"]] * prod(shape)
        )
        if prod(shape) > MAX_ELEMENTS:
            raise ValueError(f"tensor {name!r} is too large")
        if _integers(entry["data_offsets"]) != (spec.start - data_start, spec.stop - data_start):
            raise ValueError(f"tensor {name!r} has unexpected offsets")
        tensors[name] = spec
        start = spec.stop
    if start != file_bytes:
        raise ValueError(f"expected {start:,} bytes, found {file_bytes:,}")
    return tensors


def _only_value(metadata: dict[str, Any], key: str) -> str:
    if set(metadata) != {key} or type(metadata[key]) is not str:
        raise ValueError(f"expected one metadata key, {key!r}")
    return str(metadata[key])


def _integers(value: Any) -> tuple[int, ...]:
    if type(value) is not list or not all(type(item) is int and item >= 0 for item in value):
        raise ValueError("expected a list of non-negative integers")
    return tuple(value)


def _check_digest(digest: str, header: Header, path: Path) -> None:
    if digest != header.tensors_sha256:
        raise DamagedFileError(f"{path} is damaged: the checksum of its tensors does not match")


def read_exactly(file: BinaryIO, count: int, path: Path) -> bytes:
    """Read `count` bytes of an open file. Raises DamagedFileError at its end, StorageError."""
    parts = []
    while count:
        try:
            part = file.read(count)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        except MemoryError as error:
            raise MemoryShortageError(f"{path} takes {count:,} bytes of memory to read") from error
        if not part:
            raise DamagedFileError(f"{path} is damaged: it was truncated while it was being read")
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
