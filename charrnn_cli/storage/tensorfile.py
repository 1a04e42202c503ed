"""The file format and how to read it: safetensors with a verified JSON header.

    8 bytes          length of the header, little-endian
    header           JSON: dtype, shape and offsets of each tensor; and `__metadata__`, an object
                     with the key `charrnn`
    data             the tensors' bytes, without gaps

The value of `charrnn` is sorted JSON. Its `tensors_sha256` covers the name, dtype, shape and bytes
of every tensor. Its `header_sha256` covers the raw bytes before the data, with the 64 digits of
`header_sha256` set to 0. The digests detect accidental damage; they are not signatures. The other
keys are documented in `model/checkpoint.py` and, for encoded texts, in `text/corpus.py`.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from charrnn_cli.errors import FileFormatError, StorageError
from charrnn_cli.storage.opening import CHUNK_BYTES, open_regular

FORMAT = 1
METADATA_KEY = "charrnn"
MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 4096
MAX_DIMS = 4
MAX_ELEMENTS = 1 << 44

ITEM_BYTES = {"F32": 4, "U8": 1, "U16": 2, "U32": 4, "U64": 8}
DIGEST_FIELD = b'\\"header_sha256\\":\\"'  # in a JSON string that holds JSON
NO_DIGEST = "0" * 64
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
    """A verified header of a file; `metadata` is the JSON object under `charrnn`."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorSpec]
    """In the order of the data."""
    file_bytes: int

    @property
    def kind(self) -> str:
        return str(self.metadata["kind"])

    @property
    def tensors_sha256(self) -> str:
        return str(self.metadata["tensors_sha256"])

    def check_kind(self, kind: str, path: Path) -> None:
        """Raise FileFormatError if the file at `path` is of another kind."""
        if self.kind != kind:
            raise FileFormatError(f"{path} is a charrnn {self.kind} file, not a {kind} file")


def read_header(path: Path) -> Header:
    """Read and check only the header.

    Raises FileFormatError if the header is damaged or the file is not a charrnn file,
    NotFoundError, StorageError.
    """
    with open_regular(path) as file:
        return read_open_header(file, path)


def read_tensors(path: Path) -> tuple[Header, dict[str, bytes]]:
    """Read and verify the header and all tensors, in memory: for models, not for texts.

    Raises FileFormatError, NotFoundError, StorageError.
    """
    with open_regular(path) as file:
        header = read_open_header(file, path)
        return header, read_verified(file, header, path)


def read_verified(file: BinaryIO, header: Header, path: Path) -> dict[str, bytes]:
    """Read the tensors of an open file that is positioned at the end of its header.

    Raises FileFormatError if their digest does not match, StorageError.
    """
    digest = hashlib.sha256()
    tensors: dict[str, bytes] = {}
    for name, spec in header.tensors.items():
        digest.update(describe_tensor(name, spec))
        tensors[name] = _read_exactly(file, spec.num_bytes, path)
        digest.update(tensors[name])
    _check_digest(digest.hexdigest(), header, path)
    return tensors


def verify_tensors(file: BinaryIO, header: Header, path: Path) -> None:
    """Check the tensors' digest like `read_verified`, in constant memory.

    Raises FileFormatError if it does not match, StorageError.
    """
    digest = hashlib.sha256()
    for name, spec in header.tensors.items():
        digest.update(describe_tensor(name, spec))
        remaining = spec.num_bytes
        while remaining:
            piece = _read_exactly(file, min(CHUNK_BYTES, remaining), path)
            digest.update(piece)
            remaining -= len(piece)
    _check_digest(digest.hexdigest(), header, path)


def describe_tensor(name: str, spec: TensorSpec) -> bytes:
    """Return the bytes that represent a tensor's name, dtype and shape in `tensors_sha256`."""
    return json.dumps([name, spec.dtype, spec.shape], separators=(",", ":")).encode() + b"\n"


