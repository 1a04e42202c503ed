"""Text files as streams of decoded characters, in flat memory."""

import codecs
import contextlib
import gzip
import hashlib
import os
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from charrnn_cli.config import Settings
from charrnn_cli.errors import CharrnnError, TextError
from charrnn_cli.tensorfile import open_regular

CHUNK_BYTES = 1 << 20

Newlines = Literal["normalize", "keep"]
Errors = Literal["strict", "replace", "ignore"]
Normalize = Literal["none", "nfc", "nfkc"]

# The longer mark first: UTF-32's starts with UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP_MAGIC = b"\x1f\x8b"
# In these a byte below 128 is that character whatever stands before it, so ASCII need not be decoded.
_ASCII_INSIDE = {"utf-8", "ascii", "iso8859-1", "cp1252"}
_PLAUSIBLE = ("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr")
_NUL_SHARE = 0.2  # of NUL bytes, from which a text looks like UTF-16


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOptions(Settings):
    """How files become one text."""

    encoding: str = "utf-8"
    """Used unless a byte order mark says otherwise."""
    errors: Errors = "strict"
    """What cannot be decoded is an error, or becomes U+FFFD, or is left out."""
    newlines: Newlines = "normalize"
    """`normalize` turns \\r\\n and \\r into \\n, as reading a file in Python does."""
    normalize: Normalize = "none"
    """Unicode's composed form, or its compatibility form, which makes wide and ligature forms plain."""
    separator: str = ""
    """Stands between two documents; without one the model starts afresh with each."""
    min_count: int = 1
    """Characters that occur less often become U+FFFD."""
    include: str = "*"
    """Pattern of the files that are taken from a directory."""

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        try:
            "".encode(self.encoding)
            codecs.getincrementaldecoder(self.encoding)("strict").decode(b"")
        except (LookupError, TypeError, ValueError) as error:
            raise TextError(
                f"unknown encoding {self.encoding!r}",
                hint="for example utf-8, latin-1, cp1252, shift_jis, gb18030",
            ) from error

    def _problems(self) -> list[str | None]:
        return [f"min count must be at least 1; got {self.min_count}" if self.min_count < 1 else None]


@dataclass(slots=True)
class TextFacts:
    """What was met while reading; complete once all was read to its end."""

    num_bytes: int = 0
    """Of the files, compressed where they are."""
    encodings: list[str] = field(default_factory=list)
    """Different ones, in the order in which they were met."""
    byte_order_mark: bool = False
    crlf: int = 0
    """Windows line ends, `\\r\\n`, that became `\\n`."""
    cr: int = 0
    """Lone `\\r` that became `\\n`."""
    digests: list[str] = field(default_factory=list)
    """SHA-256 of each file's bytes, decompressed."""

    @property
    def encoding(self) -> str:
        return ", ".join(self.encodings)

    @property
    def sha256(self) -> str:
        """Of one file's bytes; of several, of their digests."""
        return self.digests[0] if len(self.digests) == 1 else hashlib.sha256("".join(self.digests).encode()).hexdigest()

    def add(self, other: "TextFacts") -> None:
        """Take over what was met in one more file."""
        self.num_bytes += other.num_bytes
        self.encodings += [encoding for encoding in other.encodings if encoding not in self.encodings]
        self.byte_order_mark |= other.byte_order_mark
        self.crlf += other.crlf
        self.cr += other.cr
        self.digests += other.digests


Piece = str | bytes
"""Decoded text; ASCII as bytes, a byte a character."""


def read_text(path: Path, options: TextOptions) -> str:
    """The whole of a text file. Raises TextError."""
    pieces = read_pieces(path, options, TextFacts())
    return "".join(piece if isinstance(piece, str) else piece.decode("ascii") for piece in pieces)


def read_pieces(path: Path, options: TextOptions, facts: TextFacts) -> Iterator[Piece]:
    """Yield a file's text and fill in `facts`. Raises TextError with the offset of what cannot be decoded."""
    with open_text(path) as raw:
        pieces = _decoded(path, raw, options, facts)
        if options.newlines == "normalize":
            pieces = _with_plain_newlines(pieces, facts)
        if options.normalize != "none":
            pieces = _normalized(pieces, cast("Any", options.normalize.upper()))
        yield from pieces


