"""Standard output carries results, standard error carries messages.

Text from files and users goes through `safe` before it is printed, and is never parsed as markup.
"""

import contextlib
import errno
import functools
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from charrnn_cli.cli import process
from charrnn_cli.cli.terminal.outlet import PATIENCE, Outlet, put
from charrnn_cli.cli.terminal.safe_text import safe, to_json
from charrnn_cli.cli.terminal.wrapping import print_block, print_labelled
from charrnn_cli.errors import (
    CharrnnError,
    ConfigError,
    InterruptionError,
    StorageError,
)
from charrnn_cli.storage.clock import utc_now

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH = 8
# Jupyter sets the first for what a notebook runs, and Colab the others. Both have terminals.
NOTEBOOKS = ("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "COLAB_GPU")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
EXIT_PATIENCE = 0.1  # seconds, for a write before an exit at once

_OUT, _ERR = Outlet(), Outlet()


class ReaderGoneError(CharrnnError):
    """The reader of standard output closed the pipe, as `| head` does; nothing is reported."""

    exit_code = 141


# ---- standard output: results


def write(text: str) -> None:
    """Write text and flush: escaped on a terminal, exact UTF-8 in a pipe or file.

    Raises ReaderGoneError, StorageError, InterruptionError if nobody reads after a signal.
    """
    write_styled(safe(text, keep="\n\t") if sys.stdout.isatty() else text)


def write_styled(text: str) -> None:
    """Write text that may contain escape sequences for colors; all other text must be safe.

    Raises as `write` does.
    """
    is_terminal = sys.stdout.isatty()
    encoding = sys.stdout.encoding if is_terminal else "utf-8"
    _write_result(text.encode(encoding, "backslashreplace" if is_terminal else "surrogatepass"))


def write_bytes(data: bytes) -> None:
    """Write bytes and flush. Raises ConfigError on a terminal, and as `write` does."""
    if sys.stdout.isatty():
        raise ConfigError(
            "cannot write binary data to a terminal",
            hint="specify a file with --output, or redirect standard output",
        )
    _write_result(data)


def _write_result(data: bytes) -> None:
    if data and process.was_output_closed():
        raise ReaderGoneError("standard output was closed")
    try:
        _OUT.run(lambda: put(sys.stdout, data))
    except OSError as error:
        _standard_output_failed(error)


def write_path(path: Path) -> None:
    """Write a line with a path; a pipe or file gets the bytes of its name."""
    if sys.stdout.isatty():
        write_line(str(path))
    else:
        write_bytes(os.fsencode(path) + b"\n")


def write_line(text: str = "") -> None:
    write(text + "\n")


def write_json(value: Any) -> None:
    write_line(to_json(value, indent=2))


@functools.cache
def stdout_console() -> "Console":
    """The console on standard output."""
    from rich.console import Console

    return Console(file=cast("TextIO", _Results()), highlight=False, markup=False, emoji=False)


class _Results:
    """Standard output as a file for rich."""

    def write(self, text: str) -> int:
        write_styled(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing, because every write flushes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


def _standard_output_failed(error: OSError) -> NoReturn:
    # Otherwise, the interpreter flushes the buffer at exit, fails again and prints an error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno in (errno.EPIPE, errno.EIO):
        raise ReaderGoneError("standard output was closed") from error
    raise StorageError(f"cannot write to standard output: {error.strerror}") from error


# ---- standard error: messages


def is_fancy(stream: TextIO) -> bool:
    """Whether the stream is a terminal that accepts colors and live output."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def is_live(stream: TextIO) -> bool:
    """Whether lines on the stream can be redrawn; in a notebook, each redrawing would stay."""
    return is_fancy(stream) and not any(name in os.environ for name in NOTEBOOKS)


@functools.cache
def stderr_console() -> "Console":
    """The console on standard error, shared so that messages and the live display do not collide.

    Write errors are ignored.
    """
    from rich.console import Console

    return Console(file=cast("TextIO", _Tolerant()), highlight=False, markup=False, emoji=False)


class _Tolerant:
    """Standard error that ignores write errors, so that training survives a closed terminal.

    What a blocked terminal does not take after a signal is lost.
    """

    cursor_hidden = False

    def write(self, text: str) -> int:
        hidden, shown = text.rfind(HIDE_CURSOR), text.rfind(SHOW_CURSOR)
        if hidden != shown:
            _Tolerant.cursor_hidden = hidden > shown
        write_error(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing, because every write flushes."""

    @property
    def rich_proxied_file(self) -> "_Tolerant":
        """The file that rich writes to; its live display would find another one in `sys.stderr`."""
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def say(label: str, text: str) -> None:
    """Print a message with its label in a separate column; lines wrap only on a terminal."""
    if is_fancy(sys.stderr):
        print_labelled(stderr_console(), label, text, LABEL_WIDTH)
    else:
        write_error(f"{label:<{LABEL_WIDTH}}{safe(text)}\n" if label else safe(text) + "\n")


def say_styled(label: str, text: str) -> None:
    """Print a short message that may contain escape sequences for colors, and is safe."""
    write_error(f"{label:<{LABEL_WIDTH}}{text}\n")


def say_now(text: str) -> None:
    """Print a line of progress after the time of day; it is never wrapped."""
    write_error(f"{utc_now()}  {safe(text)}\n")


def say_block(label: str, lines: Sequence[str], style: str) -> None:
    """Print the lines of a text on a terminal, with a label in a separate column."""
    print_block(stderr_console(), label, lines, LABEL_WIDTH, style)


def print_traceback(error: BaseException) -> None:
    """Print an exception and where it was raised."""
    write_error(safe("".join(traceback.format_exception(error)), keep="\n\t"))


def show_cursor() -> None:
    """Show the cursor again if a live display has hidden it; for an exit at once."""
    if _Tolerant.cursor_hidden:
        write_error(SHOW_CURSOR, EXIT_PATIENCE)


def end_echo(number: int) -> None:
    """On a terminal, end the line on which it has echoed the ^C of SIGINT."""
    if number == signal.SIGINT and sys.stderr.isatty():
        write_error("\n")


def write_error(text: str, patience: float = PATIENCE) -> None:
    """Write text as it is; errors are ignored."""

    # While rich's live display runs, `sys.stderr` is a proxy that would draw it again.
    stream = getattr(sys.stderr, "rich_proxied_file", sys.stderr)

    data = text.encode(stream.encoding or "utf-8", "backslashreplace")
    with contextlib.suppress(OSError, ValueError, InterruptionError):
        _ERR.run(lambda: put(stream, data), patience)


# ---- both


def is_busy() -> bool:
    """Whether a write was given up after a signal, so that flushing a stream would wait."""
    return _OUT.is_busy or _ERR.is_busy
