"""Files that are not texts: what they are by their first bytes, and how to get a text from them."""

import codecs
import os
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import TextError
from charrnn_cli.shell import path_word
from charrnn_cli.text.byte_encodings import is_ascii_superset

# The controls that file(1) accepts in a text: \a \b \t \n \v \f \r and ESC. Ctrl-Z ends old texts.
_IN_TEXTS = {*range(0x07, 0x0E), 0x1A, 0x1B}
CONTROLS = tuple(code for code in (*range(0x20), 0x7F) if code not in _IN_TEXTS)
MAX_CONTROLS = 4  # in a text of any length: a short text may have a stray one
MAX_CONTROL_SHARE = 0.001
BINARY_SHARE = 0.01  # of NUL and control bytes in a file that cannot be decoded
FEW_BYTES = 4096  # in which a web page and UTF-16 without a mark are recognized
MAX_ENTRIES = 200  # of a zip file to look at
SHORT_PAGE = 200_000  # bytes; people who train on HTML have more

_CONTROL_BYTES = bytes(CONTROLS)
_WORD_PROCESSOR = "save it as plain text (UTF-8) in your word processor"
_UNPACK = "unpack it, and use the text files inside"
OTHER = "use a text file"
_AMONG_OTHERS = "; among other files, save it as UTF-8 first"
_CONVERT = "convert it to plain text (UTF-8)"