def open_text(path: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    """Open a text file by name, with errors that say what to name instead. Raises TextError."""
    if os.path.isdir(path):
        raise TextError(f"{path} is a directory, not a text", hint="name a text file in it")
    if not os.path.lexists(path):
        raise TextError(f"no file named {path}", hint="check the spelling; `charrnn demo` needs no file at all")
    return _translated(path)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[BinaryIO]:
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
        except CharrnnError as error:
            raise TextError(error.message, hint="name a text file that you can read") from error
        try:
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TextError(f"{path} is a damaged gzip file: {error}", hint="copy or make it again") from error
        except OSError as error:
            raise TextError(f"cannot read {path}: {error.strerror}", hint="try again, or copy it first") from error


def _decoded(path: Path, raw: BinaryIO, options: TextOptions, facts: TextFacts) -> Iterator[Piece]:
    start = raw.read(len(_GZIP_MAGIC))
    raw.seek(0)
    file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if start == _GZIP_MAGIC else raw
    digest = hashlib.sha256()
    chunk = file.read(CHUNK_BYTES)
    mark, encoding = _byte_order_mark(chunk, options.encoding)
    facts.encodings.append(encoding)
    facts.byte_order_mark = bool(mark)
    digest.update(mark)
    offset, chunk = len(mark), chunk[len(mark) :]
    decoder = codecs.getincrementaldecoder(encoding)(options.errors)
    ascii_inside = codecs.lookup(encoding).name in _ASCII_INSIDE
    pending = 0  # bytes that the decoder holds
    while True:
        digest.update(chunk)
        if ascii_inside and not pending and chunk.isascii():
            piece: Piece = chunk
        else:
            try:
                piece = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise _undecodable(path, encoding, error, offset - pending, file) from error
            pending = len(decoder.getstate()[0])
        offset += len(chunk)
        facts.num_bytes = raw.tell()
        if piece:
            yield piece
        if not chunk:
            break
        chunk = file.read(CHUNK_BYTES)
    facts.digests.append(digest.hexdigest())


def _byte_order_mark(start: bytes, encoding: str) -> tuple[bytes, str]:
    for mark, marked_encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return mark, marked_encoding
    return b"", encoding


def _with_plain_newlines(pieces: Iterator[Piece], facts: TextFacts) -> Iterator[Piece]:
    held = False  # a "\r" whose "\n" may begin the next piece
    for piece in pieces:
        if held:
            piece = b"\r" + piece if isinstance(piece, bytes) else "\r" + piece
        held = piece.endswith(b"\r" if isinstance(piece, bytes) else "\r")  # type: ignore[arg-type]
        if held:
            piece = piece[:-1]
        plain = _plain_bytes(piece, facts) if isinstance(piece, bytes) else _plain_characters(piece, facts)
        if plain:
            yield plain
    if held:
        facts.cr += 1
        yield b"\n"


def _plain_bytes(piece: bytes, facts: TextFacts) -> bytes:
    if b"\r" not in piece:
        return piece
    crlf = piece.count(b"\r\n")
    without = piece.translate(None, b"\r")
    lone = len(piece) - len(without) - crlf
    facts.crlf += crlf
    facts.cr += lone
    if not lone:  # as nearly always: three times as fast as replacing
        return without
    return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _plain_characters(piece: str, facts: TextFacts) -> str:
    if "\r" not in piece:
        return piece
    crlf = piece.count("\r\n")
    facts.crlf += crlf
    facts.cr += piece.count("\r") - crlf
    return piece.replace("\r\n", "\n").replace("\r", "\n")


def _normalized(pieces: Iterator[Piece], form: Literal["NFC", "NFKC"]) -> Iterator[str]:
    held = ""
    for piece in pieces:
        held += piece if isinstance(piece, str) else piece.decode("ascii")
        cut = next((index for index in range(len(held) - 1, 0, -1) if _starts_afresh(held[index])), 0)
        if cut:
            yield unicodedata.normalize(form, held[:cut])
            held = held[cut:]
    if held:
        yield unicodedata.normalize(form, held)


def _starts_afresh(character: str) -> bool:
    """Whether it is never composed with what stands before it: ASCII, and Chinese characters."""
    return character < "\x80" or "\u4e00" <= character <= "\u9fff"


def _undecodable(path: Path, encoding: str, error: UnicodeDecodeError, base: int, file: BinaryIO) -> TextError:
    data = bytes(error.object)
    found = data[error.start : error.start + 1]
    offset = base + error.start
    what = f"0x{found[0]:02x}" if found else "the end of the file"
    likely = _likely_encoding(data)
    hint = "name the text's encoding, for example --encoding latin-1 or cp1252; or --errors replace"
    return TextError(
        f"{path} is not valid {encoding}: {what} at byte {offset:,} (line {_line_at(file, offset):,})",
        hint=f"it looks like {likely}: --encoding {likely}" if likely else hint,
    )


def _line_at(file: BinaryIO, offset: int) -> int:
    """Counted only when it is asked for: in every chunk it would cost a tenth of the time."""
    file.seek(0)
    line = 1
    while offset > 0 and (chunk := file.read(min(CHUNK_BYTES, offset))):
        line += chunk.count(b"\n")
        offset -= len(chunk)
    return line


def _likely_encoding(data: bytes) -> str | None:
    """One that decodes the data, mostly to the characters that it was made for; None for a single-byte one."""
    if data[1::2].count(0) > _NUL_SHARE * len(data):
        return "utf-16-le"
    if data[::2].count(0) > _NUL_SHARE * len(data):
        return "utf-16-be"
    for encoding in _PLAUSIBLE:
        try:
            text = codecs.getincrementaldecoder(encoding)("strict").decode(data)
        except UnicodeDecodeError:
            continue
        foreign = [character for character in text if character > "\x7f"]
        common = sum("\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3" for character in foreign)
        if common > 0.8 * len(foreign):
            return encoding
    return None
