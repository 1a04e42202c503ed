"""What reaches a terminal: standard output is the product, standard error the conversation.

Every string from outside passes `safe` first and is never parsed as markup.
"""

import contextlib
import errno
import functools
import json
import os
import shlex
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from charrnn_cli.errors import CharrnnError, StorageError

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH = 8
GAP = 2  # between the columns of a table
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\u2028\u2029")


class ReaderGoneError(CharrnnError):
    """Whoever read standard output went away, as `| head` does; nothing to tell."""

    exit_code = 141


def safe(text: str, keep: str = "") -> str:
    """Make control characters, escapes, bidi overrides and surrogates visible, but for those in `keep`."""
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


# ---- standard output: the product


def write(text: str) -> None:
    """Write and flush; UTF-8 exactly where a program reads. Raises ReaderGoneError, StorageError."""
    try:
        if sys.stdout.isatty():
            sys.stdout.write(text)
        else:
            sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
        sys.stdout.flush()
    except OSError as error:
        _standard_output_failed(error)


def write_bytes(data: bytes) -> None:
    """Write a binary product and flush. Raises ReaderGoneError, StorageError."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as error:
        _standard_output_failed(error)


def write_line(text: str = "") -> None:
    write(text + "\n")


def write_json(value: Any) -> None:
    write_line(json.dumps(value, ensure_ascii=False, indent=2))


def write_fields(fields: Iterable[tuple[str, str]], label_width: int) -> None:
    """Labels and what they say: folded in their column on a terminal, a line each for a program."""
    if is_fancy(sys.stdout):
        console = _stdout_console()
        for label, text in fields:
            _print_labelled(console, label, text, label_width)
    else:
        write("".join(f"{label:<{label_width}}{safe(text)}\n" for label, text in fields))


def write_table(columns: list[str], rows: list[list[str]], spare: Sequence[str] = ()) -> None:
    """A table on a terminal; tab-separated lines, never cut, for a program. Columns ending in `>` are numbers.

    On a narrow terminal the columns named in `spare` are left out, in this order, until the rest fits.
    """
    names = [column.rstrip(">") for column in columns]
    if not is_fancy(sys.stdout):
        write("".join("\t".join(safe(cell) for cell in row) + "\n" for row in [names, *rows]))
        return
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    console = _stdout_console()
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = {
        name: GAP + max(1, *(cell_len(text) for text in (name, *(row[column] for row in cells))))
        for column, name in enumerate(names)
    }
    left_out: list[str] = []
    while sum(widths.values()) - GAP > console.width and len(left_out) < len(spare):
        left_out.append(spare[len(left_out)])
        del widths[left_out[-1]]
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, name in zip(columns, names, strict=True):
        if name in widths:
            table.add_column(
                Text(name), justify="right" if column.endswith(">") else "left", overflow="fold"
            )
    for row in cells:
        table.add_row(
            *(Text(cell) for name, cell in zip(names, row, strict=True) if name in widths)
        )
    console.print(table)
    if left_out:
        say("", f"no room for {', '.join(left_out)}")


@functools.cache
def _stdout_console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _standard_output_failed(error: OSError) -> NoReturn:
    # What is still buffered would fail again when the interpreter ends, and say so.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno in (errno.EPIPE, errno.EIO):
        raise ReaderGoneError("standard output was closed") from error
    raise StorageError(f"cannot write to standard output: {error.strerror}") from error


# ---- standard error: the conversation


def is_fancy(stream: TextIO) -> bool:
    """Whether a person looks at this stream through a terminal that may be drawn on."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


@functools.cache
def stderr_console() -> "Console":
    """The one console on standard error, so that a line does not run into what is drawn live.

    A terminal that goes away is no error.
    """
    from rich.console import Console

    return Console(file=cast("TextIO", _Tolerant()), highlight=False, markup=False, emoji=False)


class _Tolerant:
    """Standard error, whose loss nobody notices: whoever works for hours must not end with the terminal."""

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
    """One line of conversation, its label in a column; folded on a terminal, never in a pipe."""
    if is_fancy(sys.stderr):
        _print_labelled(stderr_console(), label, text, LABEL_WIDTH)
    else:
        _write_error(f"{label:<{LABEL_WIDTH}}{safe(text)}\n" if label else safe(text) + "\n")


def _print_labelled(console: "Console", label: str, text: str, label_width: int) -> None:
    from rich.table import Table
    from rich.text import Text

    text, style = safe(text), "bold cyan"
    if text.startswith("charrnn "):
        lines = _continued(text, console.width - label_width)
        for number, line in enumerate(lines):
            shown = "" if number else label
            # What has no option to be cut at is left to the terminal, whose own break is none when it is copied.
            console.print(Text.assemble((shown.ljust(label_width), style), line), soft_wrap=True)
        return
    grid = Table.grid()
    grid.add_column(width=label_width)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style=style), Text(text))
    console.print(grid)


def _continued(command: str, width: int) -> list[str]:
    """A command in lines that the shell reads as one, cut before options."""
    try:
        words = [shlex.quote(word) for word in shlex.split(command)]
    except ValueError:
        words = []
    if " ".join(words) != command:  # a sentence that begins like one
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
    """`error:` and, where there is one, `hint:`; a line each."""
    lines = [("error:", _one_line(message), "bold red")]
    if hint:
        lines.append(("hint:", _one_line(hint), "bold cyan"))
    if not is_fancy(sys.stderr):
        _write_error("".join(f"{label} {text}\n" for label, text, _ in lines))
        return
    from rich.text import Text

    for label, text, style in lines:  # a hint may be a command to copy
        stderr_console().print(
            Text.assemble((label, style), " ", text), soft_wrap=label == "hint:", overflow="fold"
        )


def _one_line(text: str) -> str:
    return safe(" ".join(text.split("\n")))


def _write_error(text: str) -> None:
    stream = _Tolerant()
    stream.write(text)
    stream.flush()
