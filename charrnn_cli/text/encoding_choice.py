"""Choosing one of several encodings for a file: the first in which it is valid."""

import codecs
import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from charrnn_cli.config import TextOptions
from charrnn_cli.storage.opening import CHUNK_BYTES
from charrnn_cli.text.byte_encodings import is_ascii_superset
from charrnn_cli.text.text_files import decompressed, open_text


def preferring_utf8(options: TextOptions) -> TextOptions:
    """Return options with which files that are valid UTF-8 are read as such, the others as before.

    Of several files, some are often UTF-8 and others older. A single encoding in which ASCII bytes
    stand for other characters, such as UTF-16, stays as it is.
    """
    names = [codecs.lookup(encoding).name for encoding in options.encodings]
    if "utf-8" in names or (len(names) == 1 and not is_ascii_superset(names[0])):
        return options
    return dataclasses.replace(options, encoding=f"utf-8,{options.encoding}")


def encoding_of(
    path: Path,
    options: TextOptions,
    name: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> str:
    """Return the first of several encodings in which a file is valid, or else the last.

    For each encoding, the file is read up to its first invalid byte; `check` is called often, and
    may raise an exception to stop. Error messages call the file `name`. Raises TextError.
    """
    if len(options.encodings) == 1:
        return options.encodings[0]
    with open_text(path, name) as raw:
        return first_fitting(raw, options.encodings, check)


def first_fitting(
    raw: BinaryIO, encodings: Sequence[str], check: Callable[[], None] = lambda: None
) -> str:
    """Return the encoding of an open file as `encoding_of` does, and return to the file's start."""
    *others, last = encodings
    for encoding in others:
        try:
            # A text in UTF-16 may be valid in other encodings, but for its NUL bytes.
            if decodes(decompressed(raw), encoding, check, nul=not is_ascii_superset(encoding)):
                return encoding
        finally:
            raw.seek(0)
    return last


def decodes(
    file: BinaryIO,
    encoding: str,
    check: Callable[[], None] = lambda: None,
    *,
    nul: bool = True,
    most: float = math.inf,
) -> bool:
    """Return whether the rest of a file is valid in an encoding, or its first `most` bytes are.

    Without `nul`, a NUL byte is not valid. `check` is called often.
    """
    decoder, done, chunk = codecs.getincrementaldecoder(encoding)(), 0, b"\0"
    try:
        while chunk and done < most:
            chunk = file.read(CHUNK_BYTES)
            if not nul and b"\0" in chunk:
                return False
            decoder.decode(chunk, final=not chunk)
            done += len(chunk)
            check()
    except UnicodeError:
        return False
    return True
