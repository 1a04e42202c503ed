"""Properties of encodings: byte order marks, and whether bytes below 0x80 are ASCII."""

import codecs
import functools

# Longer marks first: the mark of UTF-32 starts with the mark of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# All ASCII characters, and sequences that switch ISO-2022 encodings to other alphabets.
_ASCII = bytes(range(128)) + b"\x1b$B$$\x1b(B\x1b$)C\n\x0e!!\x0f"
# Here a mark, or a backslash with ASCII letters, stands for something else.
_NOT_PLAIN = {"utf-8-sig", "unicode-escape", "raw-unicode-escape"}


def byte_order_mark(start: bytes, encoding: str) -> tuple[bytes, str]:
    """Return the mark at the start of a file and its encoding; `b""` and `encoding` without one."""
    for mark, marked_encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return mark, marked_encoding
    return b"", encoding


@functools.cache
def is_ascii_superset(encoding: str) -> bool:
    """Return whether every byte below 0x80 is its ASCII character, wherever it begins a character.

    UTF-16, UTF-32, UTF-7, ISO-2022, HZ and EBCDIC are not such encodings.
    """
    if codecs.lookup(encoding).name in _NOT_PLAIN:
        return False
    try:
        return _ASCII.decode(encoding) == _ASCII.decode("ascii")
    except UnicodeError:
        return False
