"""Text files as streams of decoded characters, in constant memory."""

import codecs
import contextlib
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import CharrnnError, TextError
from charrnn_cli.storage.digest import BackgroundDigest
from charrnn_cli.storage.opening import CHUNK_BYTES, open_regular
from charrnn_cli.text.facts import TextFacts
from charrnn_cli.text.file_kinds import (
    check_controls,
    check_is_text,
    check_not_binary,
    is_web_page,
    num_controls,
)
from charrnn_cli.text.normal_forms import normalized

# Longer marks first: the mark of UTF-32 starts with the mark of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP_MAGIC = b"\x1f\x8b"
# In these encodings every byte below 128 is an ASCII character, so ASCII needs no decoding.
_ASCII_SUPERSETS = {"utf-8", "ascii", "iso8859-1", "cp1252"}
_EAST_ASIAN = ("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr")
_NUL_SHARE = 0.2  # share of NUL bytes above which data looks like UTF-16

Piece = str | bytes
"""A piece of decoded text: a str, or bytes that are all ASCII, one per character."""


def read_text(path: Path, options: TextOptions) -> str:
    """Read a whole text file. Raises TextError."""
    return _whole(str(path), read_pieces(path, options, TextFacts()), options)


def decode_bytes(data: bytes, options: TextOptions, name: str) -> str:
    """Decode the bytes of a whole text, like `read_text`.

    Error messages call the text `name`. Raises TextError.
    """
    with _translated_errors(name):
        return _whole(name, _pieces(name, io.BytesIO(data), options, TextFacts()), options)


def read_pieces(
    path: Path, options: TextOptions, facts: TextFacts, name: str | None = None
) -> Iterator[Piece]:
    """Yield the text of a file in pieces, and fill in `facts`.

    Error messages call the file `name`. Raises TextError, with the offset and the line of a byte
    that cannot be decoded.
    """
    name = name or str(path)
    with open_text(path, name) as raw:
        yield from _pieces(name, raw, options, facts)


@contextlib.contextmanager
def open_text(path: Path, name: str | None = None) -> Iterator[BinaryIO]:
    """Open a text file; errors in the `with` block that come from the file become TextErrors.

    Error messages call the file `name`. Raises TextError.
    """
    name = name or str(path)
    if os.path.isdir(path):
        raise TextError(f"{name} is a directory, not a text file", hint="use a file inside it")
    if re.match(r"(?i)(https?|ftps?):/", str(path)) and not os.path.lexists(path):
        address = re.sub(r"^(\w+):/+", r"\1://", name)  # a path has only one of the slashes
        raise TextError(
            f"{address} is a web address, not a file",
            hint="download the file first, then use its name",
        )
    if not os.path.lexists(path):
        raise TextError(f"no file named {name}", hint="check the spelling")
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path, follow=True))
        except CharrnnError as error:
            raise TextError(error.message, hint="use a readable text file") from error
        with _translated_errors(name):
            yield file


@contextlib.contextmanager
def _translated_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TextError(
            f"{name} is a damaged gzip file: {error}",
            hint="download or compress the file again",
        ) from error
    except OSError as error:
        raise TextError(
            f"cannot read {name}: {error.strerror}",
            hint="try again, or copy the file to a local disk first",
        ) from error


def decompressed(raw: BinaryIO) -> BinaryIO:
    """Return a file of the decompressed bytes; `raw` itself unless it is a gzip file."""
    start = raw.read(len(_GZIP_MAGIC))
    raw.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if start == _GZIP_MAGIC else raw


def _whole(name: str, pieces: Iterator[Piece], options: TextOptions) -> str:
    text = "".join(map(_as_text, pieces))
    if not options.force_text:
        check_controls(name, num_controls(text), len(text))
    return text


def _as_text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.decode("ascii")


def _pieces(name: str, raw: BinaryIO, options: TextOptions, facts: TextFacts) -> Iterator[Piece]:
    pieces = _decoded(name, raw, options, facts)
    if options.newlines == "normalize":
        pieces = _with_plain_newlines(pieces, facts)
    match options.normalize:
        case "none":
            return pieces
        case "nfc":
            return normalized(map(_as_text, pieces), "NFC")
        case "nfkc":
            return normalized(map(_as_text, pieces), "NFKC")


