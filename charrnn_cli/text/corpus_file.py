"""The file format of encoded texts.

The tensors of an encoded text: `ids` (N), U8, U16 or U32; `vocabulary` (V), U32, the code point of
each id; `counts` (V), U64, the number of occurrences of each id; and, if there is more than one
document, `documents` (D), U64, the offset of each document's first character. If documents have an
end symbol, it follows each document and stands before the first; `documents` then has the offset of
the end symbol before each document, which the document shares with the one that it follows.
"""

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import FileFormatError, StorageError
from charrnn_cli.storage.corpus_header import CORPUS_KIND, CorpusHeader
from charrnn_cli.storage.record import typed_header
from charrnn_cli.storage.tensorfile import ITEM_BYTES, Header, TensorSpec

# N characters of the text · V vocabulary · D documents

MAX_VOCABULARY = 0x110000  # code points
DTYPES: dict[str, np.dtype[np.unsignedinteger[Any]]] = {
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
}
_TENSOR_DTYPES = {
    "ids": tuple(DTYPES),
    "vocabulary": ("U32",),
    "counts": ("U64",),
    "documents": ("U64",),
}

Ids = npt.NDArray[np.unsignedinteger[Any]]


class OpenTensors:
    """Reads spans of one-dimensional tensors, without a shared position in the file."""

    def __init__(self, path: Path, descriptor: int, specs: Mapping[str, TensorSpec]) -> None:
        self._path, self._descriptor, self._specs = path, descriptor, specs
        self._ids_dtype = DTYPES[specs["ids"].dtype]
        weakref.finalize(self, os.close, descriptor)

    def has(self, name: str) -> bool:
        return name in self._specs

    def read_ids(self, start: int, stop: int) -> Ids:
        return np.frombuffer(self._read("ids", start, stop), self._ids_dtype)

    def read_whole(self, name: str) -> bytes:
        return self._read(name, 0, *self._specs[name].shape)

    def _read(self, name: str, start: int, stop: int) -> bytes:
        spec = self._specs[name]
        item = ITEM_BYTES[spec.dtype]
        count = (stop - start) * item
        try:
            data = os.pread(self._descriptor, count, spec.start + start * item)
        except OSError as error:
            raise StorageError(f"cannot read {self._path}: {error.strerror}") from error
        if len(data) != count:
            raise FileFormatError(f"{self._path} was truncated while it was being read")
        return data


class IdCheck:
    """Checks the ids of a text in pieces, because an id beyond the vocabulary has no character."""

    def __init__(self, header: Header, fields: CorpusHeader, path: Path) -> None:
        self._dtype = DTYPES[header.tensors["ids"].dtype]
        self._size, self._path = header.tensors["vocabulary"].shape[0], path

    def __call__(self, name: str, piece: bytes) -> None:
        """Raise FileFormatError if a piece of the ids has one beyond the vocabulary."""
        if name == "ids" and np.frombuffer(piece, self._dtype).max() >= self._size:
            raise FileFormatError(f"{self._path} is damaged: it has ids beyond its vocabulary")


def corpus_header(header: Header, path: Path) -> CorpusHeader:
    """Return the checked header of an encoded text, and check its table of tensors."""
    if header.kind != CORPUS_KIND:
        raise FileFormatError(
            f"{path} is not an encoded text", hint="create one with `charrnn encode TEXT`"
        )
    fields, specs = typed_header(header, CorpusHeader, path), header.tensors
    is_complete = _TENSOR_DTYPES.keys() - specs.keys() <= {"documents"} and all(
        spec.dtype in _TENSOR_DTYPES.get(name, ()) and len(spec.shape) == 1
        for name, spec in specs.items()
    )
    if (
        not is_complete
        or specs["ids"].shape != (fields.characters,)
        or specs["vocabulary"].shape != specs["counts"].shape
        or specs["vocabulary"].shape > (MAX_VOCABULARY,)
        or ("documents" in specs and specs["documents"].shape > (fields.characters + 1,))
    ):
        raise FileFormatError(f"{path} is damaged: its tensors do not match its header")
    return fields


def document_starts(
    tensors: OpenTensors, fields: CorpusHeader, path: Path
) -> npt.NDArray[np.int64]:
    if not tensors.has("documents"):
        return np.zeros(1, np.int64)
    starts_D = np.frombuffer(tensors.read_whole("documents"), np.int64)
    # A huge unsigned offset reads as a negative one.
    is_ascending = bool(len(starts_D)) and starts_D[0] == 0 and bool((np.diff(starts_D) >= 0).all())
    if not is_ascending or starts_D[-1] > fields.characters:
        raise FileFormatError(f"{path} is damaged: its documents are out of order")
    return starts_D


def corpus_specs(
    ids_dtype: str, num_characters: int, vocabulary_size: int, num_documents: int
) -> dict[str, TensorSpec]:
    """Describe the tensors of an encoded text; a single document needs no `documents`."""
    specs = {
        "ids": TensorSpec(ids_dtype, (num_characters,)),
        "vocabulary": TensorSpec("U32", (vocabulary_size,)),
        "counts": TensorSpec("U64", (vocabulary_size,)),
    }
    return specs | ({"documents": TensorSpec("U64", (num_documents,))} if num_documents > 1 else {})


def ids_dtype(vocabulary_size: int) -> str:
    """Return the smallest type that holds every id."""
    return "U8" if vocabulary_size <= 1 << 8 else "U16" if vocabulary_size <= 1 << 16 else "U32"
