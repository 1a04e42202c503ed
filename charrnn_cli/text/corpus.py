"""Encoded texts, whose ids are read from a file or from memory."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TextOptions
from charrnn_cli.storage.corpus_header import CorpusHeader
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.storage.tensor_writer import tensors_digest
from charrnn_cli.storage.tensorfile import (
    read_open_header,
    verify_tensors,
)
from charrnn_cli.text.corpus_file import (
    DTYPES,
    IdCheck,
    Ids,
    OpenTensors,
    corpus_header,
    corpus_specs,
    document_starts,
    ids_dtype,
)
from charrnn_cli.text.vocab import Vocab

# N characters of the text · V vocabulary · D documents

CHUNK_CHARACTERS = 1 << 20  # read from a corpus at a time: at most 4 MB
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
            fields = corpus_header(header, path)
            if verify:
                verify_tensors(file, header, path, IdCheck(header, fields, path))
            tensors = OpenTensors(path, os.dup(file.fileno()), header.tensors)
        return cls(
            Vocab.from_code_points(tensors.read_whole("vocabulary")),
            np.frombuffer(tensors.read_whole("counts"), np.uint64),
            tensors.read_ids,
            fields,
            header.tensors_sha256,
            document_starts(tensors, fields, path),
        )

    def __len__(self) -> int:
        """Number of characters, N."""
        return self.header.characters

    @property
    def reach(self) -> int:
        """Characters that `read` can return: those of the text, and of others that follow it."""
        return len(self)

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

    @cached_property  # every checkpoint records it
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
