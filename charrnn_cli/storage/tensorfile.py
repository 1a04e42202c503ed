"""The one file format: safetensors with a verified JSON header.

    8 bytes          length of the header, little-endian
    header           JSON: tensors with dtype, shape and offsets; `__metadata__` with one key, `charrnn`
    data             the tensors' bytes, without gaps

`charrnn` holds sorted JSON. In it `tensors_sha256` covers every tensor's name, dtype, shape and bytes, and
`header_sha256` the raw bytes before the data, this field's 64 digits zeroed. The digests notice accidents;
they are no signature.
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
DIGEST_FIELD = b'\\"header_sha256\\":\\"'  # as it stands in JSON within JSON
NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's place: `start` and `stop` are offsets in the file, in bytes."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    stop: int = 0

    @property
    def num_bytes(self) -> int:
        return ITEM_BYTES[self.dtype] * prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself: `metadata` is the JSON object under `charrnn`, its digest checked."""

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


# ---- reading


def read_header(path: Path) -> Header:
    """The header alone, its digest checked; never the tensors.

    Raises FileFormatError when the file is not one of ours or is damaged, NotFoundError, StorageError.
    """
    with open_regular(path) as file:
        return read_open_header(file, path)


def read_tensors(path: Path) -> tuple[Header, dict[str, bytes]]:
    """Header and tensors, all digests checked. The whole file is held in memory: for models, not for texts."""
    with open_regular(path) as file:
        header = read_open_header(file, path)
        return header, read_verified(file, header, path)


def read_verified(file: BinaryIO, header: Header, path: Path) -> dict[str, bytes]:
    """The tensors of an open file whose header was read, their digest checked."""
    digest = hashlib.sha256()
    tensors: dict[str, bytes] = {}
    for name, spec in header.tensors.items():
        digest.update(describe_tensor(name, spec))
        tensors[name] = _read_exactly(file, spec.num_bytes, path)
        digest.update(tensors[name])
    _check_digest(digest.hexdigest(), header, path)
    return tensors


def verify_tensors(file: BinaryIO, header: Header, path: Path) -> None:
    """Check the tensors' digest in one pass of flat memory; the file stands at the end of its header."""
    digest = hashlib.sha256()
    for name, spec in header.tensors.items():
        digest.update(describe_tensor(name, spec))
        remaining = spec.num_bytes
        while remaining:
            chunk = _read_exactly(file, min(CHUNK_BYTES, remaining), path)
            digest.update(chunk)
            remaining -= len(chunk)
    _check_digest(digest.hexdigest(), header, path)


def read_open_header(file: BinaryIO, path: Path) -> Header:
    """`read_header` of an open file, which is left at the first tensor."""
    file_bytes = os.fstat(file.fileno()).st_size
    prefix = _read_exactly(file, min(8, file_bytes), path)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or not 2 <= length <= MAX_HEADER_BYTES or 8 + length > file_bytes:
        if prefix.startswith((b"PK\x03\x04", b"\x80")):
            raise FileFormatError(
                f"{path} is a PyTorch or pickle file",
                hint="charrnn never loads those: they can run any code",
            )
        raise FileFormatError(
            f"{path} is not a charrnn file, or is cut off",
            hint="those come from `charrnn encode` and `charrnn train`",
        )
    raw = _read_exactly(file, length, path)
    try:
        outer = _parse_object(raw)
        text = _only(_object(outer.pop("__metadata__", None)), METADATA_KEY)
        metadata = _parse_object(text.encode())
        _check_header_digest(prefix + raw, metadata)
        if metadata["format"] != FORMAT:
            raise FileFormatError(
                f"{path} was written by charrnn {metadata.get('version', '?')} (format {metadata['format']}); "
                f"this program reads format {FORMAT}",
                hint="upgrade charrnn",
            )
        if type(metadata["kind"]) is not str or type(metadata["tensors_sha256"]) is not str:
            raise ValueError("kind and digest must be strings")
        tensors = _tensor_table(outer, 8 + length, file_bytes)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} is damaged, or is not a charrnn file: {error}") from error
    return Header(metadata=metadata, tensors=tensors, file_bytes=file_bytes)


def _check_header_digest(raw: bytes, metadata: dict[str, Any]) -> None:
    digest = metadata["header_sha256"]
    if type(digest) is not str or len(digest) != 64 or raw.count(DIGEST_FIELD) != 1:
        raise ValueError("it has no digest")
    start = raw.index(DIGEST_FIELD) + len(DIGEST_FIELD)
    zeroed = raw[:start] + NO_DIGEST.encode() + raw[start + 64 :]
    if hashlib.sha256(zeroed).hexdigest() != digest:
        raise ValueError("the header's checksum does not match")


def _tensor_table(raw: dict[str, Any], start: int, file_bytes: int) -> dict[str, TensorSpec]:
    if len(raw) > MAX_TENSORS:
        raise ValueError("too many tensors")
    data_start = start
    tensors: dict[str, TensorSpec] = {}
    for name, entry in sorted(raw.items(), key=lambda item: _object(item[1])["data_offsets"]):
        if set(entry) != {"dtype", "shape", "data_offsets"} or entry["dtype"] not in ITEM_BYTES:
            raise ValueError(f"tensor {name!r} has an unknown description")
        shape = _integers(entry["shape"])
        spec = TensorSpec(
            entry["dtype"], shape, start, start + ITEM_BYTES[entry["dtype"]] * prod(shape)
        )
        if len(shape) > MAX_DIMS or prod(shape) > MAX_ELEMENTS:
            raise ValueError(f"tensor {name!r} is too large")
        if _integers(entry["data_offsets"]) != (spec.start - data_start, spec.stop - data_start):
            raise ValueError(f"tensor {name!r} is not where it should be")
        tensors[name] = spec
        start = spec.stop
    if start != file_bytes:
        raise ValueError(f"it should have {start:,} bytes and has {file_bytes:,}")
    return tensors


def _parse_object(raw: bytes) -> dict[str, Any]:
    """Strict JSON: no duplicate keys, no NaN, no lone surrogates."""

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        parsed = dict(pairs)
        if len(parsed) != len(pairs):
            raise ValueError("a key stands twice")
        return parsed

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    parsed = json.loads(
        raw.decode("utf-8"), object_pairs_hook=without_duplicates, parse_constant=refuse
    )
    if b"\\ud" in raw.lower():
        json.dumps(parsed, ensure_ascii=False).encode(
            "utf-8"
        )  # raises where a surrogate has no partner
    return _object(parsed)


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError("an object is missing")
    return value


def _only(metadata: dict[str, Any], key: str) -> str:
    if set(metadata) != {key} or type(metadata[key]) is not str:
        raise ValueError(f"its metadata is not the one key {key!r}")
    return str(metadata[key])


def _integers(value: Any) -> tuple[int, ...]:
    if type(value) is not list or not all(type(item) is int and item >= 0 for item in value):
        raise ValueError("a list of whole numbers is missing")
    return tuple(value)


def describe_tensor(name: str, spec: TensorSpec) -> bytes:
    return json.dumps([name, spec.dtype, spec.shape], separators=(",", ":")).encode() + b"\n"


def _check_digest(digest: str, header: Header, path: Path) -> None:
    if digest != header.tensors_sha256:
        raise FileFormatError(f"{path} is damaged: its tensors' checksum does not match")


def _read_exactly(file: BinaryIO, count: int, path: Path) -> bytes:
    parts = []
    while count:
        try:
            part = file.read(count)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        if not part:
            raise FileFormatError(f"{path} is cut off")
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


# ---- writing
