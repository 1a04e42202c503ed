"""Text to integers: two passes over the files in flat memory, vocabulary and then ids."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import CharrnnError, TextError
from charrnn_cli.storage.atomic import check_absent
from charrnn_cli.storage.tensor_writer import TensorWriter, write_tensors
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import (
    CORPUS_KIND,
    Corpus,
    Ids,
    ProgressCallback,
    corpus_specs,
    ids_dtype,
    no_progress,
)
from charrnn_cli.text.decoding import open_text, read_pieces
from charrnn_cli.text.documents import Document, Gathered, gather_documents
from charrnn_cli.text.facts import TextFacts
from charrnn_cli.text.symbol_table import CODE_POINTS, SymbolTable, symbol_table
from charrnn_cli.text.vocab import Vocab

MOST_LISTED = (
    1_000  # unseen characters and skipped files in a header, which has room for some 40,000
)


def encode_text(
    paths: Path | Sequence[Path],
    output: Path,
    options: TextOptions | None = None,
    *,
    vocab: Vocab | None = None,
    unknown: Unknown = "error",
    progress: ProgressCallback = no_progress,
) -> Corpus:
    """Encode files, directories or standard input into `output`.

    With `vocab`, its ids are used; characters that it does not have are an error, are left out, or get new ids
    behind the old ones. Raises TextError, UnknownCharacterError, AlreadyPublishedError, StorageError.
    """
    options = options or TextOptions()
    check_absent(output)
    paths = [paths] if isinstance(paths, Path) else paths
    check_not_encoded(paths)
    with gather_documents(paths, options.include, progress) as found:
        return encode_documents(found, output, options, vocab, unknown, progress)


def is_encoded(path: Path) -> bool:
    """Whether a file is one of ours rather than a text."""
    if path.suffix != ".safetensors":
        return False
    try:
        read_header(path)
    except CharrnnError:
        return path.is_file()  # damaged: opening it says how
    return True


def check_not_encoded(paths: Sequence[Path]) -> None:
    """Raises TextError for an encoded file among texts."""
    for path in filter(is_encoded, paths):
        raise TextError(
            f"{path} is encoded already", hint=f"`charrnn encode --decode {path}` writes its text"
        )


def encode_documents(
    found: Gathered,
    output: Path,
    options: TextOptions,
    vocab: Vocab | None,
    unknown: Unknown,
    progress: ProgressCallback,
    digests: Mapping[Path, str] | None = None,
) -> Corpus:
    """`encode_text` of documents that were gather_documents, and of which `digests` are known."""
    total = 2 * max(1, num_bytes(found))
    counted = _Count.of(found, options, lambda done: progress(done, total))
    if not counted.starts:
        raise TextError(f"{found.title} is empty", hint="name a file that holds text")
    if (
        digests is not None
        and [digests[document.path] for document in counted.documents] != counted.facts.digests
    ):
        raise _changed(found)
    table = symbol_table(counted.counts, options, vocab, unknown)
    characters, starts = counted.characters, counted.starts
    if (
        table.dropped is not None
    ):  # how much of each document stays is known after a pass with the table
        starts, characters = _starts_without(
            counted, options, table, lambda done: progress(done, total)
        )
        if not characters:
            raise TextError(
                f"{found.title} has no character of the vocabulary", hint="train a new model on it"
            )
    dtype, num_symbols = ids_dtype(len(table.vocab)), len(table.vocab)
    specs = corpus_specs(dtype, characters, num_symbols, len(starts))
    metadata = {
        "name": found.name,
        "characters": characters,
        "vocabulary_size": num_symbols,
        "documents": len(starts),
        "source_sha256": counted.facts.sha256,
        "encoding": counted.facts.encoding,
        "byte_order_mark": counted.facts.byte_order_mark,
        "newlines": options.newlines,
        "crlf": counted.facts.crlf,
        "cr": counted.facts.cr,
        "separator": options.separator,
        "unseen": dict(itertools.islice(table.unseen.items(), MOST_LISTED)),
        "num_unseen": len(table.unseen),
        "skipped": found.skipped[:MOST_LISTED],
        "num_skipped": len(found.skipped),
    }

    def second_half(done: int) -> None:
        progress(counted.facts.num_bytes + done, total)

    pieces = {
        "vocabulary": table.vocab.to_code_points(),
        "counts": table.counts.tobytes(),
        "documents": np.array(starts, "<u8").tobytes(),
    }
    with write_tensors(output, CORPUS_KIND, specs, metadata) as tensors:
        for name in tensors.order:
            if name != "ids":
                tensors.write(pieces[name])
                continue
            again = _write_ids(counted, options, table, tensors, characters, second_half)
        if again.sha256 != counted.facts.sha256:
            raise _changed(found)
    return Corpus.open(output, verify=False)


def _changed(found: Gathered) -> TextError:
    return TextError(
        f"{found.title} changed while it was read", hint="try again when nothing writes to it"
    )


def _bincount_bytes(codes: Ids | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How often each byte occurs; counted in pairs, which takes half the time."""
    pairs = np.bincount(codes[: len(codes) // 2 * 2].view(np.uint16), minlength=1 << 16).reshape(
        256, 256
    )
    counts: npt.NDArray[np.int64] = pairs.sum(axis=0) + pairs.sum(axis=1)
    if len(codes) % 2:
        counts[codes[-1]] += 1
    return counts


@dataclass(slots=True)
class _Count:
    """The first pass: which documents there are, where each starts, and how often each character occurs."""

    documents: list[Document] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    counts: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(CODE_POINTS, np.uint64))
    characters: int = 0
    facts: TextFacts = field(default_factory=TextFacts)

    @classmethod
    def of(cls, found: Gathered, options: TextOptions, progress: Callable[[int], None]) -> "_Count":
        count = cls()
        separator = np.array([ord(character) for character in options.separator], np.int64)
        for document in found.documents:
            facts = TextFacts()
            before = count.characters
            try:
                for codes in _codes(document, options, facts):
                    count._add(codes, 1)
                    progress(count.facts.num_bytes + facts.num_bytes)
            except TextError as error:
                if not document.optional:
                    raise
                count._take_back(document, options)
                found.skipped.append(
                    (document.name, error.message.removeprefix(f"{document.path} "))
                )
                continue
            if count.characters == before:
                found.skipped.append((document.name, "is empty"))
                continue
            if count.starts and len(separator):
                count._add(separator, 1)
            count.starts.append(before + (len(separator) if count.starts else 0))
            count.documents.append(document)
            count.facts.add(facts)
        return count

    def _add(self, codes: Ids | npt.NDArray[np.int64], times: int) -> None:
        found = _bincount_bytes(codes) if codes.dtype == np.uint8 else np.bincount(codes)
        if times > 0:
            self.counts[: len(found)] += found.astype(np.uint64)
        else:
            self.counts[: len(found)] -= found.astype(np.uint64)
        self.characters += times * len(codes)

    def _take_back(self, document: Document, options: TextOptions) -> None:
        with contextlib.suppress(TextError):  # where it failed before
            for codes in _codes(document, options, TextFacts()):
                self._add(codes, -1)


