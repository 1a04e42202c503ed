"""A text as integers on disk, read by windows."""

import contextlib
import hashlib
import json
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import (
    AlreadyPublishedError,
    CharrnnError,
    FileFormatError,
    NotFoundError,
    StorageError,
    TextError,
)
from charrnn_cli.paths import corpora_directory, make_directory
from charrnn_cli.tensorfile import (
    TensorSpec,
    open_regular,
    read_header,
    read_open_header,
    tensors_digest,
    verify_tensors,
    write_tensors,
)
from charrnn_cli.text import CHUNK_BYTES, TextFacts, TextOptions, open_text, read_text
from charrnn_cli.vocab import Vocab

# N characters of the text · V vocabulary

CORPUS_KIND = "corpus"
DTYPES: dict[str, np.dtype[np.unsignedinteger[Any]]] = {
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
}
_CODE_POINTS = 0x110000

Ids = npt.NDArray[np.unsignedinteger[Any]]
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; what it raises ends the work and leaves nothing half made."""


class Corpus:
    """An encoded text. `read` returns any stretch of its ids; the text is never held whole unless it came so."""

    def __init__(
        self,
        vocab: Vocab,
        counts_V: npt.NDArray[np.uint64],
        read: Callable[[int, int], Ids],
        metadata: dict[str, Any],
    ) -> None:
        self.vocab = vocab
        self.counts_V = counts_V
        self.metadata = metadata
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
        ids_N = np.array(vocab.encode(text), dtype=DTYPES[_ids_dtype(len(vocab))])
        counts_V = np.bincount(ids_N, minlength=len(vocab)).astype(np.uint64)
        specs = _specs(_ids_dtype(len(vocab)), len(ids_N), len(vocab))
        pieces = {"ids": ids_N.tobytes(), "vocabulary": vocab.to_code_points(), "counts": counts_V.tobytes()}
        digest = tensors_digest(specs, pieces)
        return cls(
            vocab,
            counts_V,
            lambda start, stop: ids_N[start:stop],
            {"name": name, "characters": len(text), "tensors_sha256": digest},
        )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an encoded file, its digests checked in one pass. Raises FileFormatError, StorageError."""
        with open_regular(path) as file:
            header = read_open_header(file, path)
            specs = header.tensors
            num_characters = header.metadata.get("characters")
            if (
                header.kind != CORPUS_KIND
                or set(specs) != {"ids", "vocabulary", "counts"}
                or specs["ids"].dtype not in DTYPES
                or specs["ids"].shape != (num_characters,)
                or (specs["vocabulary"].dtype, specs["counts"].dtype) != ("U32", "U64")
                or specs["vocabulary"].shape != specs["counts"].shape
                or type(header.metadata.get("name")) is not str
            ):
                raise FileFormatError(f"{path} is not an encoded text", hint="make one with `charrnn encode TEXT`")
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
        corpus = cls(
            Vocab.from_code_points(pread("vocabulary", 0, num_symbols)),
            np.frombuffer(pread("counts", 0, num_symbols), np.uint64),
            lambda start, stop: np.frombuffer(pread("ids", start, stop), dtype),
            header.metadata,
        )
        weakref.finalize(corpus, os.close, descriptor)
        return corpus


