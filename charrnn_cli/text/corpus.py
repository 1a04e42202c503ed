"""A text as integers on disk, read by windows."""

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import FileFormatError, StorageError
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.tensor_writer import tensors_digest
from charrnn_cli.storage.tensorfile import TensorSpec, read_open_header, verify_tensors
from charrnn_cli.text.vocab import Vocab

# N characters of the text · V vocabulary · D documents

CORPUS_KIND = "corpus"
DTYPES: dict[str, np.dtype[np.unsignedinteger[Any]]] = {
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
}

Ids = npt.NDArray[np.unsignedinteger[Any]]
ProgressCallback = Callable[[int, int], None]
"""Called often with what is done and what there is in all; what it raises ends the work, nothing left half made."""


def no_progress(done: int, total: int) -> None:
    """For whoever does not ask."""


class Corpus:
    """An encoded text. `read` returns any stretch of its ids; the text is never held whole unless it came so."""

    def __init__(
        self,
        vocab: Vocab,
        counts_V: npt.NDArray[np.uint64],
        read: Callable[[int, int], Ids],
        metadata: dict[str, Any],
        starts: Sequence[int] = (0,),
    ) -> None:
        self.vocab = vocab
        self.counts_V = counts_V
        self.metadata = metadata
        self.starts = tuple(starts)
        """The first character of each document."""
        self._read = read

    def __len__(self) -> int:
        return int(self.metadata["characters"])

    @property
    def name(self) -> str:
        """The text's name: its file name without the suffix."""
        return str(self.metadata["name"])

    @property
    def sha256(self) -> str:
        """Of ids and vocabulary: equal for equal text, whatever file it came from."""
        return str(self.metadata["tensors_sha256"])

    def read(self, start: int, stop: int) -> Ids:
        """Ids of the characters from `start` to `stop`, shape (stop - start,)."""
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"characters {start} to {stop} of {len(self)}")
        return self._read(start, stop)

    def text(self) -> Iterator[str]:
        """The text again, in pieces."""
        code_points_V = np.frombuffer(self.vocab.to_code_points(), "<u4")
        for start in range(0, len(self), 1 << 18):
            ids = self.read(start, min(start + (1 << 18), len(self)))
            yield code_points_V[ids].tobytes().decode("utf-32-le")

    @classmethod
    def from_text(cls, text: str, name: str = "text") -> Self:
        """A corpus in memory, of a text in memory."""
        vocab = Vocab.from_text(text)
        ids_N = np.array(vocab.encode(text), dtype=DTYPES[ids_dtype(len(vocab))])
        counts_V = np.bincount(ids_N, minlength=len(vocab)).astype(np.uint64)
        specs = corpus_specs(ids_dtype(len(vocab)), len(ids_N), len(vocab), 1)
        pieces = {
            "ids": ids_N.tobytes(),
            "vocabulary": vocab.to_code_points(),
            "counts": counts_V.tobytes(),
        }
        digest = tensors_digest(specs, pieces)
        return cls(
            vocab,
            counts_V,
            lambda start, stop: ids_N[start:stop],
            {"name": name, "characters": len(text), "tensors_sha256": digest},
        )

    @property
    def separator(self) -> str:
        """What stands between two documents; empty where the model is to start afresh with each."""
        return str(self.metadata.get("separator", ""))

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> Self:
        """Open an encoded file, its digests checked in one pass: not needed for who has just written it.

        Raises FileFormatError, StorageError.
        """
        with open_regular(path) as file:
            header = read_open_header(file, path)
            specs = header.tensors
            num_characters = header.metadata.get("characters")
            if (
                header.kind != CORPUS_KIND
                or set(specs) - {"documents"} != {"ids", "vocabulary", "counts"}
                or specs["ids"].dtype not in DTYPES
                or specs["ids"].shape != (num_characters,)
                or (specs["vocabulary"].dtype, specs["counts"].dtype) != ("U32", "U64")
                or (
                    "documents" in specs
                    and (specs["documents"].dtype, len(specs["documents"].shape)) != ("U64", 1)
                )
                or specs["vocabulary"].shape != specs["counts"].shape
                or type(header.metadata.get("name")) is not str
            ):
                raise FileFormatError(
                    f"{path} is not an encoded text", hint="make one with `charrnn encode TEXT`"
                )
            if verify:
                verify_tensors(file, header, path)
            descriptor = os.dup(file.fileno())

        def pread(name: str, start: int, stop: int) -> bytes:
            spec = specs[name]
            item = spec.num_bytes // spec.shape[0] if spec.shape[0] else 0
            try:
                data = os.pread(descriptor, (stop - start) * item, spec.start + start * item)
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error.strerror}") from error
            if len(data) != (stop - start) * item:
                raise FileFormatError(f"{path} was cut off while it was read")
            return data

        dtype = DTYPES[specs["ids"].dtype]
        num_symbols = specs["vocabulary"].shape[0]
        starts = [0]
        if "documents" in specs:
            starts = np.frombuffer(
                pread("documents", 0, *specs["documents"].shape), np.uint64
            ).tolist()
            if not starts or starts[0] or starts != sorted(starts) or starts[-1] > num_characters:
                raise FileFormatError(f"{path} has documents that do not follow each other")
        corpus = cls(
            Vocab.from_code_points(pread("vocabulary", 0, num_symbols)),
            np.frombuffer(pread("counts", 0, num_symbols), np.uint64),
            lambda start, stop: np.frombuffer(pread("ids", start, stop), dtype),
            header.metadata,
            starts,
        )
        weakref.finalize(corpus, os.close, descriptor)
        return corpus


def corpus_specs(
    dtype: str, num_characters: int, vocabulary_size: int, num_documents: int
) -> dict[str, TensorSpec]:
    """The tensors of an encoded text; where one document is all, nothing says where it starts."""
    specs = {
        "ids": TensorSpec(dtype, (num_characters,)),
        "vocabulary": TensorSpec("U32", (vocabulary_size,)),
        "counts": TensorSpec("U64", (vocabulary_size,)),
    }
    return specs | ({"documents": TensorSpec("U64", (num_documents,))} if num_documents > 1 else {})


def ids_dtype(vocabulary_size: int) -> str:
    """The smallest that holds every id."""
    return "U8" if vocabulary_size <= 1 << 8 else "U16" if vocabulary_size <= 1 << 16 else "U32"
