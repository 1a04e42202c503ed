"""Encoded texts, whose ids are read from a file or from memory.

The tensors of an encoded text: `ids` (N), U8, U16 or U32; `vocabulary` (V), U32, the code point of
each id; `counts` (V), U64, the number of occurrences of each id; and, if there is more than one
document, `documents` (D), U64, the offset of each document's first character. If documents have an
end symbol, it follows each document and stands before the first; `documents` then has the offset of
the end symbol before each document, which the document shares with the one that it follows.
"""

import dataclasses
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import FileFormatError, StorageError
from charrnn_cli.storage.corpus_header import CORPUS_KIND, CorpusHeader
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.record import typed_header
from charrnn_cli.storage.tensor_writer import tensors_digest
from charrnn_cli.storage.tensorfile import (
    ITEM_BYTES,
    Header,
    TensorSpec,
    read_open_header,
    verify_tensors,
)
from charrnn_cli.text.vocab import Vocab

# N characters of the text · V vocabulary · D documents

MAX_VOCABULARY = 0x110000  # code points
CHUNK_CHARACTERS = 1 << 20  # read from a corpus at a time: at most 4 MB
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
ProgressCallback = Callable[[int, int], None]
"""Called regularly with the bytes done and the total. An exception that it raises ends the work and
leaves no partial file."""


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


