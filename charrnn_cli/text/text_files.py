"""Opening text files, plain or compressed with gzip."""

import contextlib
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from charrnn_cli.errors import CharrnnError, TextError
from charrnn_cli.storage.near_names import near_files_hint
from charrnn_cli.storage.opening import open_regular

_GZIP_MAGIC = b"\x1f\x8b"


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
        raise TextError(f"no file named {name}", hint=near_files_hint(path))
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path, follow=True))
        except CharrnnError as error:
            raise TextError(error.message, hint="use a readable text file") from error
        with translated_errors(name):
            yield file


@contextlib.contextmanager
def translated_errors(name: str) -> Iterator[None]:
    """Turn the errors of reading a file, in the `with` block, into TextErrors."""
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