# Each pattern matches at the start of a file. Together with letters only, it has a byte that texts
# lack: a text may begin with "BM" or "GIF89a".
_KINDS = [
    (re.compile(pattern, re.DOTALL), what, remedy)
    for pattern, what, remedy in (
        (rb"%PDF-\d\.\d\s*[\r\n]", "a PDF document", f"{_CONVERT}, for example with pdftotext"),
        (rb"\{\\rtf\d", "an RTF document", _WORD_PROCESSOR),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", _WORD_PROCESSOR),
        (rb".{60}BOOKMOBI", "a Kindle e-book", f"{_CONVERT} with an e-book program"),
        (rb"AT&TFORM.{4}DJV", "a DjVu document", f"{_CONVERT}, for example with djvutxt"),
        (rb"\x89PNG\r\n\x1a\n", "a PNG image", OTHER),
        (rb"\xff\xd8\xff", "a JPEG image", OTHER),
        (rb"GIF8[79]a.{6}\0", "a GIF image", OTHER),
        (rb"RIFF.{4}WEBP", "a WebP image", OTHER),
        (rb"II\*\0|MM\0\*", "a TIFF image", OTHER),
        (rb"BM.{4}\0{4}", "a BMP image", OTHER),
        (rb"8BPS\0|\0\0\x01\0[\x01-\x20]\0", "an image", OTHER),
        (rb"\0\0.{2}ftyp(?:heic|heix|mif1|avif)", "an image", OTHER),
        (rb"\0\0.{2}ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3", "a video", OTHER),
        (rb"RIFF.{4}WAVE|fLaC\0|OggS\0|ID3[\x02-\x04]\0", "an audio file", OTHER),
        (rb"\xff[\xf2\xf3\xfa\xfb](?=.{0,512}\0)", "an audio file", OTHER),
        (rb"MThd\0\0\0\x06", "a MIDI file", "convert it to ABC notation, which is text"),
        (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "compressed with bzip2", "bzip2 -dk .bz2"),
        (rb"\xfd7zXZ\0", "compressed with xz", "xz -dk .xz"),
        (rb"\x28\xb5\x2f\xfd", "compressed with Zstandard", "zstd -d .zst"),
        (rb"\x04\x22M\x18", "compressed with LZ4", "decompress it first"),
        (rb"\x1f\x9d|\x1f\x8b\x08", "compressed more than once", "decompress it first"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
        (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
        (rb".{257}ustar[\0 ]", "a tar archive", _UNPACK),
        (rb"SQLite format 3\0", "an SQLite database", "export its text to a file first"),
        (rb"\x80[\x02-\x05][\x28-\x95]", "a Python pickle", "write its text to a file first"),
        (rb"\x93NUMPY", "a NumPy array", "write its text to a file first"),
        (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", "write its text to a file first"),
        (rb"PAR1[\0-\x1f\x80-\xff]", "a Parquet table", "write its text to a file first"),
        (rb"ARROW1\0\0", "an Arrow table", "write its text to a file first"),
        (rb"GGUF[\x01-\x0f]\0{3}", "a GGUF model", OTHER),
        (rb".{4}\0{4}\{\"", "a safetensors file", OTHER),
        (rb"\x7fELF|MZ[^\n]{0,60}\0", "a program", OTHER),
        (rb"\xcf\xfa\xed\xfe|\xfe\xed\xfa\xcf|\xca\xfe\xba\xbe|\0asm", "a program", OTHER),
        (rb"\0\x01\0\0\0|OTTO\0|wOF[F2]\0\x01", "a font", OTHER),
        (
            rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:",
            "a Git LFS pointer",
            "download the file that it stands for with Git LFS",
        ),
    )
]
# Escape sequences to Japanese characters and back to ASCII.
_ISO_2022_JP = re.compile(rb"\x1b\$[@B](?:[!-~]{2})+\x1b\([BJ]")
_DECOMPRESSION = re.compile(r"(\S+ -\w+) (\.\w+)")

# Possessive and atomic groups, so that no file makes it slow.
_HTML = re.compile(
    rb"\s*+(?><\?xml[^>]{0,200}>\s*+)?(?><!--.{0,1000}?-->\s*+)*+<(?:!doctype\s+html|html)[\s>]",
    re.DOTALL | re.IGNORECASE,
)
_MARKUP_SUFFIXES = (".html", ".htm", ".xhtml", ".shtml", ".xml", ".svg")


class NotTextError(TextError):
    """A file that is not a text, with a hint how to get one."""


def check_is_text(name: str, start: bytes, encoding: str) -> None:
    """Raise NotTextError if a file that begins with `start` is not a text in this encoding.

    The encoding is one in which a letter of English is one byte, unless it is UTF-16 or UTF-32.
    """
    for pattern, what, remedy in _KINDS:
        if pattern.match(start):
            raise _not_text(name, what, remedy)
    if _ISO_2022_JP.search(start) and is_ascii_superset(encoding):
        raise NotTextError(
            f"{name} looks like ISO-2022-JP", hint="read it with --encoding iso2022_jp"
        )
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        raise _not_text(name, *_zip_kind(start))
    if not encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "u16", "u32")):
        unmarked = _unmarked_encoding(start[:FEW_BYTES])
        if unmarked is not None:
            raise NotTextError(
                f"{name} looks like {unmarked[:6].upper()} without a byte order mark",
                hint=f"read it with --encoding {unmarked}{_AMONG_OTHERS}",
            )


def check_controls(name: str, controls: int, characters: int) -> None:
    """Raise NotTextError if a decoded text has too many NUL and control characters."""
    if controls > max(MAX_CONTROLS, MAX_CONTROL_SHARE * characters):
        raise NotTextError(
            f"{name} has {controls:,} NUL or control characters among {characters:,}, "
            "so it is probably not a text",
            hint="use a text file, or read it anyway with --force-text",
        )


def check_not_binary(name: str, piece: bytes) -> None:
    """Raise NotTextError if bytes that cannot be decoded are many NUL and control bytes."""
    controls = len(piece) - len(piece.translate(None, _CONTROL_BYTES))
    if controls > max(MAX_CONTROLS, BINARY_SHARE * len(piece)):
        for encoding in ("utf-16-le", "utf-16-be"):  # of characters that hardly have a NUL byte
            text = piece.decode(encoding, "replace")
            if len(piece) % 2 == 0 and all(map(_is_in_texts, text)):
                raise NotTextError(
                    f"{name} looks like UTF-16 without a byte order mark",
                    hint=f"read it with --encoding {encoding}",
                )
        raise NotTextError(
            f"{name} is not a text: {controls:,} of its first {len(piece):,} bytes are NUL or "
            "control characters",
            hint=OTHER,
        )


def _is_in_texts(character: str) -> bool:
    return character != "\ufffd" and (character.isprintable() or character.isspace())


def num_controls(text: str) -> int:
    """Return the number of NUL and control characters that texts rarely have."""
    return sum(text.count(chr(code)) for code in CONTROLS)


def num_counted_controls(counts: npt.NDArray[np.unsignedinteger[Any]]) -> int:
    """Return the same number from the count of each code point, (0x110000,)."""
    return int(counts[list(CONTROLS)].sum())


def is_web_page(name: str, start: bytes) -> bool:
    """Return whether a file begins as a web page does, but is not named like one."""
    return not name.lower().endswith(_MARKUP_SUFFIXES) and bool(_HTML.match(start[:FEW_BYTES]))


def _not_text(name: str, what: str, remedy: str) -> NotTextError:
    command = _DECOMPRESSION.fullmatch(remedy)
    if command is not None:
        remedy = _decompression(name, command[1], command[2])
    article = "" if what.startswith("compressed") else ", not a text"
    return NotTextError(f"{name} is {what}{article}", hint=remedy)


def _decompression(name: str, command: str, suffix: str) -> str:
    """Return the command that decompresses a file, where it works; it keeps the file."""
    target = name.removesuffix(suffix)
    if target == name or not os.path.isfile(name) or os.path.lexists(target):
        return "decompress it first"
    return f"decompress it first: {command} {path_word(name, max_length=400)}"


def _zip_kind(start: bytes) -> tuple[str, str]:
    """Return what a zip file is by the names of its first entries, and what to do."""
    names: list[bytes] = []
    for found in re.finditer(rb"PK\x03\x04.{22}(..)(..)", start, re.DOTALL):
        length = int.from_bytes(found[1], "little")
        names.append(start[found.end() : found.end() + length])
        if len(names) == 1 and names[0] == b"mimetype":
            content = found.end() + length + int.from_bytes(found[2], "little")
            names.append(start[content : content + 80])
        if len(names) >= MAX_ENTRIES:
            break
    is_office = b"[Content_Types].xml" in names

    def has(*prefixes: bytes) -> bool:
        return any(name.startswith(prefixes) for name in names)

    if is_office and has(b"word/"):
        return "a Word document (.docx)", _WORD_PROCESSOR
    if is_office and has(b"xl/"):
        return "an Excel workbook (.xlsx)", "save it as CSV (UTF-8) in your spreadsheet program"
    if is_office and has(b"ppt/"):
        return "a presentation (.pptx)", "copy its text to a plain text file (UTF-8)"
    if has(b"application/epub+zip") or b"META-INF/container.xml" in names:
        return "an e-book (.epub)", f"{_CONVERT} with an e-book program"
    if has(b"application/vnd.oasis.opendocument.text"):
        return "an OpenDocument text (.odt)", _WORD_PROCESSOR
    if has(b"application/vnd.oasis.opendocument"):
        return "an OpenDocument file", f"{_CONVERT} in your office program"
    if has(b"Index/Document.iwa"):
        return "a Pages document", _WORD_PROCESSOR
    if any(name.split(b"/")[-1] == b"data.pkl" for name in names):
        return "a PyTorch file", OTHER
    if names and all(name.endswith(b".npy") for name in names):
        return "an archive of NumPy arrays", "write its text to a file first"
    return "a zip archive", _UNPACK


def _unmarked_encoding(start: bytes) -> str | None:
    """Return the encoding of a text in UTF-16 or UTF-32 that has no byte order mark, or None."""
    if start.count(0) <= MAX_CONTROLS:
        return None
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        width = 4 if "32" in encoding else 2
        if len(start) < FEW_BYTES and len(start) % width:
            continue
        try:
            text = codecs.getincrementaldecoder(encoding)("strict").decode(start)
        except UnicodeDecodeError:
            continue
        shown = sum(character.isprintable() or character.isspace() for character in text)
        # Texts have spaces, line ends or full stops; random bytes have hardly any.
        is_spaced = sum(map(text.count, " \n\u3002")) > 0.01 * len(text)
        is_plain = sum(character < "\x7f" for character in text) > 0.5 * len(text)
        if shown >= 0.98 * len(text) > 0 and (is_spaced or is_plain):
            return encoding
    return None
