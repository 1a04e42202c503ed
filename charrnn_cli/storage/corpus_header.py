"""Every field of the header of an encoded text: its type, range and meaning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from charrnn_cli.config import TextOptions
from charrnn_cli.settings import required, setting
from charrnn_cli.storage.record import MAX_NAME, Record, read_record
from charrnn_cli.storage.tensorfile import MAX_ELEMENTS

CORPUS_KIND = "corpus"


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusHeader(Record):
    """The header of an encoded text."""

    KIND: ClassVar[str] = CORPUS_KIND

    name: str = field(
        metadata=required("file name up to the first dot, or directory name", longest=MAX_NAME)
    )
    characters: int = field(metadata=required("number of characters, N", low=0, high=MAX_ELEMENTS))
    vocabulary_size: int = setting(0, "number of distinct characters, V", low=0, high=0x110000)
    documents: int = setting(1, "number of documents, D", low=0, high=MAX_ELEMENTS)
    end: str = setting(
        "",
        "symbol that ends each document and stands before the first; empty if there is none",
        longest=1,
    )
    source_sha256: str = setting("", "SHA-256 of the file, or of several files' joined hex digests")
    encoding: str = setting(
        "utf-8", "encodings of the files, separated by commas", longest=MAX_NAME
    )
    byte_order_mark: bool = setting(False, "whether a file starts with a byte order mark")
    files_per_encoding: dict[str, int] = field(
        default_factory=dict,
        metadata=required(
            "number of files per encoding; `+ mark` follows one that a byte order mark named",
            longest=200,
        ),
    )
    other_files: list[list[str]] = field(
        default_factory=list,
        metadata=required(
            "up to 1,000 files in another encoding than the most frequent, as [name, encoding]",
            longest=1000,
        ),
    )
    reading: TextOptions = setting(TextOptions(), "how the files were read, every option")
    crlf: int = setting(0, "number of \\r\\n that became \\n", low=0, high=MAX_ELEMENTS)
    crcrlf: int = setting(0, "number of \\r\\r\\n that became \\n", low=0, high=MAX_ELEMENTS)
    cr: int = setting(0, "number of lone \\r that became \\n", low=0, high=MAX_ELEMENTS)
    unseen: dict[str, int] = field(
        default_factory=dict,
        metadata=required(
            "counts of up to 1,000 characters that the given vocabulary lacked", longest=1000
        ),
    )
    num_unseen: int = setting(
        0, "number of characters that the given vocabulary lacked", low=0, high=0x110000
    )
    skipped: list[list[str]] = field(
        default_factory=list,
        metadata=required(
            "up to 1,000 files that were left out, each as [name, reason]", longest=1000
        ),
    )
    num_skipped: int = setting(0, "number of files that were left out", low=0, high=MAX_ELEMENTS)
    files: dict[str, int] = field(
        default_factory=dict,
        metadata=required("number of files read in directories, by suffix", longest=1000),
    )
    left_out: dict[str, int] = field(
        default_factory=dict,
        metadata=required("number of files not chosen in directories, by suffix", longest=1000),
    )
    names: list[str] = field(
        default_factory=list,
        metadata=required("names of up to 20 files read in directories", longest=1000),
    )
    held_out: list[str] = field(
        default_factory=list,
        metadata=required("names of validation and test files among those read", longest=1000),
    )
    web_page: bool = setting(False, "whether the text is a single short file that begins as HTML")

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the header from plain values; see `Record.from_json`."""
        if "reading" not in raw:  # older files have two of the options as fields
            older = {name: raw[name] for name in ("newlines", "separator") if name in raw}
            raw = {**raw, "reading": older}
        return read_record(cls, raw)
