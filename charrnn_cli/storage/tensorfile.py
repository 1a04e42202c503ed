"""The one file format: safetensors with a verified JSON header.

    8 bytes          length of the header, little-endian
    header           JSON: tensors with dtype, shape and offsets; `__metadata__` with one key, `charrnn`
    data             the tensors' bytes, without gaps

`charrnn` holds sorted JSON. In it `tensors_sha256` covers every tensor's name, dtype, shape and bytes, and
`header_sha256` the raw bytes before the data, this field's 64 digits zeroed. The digests notice accidents;
they are no signature.
"""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from charrnn_cli.errors import FileFormatError, NotFoundError, StorageError
from charrnn_cli.storage.atomic import publish
from charrnn_cli.storage.digest import BackgroundDigest
from charrnn_cli.version import __version__

FORMAT = 1
METADATA_KEY = "charrnn"
MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 4096
MAX_DIMS = 4
MAX_ELEMENTS = 1 << 44
CHUNK_BYTES = 1 << 20

ITEM_BYTES = {"F32": 4, "U8": 1, "U16": 2, "U32": 4, "U64": 8}
_DIGEST_FIELD = b'\\"header_sha256\\":\\"'  # as it stands in JSON within JSON
_NO_DIGEST = "0" * 64


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


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a FIFO or device is refused without waiting for it."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise NotFoundError(f"no file named {path}", hint="check the spelling") from error
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileFormatError(f"{path} is not a regular file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield file


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
        digest.update(_describe(name, spec))
        tensors[name] = _read_exactly(file, spec.num_bytes, path)
        digest.update(tensors[name])
    _check_digest(digest.hexdigest(), header, path)
    return tensors


def verify_tensors(file: BinaryIO, header: Header, path: Path) -> None:
    """Check the tensors' digest in one pass of flat memory; the file stands at the end of its header."""
    digest = hashlib.sha256()
    for name, spec in header.tensors.items():
        digest.update(_describe(name, spec))
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
                f"{path} is a PyTorch or pickle file", hint="charrnn never loads those: they can run any code"
            )
        raise FileFormatError(
            f"{path} is not a charrnn file, or is cut off", hint="those come from `charrnn encode` and `charrnn train`"
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
    if type(digest) is not str or len(digest) != 64 or raw.count(_DIGEST_FIELD) != 1:
        raise ValueError("it has no digest")
    start = raw.index(_DIGEST_FIELD) + len(_DIGEST_FIELD)
    zeroed = raw[:start] + _NO_DIGEST.encode() + raw[start + 64 :]
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
        spec = TensorSpec(entry["dtype"], shape, start, start + ITEM_BYTES[entry["dtype"]] * prod(shape))
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

    parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=without_duplicates, parse_constant=refuse)
    if b"\\ud" in raw.lower():
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")  # raises where a surrogate has no partner
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


def _describe(name: str, spec: TensorSpec) -> bytes:
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


class TensorWriter:
    """Takes the tensors' bytes in the header's order, in pieces of any size."""

    def __init__(self, file: BinaryIO, specs: Mapping[str, TensorSpec]) -> None:
        self.order = list(specs)
        self._file = file
        self._expected = [(name, spec, spec.num_bytes) for name, spec in specs.items()]
        self._remaining = 0
        self._digest = BackgroundDigest()

    def write(self, data: bytes | memoryview) -> None:
        """Append to the current tensor; a piece never spans two."""
        if not len(data):
            return
        while not self._remaining:  # an empty tensor takes no piece
            name, spec, self._remaining = self._expected.pop(0)
            self._digest.update(_describe(name, spec))
        self._remaining -= len(data)
        if self._remaining < 0:
            raise ValueError("more bytes than the tensor's shape says")
        self._digest.update(data)
        self._file.write(data)

    def hexdigest(self) -> str:
        for name, spec, num_bytes in self._expected:
            if num_bytes:
                raise ValueError(f"tensor {name!r} was not written")
            self._digest.update(_describe(name, spec))
        if self._remaining:
            raise ValueError("fewer bytes than the tensor's shape says")
        return self._digest.hexdigest()


def tensors_digest(specs: Mapping[str, TensorSpec], pieces: Mapping[str, bytes]) -> str:
    """What `tensors_sha256` would be in a file of these tensors."""
    digest = hashlib.sha256()
    for name, spec in _ordered(specs).items():
        digest.update(_describe(name, spec))
        digest.update(pieces[name])
    return digest.hexdigest()


def _ordered(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """Tensors as they stand in a file: wide items first, so that each is aligned, then by name."""
    return dict(sorted(specs.items(), key=lambda item: (-ITEM_BYTES[item[1].dtype], item[0])))


@contextlib.contextmanager
def write_tensors(
    path: Path,
    kind: str,
    specs: Mapping[str, TensorSpec],
    metadata: Mapping[str, Any],
    *,
    replace: bool = False,
) -> Iterator[TensorWriter]:
    """Publish a file; the block writes the tensors in the writer's `order`.

    Raises AlreadyPublishedError, StorageError.
    """
    specs = _ordered(specs)
    fields = {"format": FORMAT, "kind": kind, "version": __version__, **metadata}
    placeholder = _encode_header(specs, fields, _NO_DIGEST)
    num_bytes = len(placeholder) + sum(spec.num_bytes for spec in specs.values())
    with publish(path, num_bytes=num_bytes, replace=replace) as file:
        file.write(placeholder)
        writer = TensorWriter(file, specs)
        yield writer
        file.seek(0)
        file.write(_sign(_encode_header(specs, fields, writer.hexdigest())))


def _encode_header(specs: Mapping[str, TensorSpec], fields: Mapping[str, Any], tensors_sha256: str) -> bytes:
    inner = {**fields, "tensors_sha256": tensors_sha256, "header_sha256": _NO_DIGEST}
    text = json.dumps(inner, sort_keys=True, separators=(",", ":"), allow_nan=False)
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: text}}
    start = 0
    for name, spec in specs.items():
        offsets = [start, start + spec.num_bytes]
        header[name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": offsets}
        start = offsets[1]
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _sign(header: bytes) -> bytes:
    start = header.index(_DIGEST_FIELD) + len(_DIGEST_FIELD)
    return header[:start] + hashlib.sha256(header).hexdigest().encode() + header[start + 64 :]
