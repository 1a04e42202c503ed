"""The log of an internal error: where it happened, without texts, primes, names or values."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from charrnn_cli.errors import CharrnnError
from charrnn_cli.storage.opening import open_new
from charrnn_cli.storage.paths import logs_directory, make_directory
from charrnn_cli.version import __version__

LEFT_OUT = "..."
_PARTS = 3  # of the path of a source file; the rest would name the user's directories


def write_crash_log(error: BaseException, known_words: Collection[str]) -> Path | None:
    """Write a private log of an error, and return its path; None if no file can be written.

    It goes to the directory of logs or, if that cannot be used, to a new directory in the system's
    temporary directory. `known_words` are the names of commands and options.
    """
    story = "".join(f"{line}\n" for line in _story(error, known_words))
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for directory in (_logs, _new_temporary_directory):
        with contextlib.suppress(OSError, CharrnnError):
            path = directory() / name
            with open_new(path) as file:
                file.write(story.encode("utf-8", "backslashreplace"))
            return path
    return None


def _logs() -> Path:
    return make_directory(logs_directory())


def _new_temporary_directory() -> Path:
    import tempfile  # takes 10 ms

    return Path(tempfile.mkdtemp(prefix="charrnn-"))


def _story(error: BaseException, known_words: Collection[str]) -> Iterator[str]:
    yield f"charrnn {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    yield " ".join(["charrnn", *redacted(sys.argv[1:], known_words)])
    yield f"Option values, other arguments and all error messages were left out ({LEFT_OUT})."
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield ""
        yield f"{_kind(following)}, most recent call last:"
        for frame, line in traceback.walk_tb(following.__traceback__):
            place = "/".join(Path(frame.f_code.co_filename).parts[-_PARTS:])
            yield f"  {place}:{line} in {frame.f_code.co_name}"
        context = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or context


def _kind(error: BaseException) -> str:
    """Return the type of an exception, and the number of a system error."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return f"{name} {error.errno}" if isinstance(error, OSError) else name


def redacted(words: Sequence[str], known_words: Collection[str]) -> list[str]:
    """Replace all words of a command line but the names of commands and options.

    A value that is joined to its option is replaced as well.
    """
    shown = []
    for word in words:
        name, equals, _ = word.partition("=")
        if name in known_words:
            shown.append(f"{name}={LEFT_OUT}" if equals else name)
        elif word[:2] in known_words:  # a short option and its value
            shown.append(word[:2] + LEFT_OUT)
        else:
            shown.append(LEFT_OUT)
    return shown