def read_open_header(file: BinaryIO, path: Path) -> Header:
    """Read the header of an open file, and leave the file positioned at the first tensor.

    Raises FileFormatError, StorageError.
    """
    file_bytes = os.fstat(file.fileno()).st_size
    raw = _read_raw_header(file, file_bytes, path)
    try:
        outer = _parse_object(raw[LENGTH_BYTES:])
        text = _only_value(_object(outer.pop("__metadata__", None)), METADATA_KEY)
        metadata = _parse_object(text.encode())
        _check_header_digest(raw, metadata)
        if metadata["format"] != FORMAT:
            raise FileFormatError(
                f"{path} was written by charrnn {metadata.get('version', '?')} "
                f"(format {metadata['format']}); this version reads format {FORMAT}",
                hint="upgrade charrnn",
            )
        if type(metadata["kind"]) is not str or type(metadata["tensors_sha256"]) is not str:
            raise ValueError("kind and digest must be strings")
        tensors = _tensor_table(outer, len(raw), file_bytes)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} is damaged, or is not a charrnn file: {error}") from error
    return Header(metadata=metadata, tensors=tensors, file_bytes=file_bytes)


def _read_raw_header(file: BinaryIO, file_bytes: int, path: Path) -> bytes:
    """Read the length and the header that follows it."""
    prefix = _read_exactly(file, min(LENGTH_BYTES, file_bytes), path)
    length = int.from_bytes(prefix, "little")
    if 2 <= length <= MAX_HEADER_BYTES and LENGTH_BYTES + length <= file_bytes:
        return prefix + _read_exactly(file, length, path)
    if prefix.startswith((b"PK\x03\x04", b"\x80")):
        raise FileFormatError(
            f"{path} is a PyTorch or pickle file",
            hint="use a file written by `charrnn train`; loading a pickle file can run code",
        )
    raise FileFormatError(
        f"{path} is not a charrnn file, or is truncated",
        hint="use a file written by `charrnn encode` or `charrnn train`",
    )


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
    for name, entry in sorted(raw.items(), key=lambda item: _object(item[1])["data_offsets"]):
        if set(entry) != {"dtype", "shape", "data_offsets"} or entry["dtype"] not in ITEM_BYTES:
            raise ValueError(f"tensor {name!r} has an invalid description")
        shape = _integers(entry["shape"])
        spec = TensorSpec(
            entry["dtype"], shape, start, start + ITEM_BYTES[entry["dtype"]] * prod(shape)
        )
        if len(shape) > MAX_DIMS or prod(shape) > MAX_ELEMENTS:
            raise ValueError(f"tensor {name!r} is too large")
        if _integers(entry["data_offsets"]) != (spec.start - data_start, spec.stop - data_start):
            raise ValueError(f"tensor {name!r} has unexpected offsets")
        tensors[name] = spec
        start = spec.stop
    if start != file_bytes:
        raise ValueError(f"expected {start:,} bytes, found {file_bytes:,}")
    return tensors


def _parse_object(raw: bytes) -> dict[str, Any]:
    """Parse strict JSON: no duplicate keys, no NaN, no lone surrogates. Raises ValueError."""

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        parsed = dict(pairs)
        if len(parsed) != len(pairs):
            raise ValueError("duplicate key")
        return parsed

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not valid JSON")

    parsed = json.loads(
        raw.decode("utf-8"), object_pairs_hook=without_duplicates, parse_constant=refuse
    )
    if b"\\ud" in raw.lower():
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")  # raises on a lone surrogate
    return _object(parsed)


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError("expected an object")
    return value


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
        raise FileFormatError(f"{path} is damaged: the checksum of its tensors does not match")


def _read_exactly(file: BinaryIO, count: int, path: Path) -> bytes:
    parts = []
    while count:
        try:
            part = file.read(count)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        if not part:
            raise FileFormatError(f"{path} is truncated")
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
