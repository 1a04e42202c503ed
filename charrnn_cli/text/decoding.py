"""Text files as streams of decoded characters, in constant memory."""

import codecs
import contextlib
import dataclasses
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import CharrnnError, TextError
from charrnn_cli.storage.digest import BackgroundDigest
from charrnn_cli.storage.near_names import near_files_hint
from charrnn_cli.storage.opening import CHUNK_BYTES, open_regular
from charrnn_cli.text.byte_encodings import byte_order_mark, is_ascii_superset
from charrnn_cli.text.facts import TextFacts
from charrnn_cli.text.line_ends import Piece, with_plain_line_ends
from charrnn_cli.text.normal_forms import normalized

_GZIP_MAGIC = b"\x1f\x8b"


def read_text(path: Path, options: TextOptions) -> str:
    """Read a whole text file. Raises TextError."""
    options = dataclasses.replace(options, encoding=encoding_of(path, options))
    return _joined(read_pieces(path, options, TextFacts()))


def decode_bytes(data: bytes, options: TextOptions, name: str) -> str:
    """Decode the bytes of a whole text, like `read_text`.

    Error messages call the text `name`. Raises TextError.
    """
    with _translated_errors(name):
        file = io.BytesIO(data)
        options = dataclasses.replace(options, encoding=_first_fitting(file, options.encodings))
        return _joined(_pieces(name, file, options, TextFacts()))


def preferring_utf8(options: TextOptions) -> TextOptions:
    """Return options with which files that are valid UTF-8 are read as such, the others as before.

    Of several files, some are often UTF-8 and others older. Options that name several encodings
    stay as they are, and so does an encoding in which ASCII bytes stand for other characters, such
    as UTF-16.
    """
    encoding, *others = options.encodings
    if others or codecs.lookup(encoding).name == "utf-8" or not is_ascii_superset(encoding):
        return options
    return dataclasses.replace(options, encoding=f"utf-8,{encoding}")


def encoding_of(
    path: Path,
    options: TextOptions,
    name: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> str:
    """Return the first of several encodings in which a file is valid, or else the last.

    For each encoding, the file is read up to its first invalid byte; `progress` is called with the
    bytes read so far. Error messages call the file `name`. Raises TextError.
    """
    if len(options.encodings) == 1:
        return options.encodings[0]
    with open_text(path, name) as raw:
        return _first_fitting(raw, options.encodings, progress)


def read_typed(text: str, options: TextOptions) -> str:
    """Return a text that was not read from a file with its line ends and Unicode normalized."""
    return _joined(_normalized(iter([text]), options, TextFacts()))


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


@contextlib.contextmanager
def open_text(path: Path, name: str | None = None) -> Iterator[BinaryIO]:
    """Open a text file; errors in the `with` block that come from the file become TextErrors.

    Error messages call the file `name`. Raises TextError.
    """
    name = name or str(path)
    if os.path.isdir(path):
        raise TextError(f"{name} is a directory, not a text file", hint="use a file inside it")
    if not os.path.lexists(path):
        raise TextError(f"no file named {name}", hint=near_files_hint(path))
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


def _joined(pieces: Iterator[Piece]) -> str:
    return "".join(map(_as_text, pieces))


def _as_text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.decode("ascii")


def _first_fitting(
    raw: BinaryIO, encodings: Sequence[str], progress: Callable[[int], None] = lambda done: None
) -> str:
    """Return the encoding of an open file as `encoding_of` does, and return to the file's start."""
    *others, last = encodings
    for encoding in others:
        file, decoder = decompressed(raw), codecs.getincrementaldecoder(encoding)()
        try:
            while chunk := file.read(CHUNK_BYTES):
                decoder.decode(chunk)
                progress(raw.tell())
            decoder.decode(b"", final=True)
        except UnicodeError:
            continue
        finally:
            raw.seek(0)
        return encoding
    return last


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
            return normalized(map(_as_text, pieces), "NFC")
        case "nfd":
            return normalized(map(_as_text, pieces), "NFD")
        case "nfkc":
            return normalized(map(_as_text, pieces), "NFKC")


def _decoded(
    name: str, raw: BinaryIO, options: TextOptions, facts: TextFacts, *, examples: bool
) -> Iterator[Piece]:
    file = decompressed(raw)
    digest = BackgroundDigest()
    chunk = file.read(CHUNK_BYTES)
    mark, encoding = byte_order_mark(chunk, options.encoding)
    facts.encodings.append(encoding)
    facts.marks.append(bool(mark))
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
