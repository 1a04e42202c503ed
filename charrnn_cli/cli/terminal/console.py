"""Standard output carries results, standard error carries messages.

Text from files and users goes through `safe` before it is printed, and is never parsed as markup.
"""

import contextlib
import errno
import functools
import json
import math
import os
import re
import shlex
import sys
import traceback
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from charrnn_cli.errors import CharrnnError, ConfigError, StorageError

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH = 8
MAX_ERROR = 500  # characters of an error or a hint, its label included
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\u2028\u2029")
# Characters that json.dumps does not escape; JSON may contain them, but a terminal obeys them.
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f\ud800-\udfff{''.join(sorted(_BIDI | _LINE_BREAKS))}]")


class ReaderGoneError(CharrnnError):
    """The reader of standard output closed the pipe, as `| head` does; nothing is reported."""

    exit_code = 141


def safe(text: str, keep: str = "") -> str:
    """Escape control characters, bidi overrides, line separators and surrogates not in `keep`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in keep or not _is_unsafe(character) else _visible(character)
        for character in text
    )


def _is_unsafe(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs")
        or character in _BIDI
        or character in _LINE_BREAKS
    )


def _visible(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


# ---- standard output: results


def write(text: str) -> None:
    """Write text and flush: escaped on a terminal, exact UTF-8 in a pipe or file.

    Raises ReaderGoneError, StorageError.
    """
    write_styled(safe(text, keep="\n\t") if sys.stdout.isatty() else text)


def write_styled(text: str) -> None:
    """Write text that may contain escape sequences for colors; all other text must be safe."""
    try:
        if sys.stdout.isatty():
            sys.stdout.write(text)
        else:
            sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
        sys.stdout.flush()
    except OSError as error:
        _standard_output_failed(error)


def write_bytes(data: bytes) -> None:
    """Write bytes and flush. Raises ConfigError on a terminal, ReaderGoneError, StorageError."""
    if sys.stdout.isatty():
        raise ConfigError(
            "cannot write binary data to a terminal",
            hint="specify a file with --output, or redirect standard output",
        )
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
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


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON that is also safe on a terminal; numbers that are not finite become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


@functools.cache
def stdout_console() -> "Console":
    """The console on standard output."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


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


@functools.cache
def stderr_console() -> "Console":
    """The console on standard error, shared so that messages and the live display do not collide.

    Write errors are ignored.
    """
    from rich.console import Console

    return Console(file=cast("TextIO", _Tolerant()), highlight=False, markup=False, emoji=False)


class _Tolerant:
    """Standard error that ignores write errors, so that training survives a closed terminal."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def say(label: str, text: str) -> None:
    """Print a message with its label in a separate column; lines wrap only on a terminal."""
    if is_fancy(sys.stderr):
        print_labelled(stderr_console(), label, text, LABEL_WIDTH)
    else:
        _write_error(f"{label:<{LABEL_WIDTH}}{safe(text)}\n" if label else safe(text) + "\n")


def print_labelled(console: "Console", label: str, text: str, label_width: int) -> None:
    """Print a label and its text, wrapped in a separate column; commands can still be copied."""
    from rich.table import Table
    from rich.text import Text

    text, style = safe(text), "bold cyan"
    if text.startswith("charrnn "):
        lines = _continued(text, console.width - label_width)
        for number, line in enumerate(lines):
            shown = "" if number else label
            # The terminal wraps a part that is still too long, and copies it as one line.
            console.print(Text.assemble((shown.ljust(label_width), style), line), soft_wrap=True)
        return
    grid = Table.grid()
    grid.add_column(width=label_width)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style=style), Text(text))
    console.print(grid)


def _continued(command: str, width: int) -> list[str]:
    """Split a command before its options into lines that a shell reads as one command."""
    try:
        words = [shlex.quote(word) for word in shlex.split(command)]
    except ValueError:
        words = []
    if " ".join(words) != command:  # a sentence, not a command
        return [command]
    parts: list[str] = []
    for word in words:
        if parts and not word.startswith("-"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + len("  \\") <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def print_error(message: str, hint: str | None) -> None:
    """Print an `error:` line and, if there is a hint, a `hint:` line, both of limited length."""
    lines = [("error:", _one_line(message, MAX_ERROR - len("error: ")), "bold red")]
    if hint:
        lines.append(("hint:", _one_line(hint, MAX_ERROR - len("hint: ")), "bold cyan"))
    if not is_fancy(sys.stderr):
        _write_error("".join(f"{label} {text}\n" for label, text, _ in lines))
        return
    from rich.text import Text

    for label, text, style in lines:  # a hint may contain a command to copy
        stderr_console().print(
            Text.assemble((label, style), " ", text), soft_wrap=label == "hint:", overflow="fold"
        )


def print_traceback(error: BaseException) -> None:
    """Print an exception and where it was raised."""
    _write_error(safe("".join(traceback.format_exception(error)), keep="\n\t"))


def _one_line(text: str, limit: int) -> str:
    """Return the text in one line; one that is too long loses its middle."""
    line = safe(" ".join(text.split("\n")))
    if len(line) <= limit:
        return line
    half = (limit - len(" … ")) // 2
    return f"{line[:half]} … {line[-half:]}"


def _write_error(text: str) -> None:
    stream = _Tolerant()
    stream.write(text)
    stream.flush()