def encode_text(
    path: Path, output: Path, options: TextOptions | None = None, *, progress: Progress | None = None
) -> Corpus:
    """Encode a text file into `output`, in two passes of flat memory: vocabulary, then ids.

    Raises TextError, AlreadyPublishedError, StorageError.
    """
    options = options or TextOptions()
    if os.path.lexists(output):
        raise AlreadyPublishedError(f"{output} exists and is not overwritten", hint="name another file with --output")
    total = 2 * max(1, _file_bytes(path))
    report = progress or (lambda done, total: None)

    facts = TextFacts()
    counts = np.zeros(_CODE_POINTS, np.uint64)
    for code_points in _code_points(path, options, facts):
        found = np.bincount(code_points)
        counts[: len(found)] += found.astype(np.uint64)
        report(facts.num_bytes, total)
    present = np.flatnonzero(counts)
    num_characters = int(counts.sum())
    if not num_characters:
        raise TextError(f"{path} is empty", hint="name a file that holds text")

    dtype = _ids_dtype(len(present))
    specs = _specs(dtype, num_characters, len(present))
    metadata = {
        "name": (path.name.split(".")[0] or path.name).encode("utf-8", "replace").decode(),
        "characters": num_characters,
        "vocabulary_size": len(present),
        "source_sha256": facts.sha256,
        "encoding": facts.encoding,
        "byte_order_mark": facts.byte_order_mark,
        "newlines": options.newlines,
        "crlf": facts.crlf,
        "cr": facts.cr,
    }
    id_of = np.zeros(_CODE_POINTS, DTYPES[dtype])
    id_of[present] = np.arange(len(present))
    with write_tensors(output, CORPUS_KIND, specs, metadata) as tensors:
        pieces = {"vocabulary": present.astype("<u4").tobytes(), "counts": counts[present].tobytes()}
        again = TextFacts()
        for name in tensors.order:
            if name != "ids":
                tensors.write(pieces[name])
                continue
            written = 0
            for code_points in _code_points(path, options, again):
                written += len(code_points)
                if written <= num_characters:
                    tensors.write(id_of[code_points].tobytes())
                report(facts.num_bytes + again.num_bytes, total)
        if again.sha256 != facts.sha256:
            raise TextError(f"{path} changed while it was read", hint="try again when nothing writes to it")
    return Corpus.open(output)


def cached_corpus(path: Path, options: TextOptions | None = None, *, progress: Progress | None = None) -> Corpus:
    """The encoded text from the cache, which is keyed by content and options; encoded now where it is missing.

    An encoded file is opened as it is. Raises TextError, FileFormatError, StorageError.
    """
    options = options or TextOptions()
    if is_encoded(path):
        return Corpus.open(path)
    content = _file_sha256(path, progress or (lambda done, total: None))
    key = hashlib.sha256(json.dumps([content, path.name, options.to_json()]).encode()).hexdigest()
    cached = make_directory(corpora_directory()) / f"{key[:32]}.safetensors"
    try:
        return Corpus.open(cached)
    except NotFoundError:
        pass
    except FileFormatError:  # damaged: it is made again
        with contextlib.suppress(OSError):
            cached.unlink(missing_ok=True)
    try:
        return encode_text(path, cached, options, progress=progress)
    except AlreadyPublishedError:  # another process was faster
        return Corpus.open(cached)


def is_encoded(path: Path) -> bool:
    """Whether a file is one of ours rather than a text."""
    if path.suffix != ".safetensors":
        return False
    try:
        read_header(path)
    except CharrnnError:
        return path.is_file()  # damaged: opening it says how
    return True


def _specs(dtype: str, num_characters: int, vocabulary_size: int) -> dict[str, TensorSpec]:
    return {
        "ids": TensorSpec(dtype, (num_characters,)),
        "vocabulary": TensorSpec("U32", (vocabulary_size,)),
        "counts": TensorSpec("U64", (vocabulary_size,)),
    }


def _ids_dtype(vocabulary_size: int) -> str:
    return "U8" if vocabulary_size <= 1 << 8 else "U16" if vocabulary_size <= 1 << 16 else "U32"


def _code_points(path: Path, options: TextOptions, facts: TextFacts) -> Iterator[Ids]:
    for text in read_text(path, options, facts):
        if text.isascii():  # one byte a character instead of four
            yield np.frombuffer(text.encode("ascii"), np.uint8)
        else:
            yield np.frombuffer(text.encode("utf-32-le"), "<u4")


def _file_bytes(path: Path) -> int:
    with open_text(path) as file:
        return os.fstat(file.fileno()).st_size


def _file_sha256(path: Path, progress: Progress) -> str:
    with open_text(path) as file:
        digest = hashlib.sha256()
        total, done = os.fstat(file.fileno()).st_size, 0
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress(done, max(total, done))
        return digest.hexdigest()
