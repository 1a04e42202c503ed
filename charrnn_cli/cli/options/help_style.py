"""How `--help` looks: panels for a person, plain lines for a program."""

import os
import shutil
import sys
from typing import Literal

RICH_HELP = 60  # columns; its tables would be cut below that


def help_style() -> Literal["rich"] | None:
    """Panels where a person reads, plain lines in a pipe and on a narrow terminal."""
    looks = sys.stdout is not None and sys.stdout.isatty()
    wide = shutil.get_terminal_size().columns >= RICH_HELP
    return "rich" if wide and (looks or os.environ.get("FORCE_COLOR")) else None


def with_default(text: str, default: object) -> str:
    """An option's help with the default that its preset or its text decides, as Typer shows one that it knows."""
    return (
        f"{text} [dim]\\[default: {default}][/dim]"
        if help_style()
        else f"{text}  [default: {default}]"
    )
