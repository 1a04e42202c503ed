"""Text files as streams of decoded characters, in flat memory."""

import codecs
import contextlib
import functools
import gzip
import io
import os
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import CharrnnError, TextError
from charrnn_cli.storage.digest import BackgroundDigest
from charrnn_cli.storage.opening import open_regular
from charrnn_cli.text.facts import TextFacts

CHUNK_BYTES = 1 << 20

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

Piece = str | bytes
"""Decoded text; ASCII as bytes, a byte a character."""


def read_text(path: Path, options: TextOptions) -> str:
    """Read a whole text file. Raises TextError."""
    return _joined(read_pieces(path, options, TextFacts()))


def decode_bytes(data: bytes, options: TextOptions, name: str) -> str:
    """Decode the bytes of a text file. `name` is what messages call them. Raises TextError."""
    with _translated_errors(name):
        return _joined(_pieces(name, io.BytesIO(data), options, TextFacts()))


def _joined(pieces: Iterator[Piece]) -> str:
    return "".join(piece if isinstance(piece, str) else piece.decode("ascii") for piece in pieces)


def read_pieces(
    path: Path, options: TextOptions, facts: TextFacts, name: str | None = None
) -> Iterator[Piece]:
    """Yield a file's text and fill in `facts`. Raises TextError with the offset of what cannot be decoded.

    `name` is what messages call the file.
    """
    with open_text(path) as raw:
        yield from _pieces(name or str(path), raw, options, facts)


def _pieces(name: str, raw: BinaryIO, options: TextOptions, facts: TextFacts) -> Iterator[Piece]:
    pieces = _decoded(name, raw, options, facts)
    if options.newlines == "normalize":
        pieces = _with_plain_newlines(pieces, facts)
    if options.normalize != "none":
        pieces = _normalized(pieces, cast("Any", options.normalize.upper()))
    return pieces


def open_text(path: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    """Open a text file by name, with errors that say what to name instead. Raises TextError."""
    if os.path.isdir(path):
        raise TextError(f"{path} is a directory, not a text", hint="name a text file in it")
    if not os.path.lexists(path):
        raise TextError(f"no file named {path}", hint="check the spelling")
    return _translated(path)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[BinaryIO]:
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
        except CharrnnError as error:
            raise TextError(error.message, hint="name a text file that you can read") from error
        with _translated_errors(str(path)):
            yield file


@contextlib.contextmanager
def _translated_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TextError(
            f"{name} is a damaged gzip file: {error}", hint="copy or make it again"
        ) from error
    except OSError as error:
        raise TextError(
            f"cannot read {name}: {error.strerror}", hint="try again, or copy it first"
        ) from error


def decompressed(raw: BinaryIO) -> BinaryIO:
    """The bytes of an open file, or of what was compressed into it."""
    start = raw.read(len(_GZIP_MAGIC))
    raw.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if start == _GZIP_MAGIC else raw


def _decoded(name: str, raw: BinaryIO, options: TextOptions, facts: TextFacts) -> Iterator[Piece]:
    file = decompressed(raw)
    digest = BackgroundDigest()
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
                raise _undecodable(name, encoding, error, offset - pending, file) from error
            except UnicodeError as error:  # UTF-16 and UTF-32 of no given order
                order = f"--encoding {encoding}-le or {encoding}-be says the order of the bytes"
                raise TextError(f"{name} has no byte order mark", hint=order) from error
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
        plain = (
            _plain_bytes(piece, facts)
            if isinstance(piece, bytes)
            else _plain_characters(piece, facts)
        )
        if plain:
            yield plain
    if held:
        facts.cr += 1
        yield b"\n"


def _plain_bytes(piece: bytes, facts: TextFacts) -> bytes:
    if b"\r" not in piece:
        return piece
    codes = np.frombuffer(piece, np.uint8)
    returns = codes == ord("\r")
    crlf = int(np.count_nonzero(returns[:-1] & (codes[1:] == ord("\n"))))
    lone = int(np.count_nonzero(returns)) - crlf
    facts.crlf += crlf
    facts.cr += lone
    if not lone:  # as nearly always: four times as fast as replacing
        return bytes(codes[~returns])
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
        cut = next(
            (index for index in range(len(held) - 1, 0, -1) if _starts_afresh(held[index], form)), 0
        )
        if cut:
            yield unicodedata.normalize(form, held[:cut])
            held = held[cut:]
    if held:
        yield unicodedata.normalize(form, held)


def _starts_afresh(character: str, form: Literal["NFC", "NFKC"]) -> bool:
    """Whether it is never composed with what stands before it."""
    if character < "\x80" or "\u4e00" <= character <= "\u9fff":
        return True
    first = unicodedata.normalize("NFD" if form == "NFC" else "NFKD", character)[0]
    return not unicodedata.combining(first) and first not in _second_parts()


@functools.cache
def _second_parts() -> frozenset[str]:
    """Characters that are composed with the one before though they combine with none: 0.1 s to find."""
    decomposed = (unicodedata.decomposition(chr(code)).split() for code in range(0x110000))
    seconds = {
        chr(int(parts[1], 16))
        for parts in decomposed
        if len(parts) == 2 and not parts[0].startswith("<")
    }
    hangul = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    return frozenset(seconds | hangul)


def _undecodable(
    name: str, encoding: str, error: UnicodeDecodeError, base: int, file: BinaryIO
) -> TextError:
    data = bytes(error.object)
    found = data[error.start : error.start + 1]
    offset = base + error.start
    what = f"0x{found[0]:02x}" if found else "the end of the file"
    likely = _likely_encoding(data)
    hint = "name the text's encoding, for example --encoding latin-1 or cp1252"
    return TextError(
        f"{name} is not valid {encoding}: {what} at byte {offset:,} (line {_line_at(file, offset):,})",
        hint=f"it looks like {likely}: --encoding {likely}"
        if likely and likely != encoding
        else hint,
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
        common = sum(
            "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"
            for character in foreign
        )
        if common > 0.8 * len(foreign):
            return encoding
    return None