def _starts_without(
    counted: _Count, options: TextOptions, table: SymbolTable, progress: Callable[[int], None]
) -> tuple[list[int], int]:
    """Where each document starts once the dropped characters are gone, and how many stay."""
    starts, characters = [], 0
    for start, ids in _ids(counted, options, table, TextFacts(), progress):
        if start:
            starts.append(characters)
        characters += len(ids)
    return starts, characters


def _write_ids(
    counted: _Count,
    options: TextOptions,
    table: SymbolTable,
    tensors: TensorWriter,
    characters: int,
    progress: Callable[[int], None],
) -> TextFacts:
    facts, written = TextFacts(), 0
    for _, ids in _ids(counted, options, table, facts, progress):
        written += len(ids)
        if written <= characters:
            tensors.write(ids if isinstance(ids, bytes) else ids.tobytes())
    if written < characters:  # the file has shrunk: said by whoever compares the digests
        tensors.write(bytes((characters - written) * table.ids.itemsize))
    return facts


def _ids(
    counted: _Count,
    options: TextOptions,
    table: SymbolTable,
    facts: TextFacts,
    progress: Callable[[int], None],
) -> Iterator[tuple[bool, bytes | Ids]]:
    """The whole text as ids, in pieces; and whether a document starts with the piece."""
    separator = np.array([ord(character) for character in options.separator], np.int64)
    small = table.ids.itemsize == 1 and table.dropped is None
    translation = table.ids[:256].tobytes() if small else b""
    for number, document in enumerate(counted.documents):
        if number and len(separator):
            yield False, _looked_up(separator, table)
        own, first = TextFacts(), True
        for piece in read_pieces(document.path, options, own, document.title):
            if small and isinstance(piece, bytes):
                yield first, piece.translate(translation)
            else:
                yield first, _looked_up(_as_codes(piece), table)
            first = False
            progress(facts.num_bytes + own.num_bytes)
        facts.add(own)


def _looked_up(codes: Ids | npt.NDArray[np.int64], table: SymbolTable) -> Ids:
    ids: Ids = table.ids[codes]
    return ids if table.dropped is None else ids[~table.dropped[codes]]


def _codes(document: Document, options: TextOptions, facts: TextFacts) -> Iterator[Ids]:
    for piece in read_pieces(document.path, options, facts, document.title):
        yield _as_codes(piece)


def _as_codes(piece: str | bytes) -> Ids:
    """Code points: one byte each in ASCII, four in other text."""
    if isinstance(piece, bytes):
        return np.frombuffer(piece, np.uint8)
    return np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")


def num_bytes(found: Gathered) -> int:
    """Of all files that can be read."""
    return sum(_file_bytes(document) for document in found.documents)


def _file_bytes(document: Document) -> int:
    try:
        with open_text(document.path) as file:
            return os.fstat(file.fileno()).st_size
    except TextError:
        if document.optional:
            return 0
        raise
