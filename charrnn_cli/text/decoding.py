"""Text files as streams of decoded characters, in constant memory."""

import codecs
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import TextError
from charrnn_cli.storage.digest import BackgroundDigest
from charrnn_cli.storage.opening import CHUNK_BYTES
from charrnn_cli.text.byte_encodings import byte_order_mark, is_ascii_superset
from charrnn_cli.text.encoding_choice import encoding_of, first_fitting
from charrnn_cli.text.facts import TextFacts
from charrnn_cli.text.file_kinds import (
    check_controls,
    check_is_text,
    check_not_binary,
    is_web_page,
    num_controls,
)
from charrnn_cli.text.line_ends import with_plain_line_ends
from charrnn_cli.text.normal_forms import normalized
from charrnn_cli.text.pieces import Piece, as_text
from charrnn_cli.text.text_files import decompressed, open_text, translated_errors


def read_text(path: Path, options: TextOptions) -> str:
    """Read a whole text file. Raises TextError."""
    options = dataclasses.replace(options, encoding=encoding_of(path, options))
    return _whole(str(path), read_pieces(path, options, TextFacts()), options)


def decode_bytes(data: bytes, options: TextOptions, name: str) -> str:
    """Decode the bytes of a whole text, like `read_text`.

    Error messages call the text `name`. Raises TextError.
    """
    with translated_errors(name):
        file = io.BytesIO(data)
        options = dataclasses.replace(options, encoding=first_fitting(file, options.encodings))
        return _whole(name, _pieces(name, file, options, TextFacts()), options)


def read_typed(text: str, options: TextOptions) -> str:
    """Return a text that was not read from a file with its line ends and Unicode normalized."""
    return "".join(map(as_text, _normalized(iter([text]), options, TextFacts())))


def read_pieces(
    path: Path,
    options: TextOptions,
    facts: TextFacts,
    name: str | None = None,
    *,
    examples: bool = True,
) -> Iterator[Piece]:
    """Yield the text of a file in pieces, and fill in `facts`.

    Error messages call the file `name`. Raises TextError, with the offset and the line of a byte
    that cannot be decoded and, with `examples`, the likeliest readings of that line, which take up
    to a second.
    """
    name = name or str(path)
    with open_text(path, name) as raw:
        yield from _pieces(name, raw, options, facts, examples=examples)


def _whole(name: str, pieces: Iterator[Piece], options: TextOptions) -> str:
    text = "".join(map(as_text, pieces))
    if not options.force_text:
        check_controls(name, num_controls(text), len(text))
    return text


def _pieces(
    name: str, raw: BinaryIO, options: TextOptions, facts: TextFacts, *, examples: bool = True
) -> Iterator[Piece]:
    return _normalized(_decoded(name, raw, options, facts, examples=examples), options, facts)


def _normalized(pieces: Iterator[Piece], options: TextOptions, facts: TextFacts) -> Iterator[Piece]:
    if options.newlines == "normalize":
        pieces = with_plain_line_ends(pieces, facts)
    match options.normalize:
        case "none":
            return pieces
        case "nfc":
            return normalized(map(as_text, pieces), "NFC")
        case "nfd":
            return normalized(map(as_text, pieces), "NFD")
        case "nfkc":
            return normalized(map(as_text, pieces), "NFKC")


def _decoded(
    name: str, raw: BinaryIO, options: TextOptions, facts: TextFacts, *, examples: bool
) -> Iterator[Piece]:
    file = decompressed(raw)
    digest = BackgroundDigest()
    chunk = file.read(CHUNK_BYTES)
    mark, encoding = byte_order_mark(chunk, options.encoding)
    facts.encodings.append(encoding)
    facts.marks.append(bool(mark))
    facts.is_web_page = is_web_page(name, chunk)
    if not mark and not options.force_text:
        check_is_text(name, chunk, encoding)
    digest.update(mark)
    offset, chunk = len(mark), chunk[len(mark) :]
    decoder = codecs.getincrementaldecoder(encoding)(options.errors)
    ascii_superset = is_ascii_superset(encoding)
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
                place = _Place(name, encoding, bool(mark), offset - pending + error.start)
                raise _undecodable(place, error, file, examples=examples) from error
            except UnicodeError as error:  # UTF-16 or UTF-32 without a byte order mark
                raise _ambiguous(name, encoding, file) from error
            pending = len(decoder.getstate()[0])
        offset += len(chunk)
        facts.num_bytes = raw.tell()
        if piece:
            yield piece
        if not chunk:
            break
        chunk = file.read(CHUNK_BYTES)
    facts.digests.append(digest.hexdigest())


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """A byte that cannot be decoded."""

    name: str
    """Of the file."""
    encoding: str
    is_marked: bool
    """Whether a byte order mark chose the encoding."""
    offset: int
    """In bytes of the decompressed file."""


def _undecodable(
    place: _Place, error: UnicodeDecodeError, file: BinaryIO, *, examples: bool
) -> TextError:
    from charrnn_cli.text.readings import marked_readings, read_excerpt, readings

    found = bytes(error.object)[error.start : error.start + 1]
    what = f"0x{found[0]:02x}" if found else "the end of the file"
    excerpt = read_excerpt(file, place.offset)
    where = f"byte {place.offset:,} (line {excerpt.line:,})"
    message = f"{place.name} is not valid {place.encoding}: {what} at {where}"
    if place.is_marked:
        return TextError(
            message,
            hint=f"its byte order mark says {place.encoding}; save it again as UTF-8",
            examples=marked_readings(excerpt, place.encoding),
        )
    return TextError(
        message,
        hint="add the option that makes this line readable:",
        examples=readings(file, excerpt, place.encoding) if examples else (),
    )


def _ambiguous(name: str, encoding: str, file: BinaryIO) -> TextError:
    from charrnn_cli.text.readings import byte_orders

    plain = codecs.lookup(encoding).name  # `utf;16` also names an encoding
    return TextError(
        f"{name} has no byte order mark, so {encoding} is ambiguous",
        hint="add the option that makes this line readable:",
        examples=byte_orders(file, plain),
    )
