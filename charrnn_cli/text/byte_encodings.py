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
# Here a mark or a backslash in ASCII bytes can stand for something else.
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
    if codecs.lookup(encoding).name.replace("_", "-") in _NOT_PLAIN:
        return False
    ascii_bytes = bytes(range(128))
    try:
        return ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except UnicodeError:
        return False
