"""Labels and texts in two columns, wrapped to the width of a terminal."""

import functools
import io
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn_cli.cli.terminal.safe_text import safe

if TYPE_CHECKING:
    from rich.console import Console

LABEL_STYLE = "bold cyan"
UNBROKEN = "\ue000"  # stands for a space at which no line ends; a private character of one column


def print_labelled(
    console: "Console", label: str, text: str, label_width: int, label_style: str = LABEL_STYLE
) -> None:
    """Print a label and its text, wrapped in a separate column; commands can still be copied."""
    text = safe(text)
    width = max(1, console.width - label_width)
    # The terminal wraps a part of a command that is still too long, and copies it as one line.
    lines = _continued(text, width) if text.startswith("charrnn ") else folded(text, width)
    _print_lines(console, label, lines, label_width, label_style=label_style)


def print_block(
    console: "Console", label: str, lines: Sequence[str], label_width: int, style: str
) -> None:
    """Print a label and the lines of a text, each wrapped, in a separate column."""
    width = max(1, console.width - label_width)
    parts = [part for line in lines for part in folded(safe(line), width)]
    _print_lines(console, label, parts, label_width, style)


def _print_lines(
    console: "Console",
    label: str,
    lines: Sequence[str],
    label_width: int,
    style: str = "",
    label_style: str = LABEL_STYLE,
) -> None:
    from rich.text import Text

    text = Text()
    for number, line in enumerate(lines):
        shown = "\n" if number else label
        indent = label_width + bool(number) if line else 0
        text.append(shown.ljust(indent), label_style).append(line, style)
    console.print(text, soft_wrap=True)  # at once, because a live display is drawn after each print


def folded(text: str, width: int) -> list[str]:
    """Split a text into lines of at most this width on a terminal, between words if possible.

    A command in backquotes counts as one word, so that it can be copied.
    """
    from rich.cells import cell_len
    from rich.text import Text

    if cell_len(text) <= width:
        return [text]
    joined = re.sub(r"`[^`]*`", lambda found: found[0].replace(" ", UNBROKEN), text)
    lines = Text(joined).wrap(_unused_console(), width, overflow="fold")
    return [line.plain.replace(UNBROKEN, " ").rstrip() for line in lines]


@functools.cache
def _unused_console() -> "Console":
    """A console for rich's wrapping, which only asks it for the width of tabs."""
    from rich.console import Console

    return Console(file=io.StringIO())


def _continued(command: str, width: int) -> list[str]:
    """Split a command before its options into lines that a shell reads as one command."""
    try:
        words = [shlex.quote(word) for word in shlex.split(command)]
    except ValueError:
        words = []
    if " ".join(words) != command:  # a sentence, not a command
        return folded(command, width)
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
