"""Writing the file format: a header with digests, then the tensors in order."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.atomic import atomic_write
from charrnn_cli.storage.digest import BackgroundDigest
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.tensorfile import (
    DIGEST_FIELD,
    FORMAT,
    ITEM_BYTES,
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    METADATA_KEY,
    NO_DIGEST,
    TensorSpec,
    describe_tensor,
)
from charrnn_cli.version import __version__


class TensorWriter:
    """Writes tensors in the order of the header, in pieces of any size."""

    def __init__(self, file: BinaryIO, specs: Mapping[str, TensorSpec]) -> None:
        self.order = list(specs)
        self._file = file
        self._expected = [(name, spec, spec.num_bytes) for name, spec in specs.items()]
        self._remaining = 0
        self._digest = BackgroundDigest()

    def write(self, data: bytes | memoryview) -> None:
        """Append to the current tensor. Raises ValueError if a piece reaches beyond its end."""
        if not len(data):
            return
        while not self._remaining:  # an empty tensor needs no data
            name, spec, self._remaining = self._expected.pop(0)
            self._digest.update(describe_tensor(name, spec))
        self._remaining -= len(data)
        if self._remaining < 0:
            raise ValueError("more bytes than the tensor's shape allows")
        self._digest.update(data)
        self._file.write(data)

    def hexdigest(self) -> str:
        """Return `tensors_sha256`. Raises ValueError if a tensor is incomplete."""
        while self._expected:
            name, spec, num_bytes = self._expected[0]
            if num_bytes:
                raise ValueError(f"tensor {name!r} was not written")
            self._digest.update(describe_tensor(name, spec))
            del self._expected[0]
        if self._remaining:
            raise ValueError("fewer bytes than the tensor's shape requires")
        return self._digest.hexdigest()


@contextlib.contextmanager
def write_tensors(
    path: Path,
    kind: str,
    specs: Mapping[str, TensorSpec],
    metadata: Mapping[str, Any],
    *,
    replace: bool = False,
    private: bool = False,
    directory: Directory | None = None,
) -> Iterator[TensorWriter]:
    """Publish a file; the `with` block writes the tensors in the writer's `order`.

    The other arguments are those of `atomic_write`.
    Raises AlreadyPublishedError, StorageError; ConfigError for a header that no reader accepts.
    """
    specs = _ordered(specs)
    header = _encode_header(specs, _fields(kind, metadata), NO_DIGEST)
    num_bytes = len(header) + sum(spec.num_bytes for spec in specs.values())
    with (
        atomic_write(
            path, num_bytes=num_bytes, replace=replace, private=private, directory=directory
        ) as file,
        write_tensors_to(file, kind, specs, metadata) as writer,
    ):
        yield writer


@contextlib.contextmanager
def write_tensors_to(
    file: BinaryIO, kind: str, specs: Mapping[str, TensorSpec], metadata: Mapping[str, Any]
) -> Iterator[TensorWriter]:
    """Write the format to an open file; the `with` block writes the tensors in `order`.

    Raises ConfigError for a header that no reader accepts.
    """
    specs, fields = _ordered(specs), _fields(kind, metadata)
    file.write(_encode_header(specs, fields, NO_DIGEST))
    writer = TensorWriter(file, specs)
    yield writer
    file.seek(0)
    file.write(sign_header(_encode_header(specs, fields, writer.hexdigest())))


def check_header(kind: str, specs: Mapping[str, TensorSpec], metadata: Mapping[str, Any]) -> None:
    """Raise ConfigError if no reader would accept a file with this header."""
    _encode_header(_ordered(specs), _fields(kind, metadata), NO_DIGEST)


def tensors_digest(specs: Mapping[str, TensorSpec], pieces: Mapping[str, bytes]) -> str:
    """Return the `tensors_sha256` of a file that holds these tensors."""
    digest = hashlib.sha256()
    for name, spec in _ordered(specs).items():
        digest.update(describe_tensor(name, spec))
        digest.update(pieces[name])
    return digest.hexdigest()


def sign_header(header: bytes) -> bytes:
    """Replace the zeros in an encoded header's `header_sha256` with its digest."""
    start = header.index(DIGEST_FIELD) + len(DIGEST_FIELD)
    return header[:start] + hashlib.sha256(header).hexdigest().encode() + header[start + 64 :]


def _fields(kind: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "kind": kind, "version": __version__, **metadata}


def _ordered(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """Sort tensors as in a file: wide items first, so that each is aligned, then by name."""
    return dict(sorted(specs.items(), key=lambda item: (-ITEM_BYTES[item[1].dtype], item[0])))


def _check_unicode(fields: Mapping[str, Any]) -> None:
    """Raise ConfigError for half of a surrogate pair, which is not valid in a file."""
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        found = error.object[error.start]
        raise ConfigError(f"{found!r} is not a valid character", hint="leave it out") from error


def _encode_header(
    specs: Mapping[str, TensorSpec], fields: Mapping[str, Any], tensors_sha256: str
) -> bytes:
    inner = {**fields, "tensors_sha256": tensors_sha256, "header_sha256": NO_DIGEST}
    text = json.dumps(inner, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if "\\ud" in text:
        _check_unicode(inner)
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: text}}
    start = 0
    for name, spec in specs.items():
        offsets = [start, start + spec.num_bytes]
        header[name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": offsets}
        start = offsets[1]
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    if len(raw) > MAX_HEADER_BYTES:
        raise ConfigError(
            f"the facts about this text and model take {len(raw):,} bytes; "
            f"a file has room for {MAX_HEADER_BYTES:,}",
            hint="name a directory instead of its files",
        )
    return len(raw).to_bytes(LENGTH_BYTES, "little") + raw
