"""A text file as a stream of decoded characters, in flat memory."""

import codecs
import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from charrnn_cli.config import Settings
from charrnn_cli.errors import CharrnnError, TextError
from charrnn_cli.tensorfile import open_regular

CHUNK_BYTES = 1 << 20

Newlines = Literal["normalize", "keep"]

# The longer mark first: UTF-32's starts with UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOptions(Settings):
    """How bytes become characters."""

    encoding: str = "utf-8"
    """Used unless a byte order mark says otherwise."""
    newlines: Newlines = "normalize"
    """`normalize` turns \\r\\n and \\r into \\n, as reading a file in Python does."""

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


@dataclass(slots=True)
class TextFacts:
    """What was met while reading; complete once the text was read to its end."""

    num_bytes: int = 0
    encoding: str = ""
    byte_order_mark: bool = False
    crlf: int = 0
    """Windows line ends, `\\r\\n`, that became `\\n`."""
    cr: int = 0
    """Lone `\\r` that became `\\n`."""
    sha256: str = ""
    """Of the file's bytes."""


def read_text(path: Path, options: TextOptions, facts: TextFacts) -> Iterator[str]:
    """Yield the text in pieces and fill in `facts`. Raises TextError with the offset of what cannot be decoded."""
    with open_text(path) as file:
        digest = hashlib.sha256()
        chunk = file.read(CHUNK_BYTES)
        mark, facts.encoding = _byte_order_mark(chunk, options.encoding)
        facts.byte_order_mark = bool(mark)
        decoder = codecs.getincrementaldecoder(facts.encoding)("strict")
        digest.update(mark)
        facts.num_bytes = len(mark)
        chunk = chunk[len(mark) :]
        lines, held = 1, ""  # `held` is a "\r" whose "\n" may be in the next piece
        while True:
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise _undecodable(path, facts, error, facts.num_bytes - pending, lines) from error
            digest.update(chunk)
            facts.num_bytes += len(chunk)
            lines += text.count("\n")
            if options.newlines == "normalize":
                text, held = _normalize_newlines(held + text, bool(chunk), facts)
            if text:
                yield text
            if not chunk:
                break
            chunk = file.read(CHUNK_BYTES)
        facts.sha256 = digest.hexdigest()


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
        except OSError as error:
            raise TextError(f"cannot read {path}: {error.strerror}", hint="try again, or copy it first") from error


def _byte_order_mark(start: bytes, encoding: str) -> tuple[bytes, str]:
    for mark, marked_encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return mark, marked_encoding
    return b"", encoding


def _normalize_newlines(text: str, more: bool, facts: TextFacts) -> tuple[str, str]:
    held = "\r" if more and text.endswith("\r") else ""
    if held:
        text = text[:-1]
    if "\r" in text:
        crlf = text.count("\r\n")
        facts.crlf += crlf
        facts.cr += text.count("\r") - crlf
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, held


def _undecodable(path: Path, facts: TextFacts, error: UnicodeDecodeError, base: int, lines: int) -> TextError:
    found = bytes(error.object[error.start : error.start + 1])
    line = lines + bytes(error.object[: error.start]).count(b"\n")
    what = f"0x{found[0]:02x}" if found else "the end of the file"
    return TextError(
        f"{path} is not valid {facts.encoding}: {what} at byte {base + error.start:,} (line {line:,})",
        hint="name the text's encoding, for example --encoding latin-1, cp1252 or shift_jis",
    )