class Corpus:
    """An encoded text with its vocabulary; a corpus in a file is never loaded into memory whole.

    `counts_V` is the number of occurrences of each id, (V,). `read(start, stop)` returns the ids of
    a span. `header` has the facts about the text, and `sha256` is the digest of its tensors.
    `starts_D` is the offset of each document's first character or, with end symbols, of the one
    before it, (D,).
    """

    def __init__(
        self,
        vocab: Vocab,
        counts_V: npt.NDArray[np.uint64],
        read: Callable[[int, int], Ids],
        header: CorpusHeader,
        sha256: str,
        starts_D: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.vocab = vocab
        self.counts_V = counts_V
        self.header = header
        self.sha256 = sha256
        """SHA-256 of all tensors: equal for equal texts, even from different files."""
        self.starts_D = np.zeros(1, np.int64) if starts_D is None else starts_D
        self._read = read

    @classmethod
    def from_text(cls, text: str, name: str = "text") -> Self:
        """Encode a text in memory, as one document."""
        return cls._in_memory(text, CorpusHeader(name=name, characters=len(text)), (0,))

    @classmethod
    def from_items(cls, items: Iterable[str], name: str = "list") -> Self:
        """Encode the items of a list in memory, each a line; empty ones are left out."""
        return cls.from_documents([*filter(None, items)], TextOptions(documents="lines"), name)

    @classmethod
    def from_documents(cls, documents: Sequence[str], reading: TextOptions, name: str) -> Self:
        """Encode documents in memory, as they are read; none has the end symbol in it."""
        end, starts = reading.end, [0, *accumulate(len(each) + 1 for each in documents)][:-1]
        text = end + "".join(each + end for each in documents)
        header = CorpusHeader(
            name=name, characters=len(text), documents=len(starts), end=end, reading=reading
        )
        return cls._in_memory(text, header, starts)

    @classmethod
    def _in_memory(cls, text: str, header: CorpusHeader, starts: Sequence[int]) -> Self:
        vocab, starts_D = Vocab.from_text(text), np.array(starts, np.int64)
        ids_N = np.array(vocab.encode(text), dtype=DTYPES[ids_dtype(len(vocab))])
        counts_V = np.bincount(ids_N, minlength=len(vocab)).astype(np.uint64)
        specs = corpus_specs(ids_dtype(len(vocab)), len(ids_N), len(vocab), len(starts_D))
        pieces = {
            "ids": ids_N.tobytes(),
            "vocabulary": vocab.to_code_points(),
            "counts": counts_V.tobytes(),
            "documents": starts_D.tobytes(),
        }
        digest = tensors_digest(specs, {each: pieces[each] for each in specs})
        header = dataclasses.replace(header, vocabulary_size=len(vocab))
        return cls(vocab, counts_V, lambda start, stop: ids_N[start:stop], header, digest, starts_D)

    @classmethod
    def open(cls, path: Path, *, verify: bool = True, follow: bool = True) -> Self:
        """Open an encoded file, which stays open as long as the corpus exists.

        `verify` checks the tensors' digest and every id, which reads the whole file once. `follow`
        accepts a link. Raises NotFoundError, FileFormatError, StorageError.
        """
        with open_regular(path, follow=follow) as file:
            header = read_open_header(file, path)
            fields = _corpus_header(header, path)
            if verify:
                verify_tensors(file, header, path, _IdCheck(header, fields, path))
            tensors = _OpenTensors(path, os.dup(file.fileno()), header.tensors)
        return cls(
            Vocab.from_code_points(tensors.read_whole("vocabulary")),
            np.frombuffer(tensors.read_whole("counts"), np.uint64),
            tensors.read_ids,
            fields,
            header.tensors_sha256,
            _document_starts(tensors, fields, path),
        )

    def __len__(self) -> int:
        """Number of characters, N."""
        return self.header.characters

    @property
    def name(self) -> str:
        """Name of the text: its file name up to the first dot, or its directory's name."""
        return self.header.name

    @property
    def separator(self) -> str:
        """Text between two documents; empty if the state is reset between documents."""
        return self.header.reading.separator

    @property
    def num_documents(self) -> int:
        """Number of documents, D."""
        return len(self.starts_D)

    @property
    def end(self) -> str | None:
        """The end symbol of the documents; None if they have none."""
        return self.header.end or None

    @property
    def has_items(self) -> bool:
        """Whether the documents are items of a list."""
        return bool(self.header.end) and self.header.reading.has_items

    @property
    def num_characters(self) -> int:
        """Number of characters without end symbols, except for line ends."""
        if not self.header.end:
            return len(self)
        return len(self) - 1 - (0 if self.header.end == "\n" else len(self.starts_D))

    def document_spans(self) -> npt.NDArray[np.int64]:
        """Return where each document starts and stops, (D, 2): after its end symbol, if any."""
        shared = 1 if self.header.end else 0
        return np.stack([self.starts_D, np.append(self.starts_D[1:] + shared, len(self))], axis=1)

    @property
    def longest_item(self) -> int | None:
        """Characters of the longest item; None if the text is not a list."""
        if not self.has_items:
            return None
        return max(1, int(np.diff(self.document_spans()).max()) - 2)

    def read(self, start: int, stop: int) -> Ids:
        """Return the ids of the characters from `start` to `stop`, (stop - start,).

        Raises IndexError outside the text, StorageError, and FileFormatError if the file has been
        truncated since it was opened.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"characters {start} to {stop} of {len(self)}")
        return self._read(start, stop)

    def text(self) -> Iterator[str]:
        """Decode the text, in pieces of about a million characters. Raises as `read` does.

        What separated the documents takes the place of their end symbols.
        """
        end, between = self.header.end, self.header.reading.between
        code_points_V = np.frombuffer(self.vocab.to_code_points(), "<u4")
        for start in range(1 if end else 0, len(self), CHUNK_CHARACTERS):
            ids = self.read(start, min(start + CHUNK_CHARACTERS, len(self)))
            piece = code_points_V[ids].tobytes().decode("utf-32-le")
            yield piece.replace(end, between) if end else piece


class _OpenTensors:
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


class _IdCheck:
    """Checks the ids of a text in pieces, because an id beyond the vocabulary has no character."""

    def __init__(self, header: Header, fields: CorpusHeader, path: Path) -> None:
        self._dtype = DTYPES[header.tensors["ids"].dtype]
        self._size, self._path = header.tensors["vocabulary"].shape[0], path

    def __call__(self, name: str, piece: bytes) -> None:
        """Raise FileFormatError if a piece of the ids has one beyond the vocabulary."""
        if name == "ids" and np.frombuffer(piece, self._dtype).max() >= self._size:
            raise FileFormatError(f"{self._path} is damaged: it has ids beyond its vocabulary")


def _corpus_header(header: Header, path: Path) -> CorpusHeader:
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


def _document_starts(
    tensors: _OpenTensors, fields: CorpusHeader, path: Path
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