def _decoded(name: str, raw: BinaryIO, options: TextOptions, facts: TextFacts) -> Iterator[Piece]:
    file = decompressed(raw)
    digest = BackgroundDigest()
    chunk = file.read(CHUNK_BYTES)
    mark, encoding = _byte_order_mark(chunk, options.encoding)
    facts.encodings.append(encoding)
    facts.byte_order_mark = bool(mark)
    facts.is_web_page = is_web_page(name, chunk)
    if not mark and not options.force_text:
        check_is_text(name, chunk, encoding)
    digest.update(mark)
    offset, chunk = len(mark), chunk[len(mark) :]
    decoder = codecs.getincrementaldecoder(encoding)(options.errors)
    ascii_superset = codecs.lookup(encoding).name in _ASCII_SUPERSETS
    pending = 0  # bytes of an incomplete character that the decoder holds
    while True:
        digest.update(chunk)
        if ascii_superset and not pending and chunk.isascii():
            piece: Piece = chunk
        else:
            try:
                piece = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                if ascii_superset and not mark and not options.force_text:
                    check_not_binary(name, chunk)
                raise _undecodable(name, encoding, error, offset - pending, file) from error
            except UnicodeError as error:  # UTF-16 or UTF-32 without a byte order mark
                plain = codecs.lookup(encoding).name  # `utf;16` also names an encoding
                raise TextError(
                    f"{name} has no byte order mark, so {encoding} is ambiguous",
                    hint=f"specify the byte order: --encoding {plain}-le or {plain}-be",
                ) from error
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
    for piece in _with_whole_line_ends(pieces):
        if isinstance(piece, bytes):
            yield _plain_bytes(piece, facts)
        else:
            yield _plain_characters(piece, facts)


def _with_whole_line_ends(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the same text in pieces that never split a `\\r\\n`."""
    held = b""  # a final "\r", whose "\n" may start the next piece
    for piece in pieces:
        whole: Piece
        if isinstance(piece, bytes):
            joined = held + piece
            whole = joined.removesuffix(b"\r")
            held = joined[len(whole) :]
        else:
            text = held.decode("ascii") + piece
            whole = text.removesuffix("\r")
            held = text[len(whole) :].encode("ascii")
        if whole:
            yield whole
    if held:
        yield held


def _plain_bytes(piece: bytes, facts: TextFacts) -> bytes:
    if b"\r" not in piece:
        return piece
    codes = np.frombuffer(piece, np.uint8)
    returns = codes == ord("\r")
    crlf = int(np.count_nonzero(returns[:-1] & (codes[1:] == ord("\n"))))
    lone = int(np.count_nonzero(returns)) - crlf
    facts.crlf += crlf
    facts.cr += lone
    if not lone:  # the usual case: four times as fast as replacing
        return bytes(codes[~returns])
    return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _plain_characters(piece: str, facts: TextFacts) -> str:
    if "\r" not in piece:
        return piece
    crlf = piece.count("\r\n")
    facts.crlf += crlf
    facts.cr += piece.count("\r") - crlf
    return piece.replace("\r\n", "\n").replace("\r", "\n")


def _undecodable(
    name: str, encoding: str, error: UnicodeDecodeError, base: int, file: BinaryIO
) -> TextError:
    data = bytes(error.object)
    found = data[error.start : error.start + 1]
    offset = base + error.start
    what = f"0x{found[0]:02x}" if found else "the end of the file"
    likely = _likely_encoding(data)
    where = f"byte {offset:,} (line {_line_at(file, offset):,})"
    if likely and likely != encoding:
        hint = f"the text looks like {likely}; try --encoding {likely}"
    else:
        hint = "specify the encoding, for example --encoding latin-1 or cp1252"
    return TextError(f"{name} is not valid {encoding}: {what} at {where}", hint=hint)


def _line_at(file: BinaryIO, offset: int) -> int:
    """Return the line of a byte offset. Only for errors: counting in every chunk costs 10%."""
    file.seek(0)
    line = 1
    while offset > 0 and (chunk := file.read(min(CHUNK_BYTES, offset))):
        line += chunk.count(b"\n")
        offset -= len(chunk)
    return line


def _likely_encoding(data: bytes) -> str | None:
    """Guess UTF-16, or an encoding in which most non-ASCII characters are East Asian; or None."""
    if data[1::2].count(0) > _NUL_SHARE * len(data):
        return "utf-16-le"
    if data[::2].count(0) > _NUL_SHARE * len(data):
        return "utf-16-be"
    for encoding in _EAST_ASIAN:
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
