"""How `--help` looks: panels on a terminal, plain lines elsewhere."""

import os
import shutil
import sys
from typing import Literal

MIN_COLUMNS = 60  # rich truncates tables on narrower terminals


def help_style() -> Literal["rich"] | None:
    """Choose panels on a wide terminal, and plain lines in a pipe or on a narrow one."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    wide = shutil.get_terminal_size().columns >= MIN_COLUMNS
    return "rich" if wide and (is_terminal or os.environ.get("FORCE_COLOR")) else None


def with_default(text: str, default: object) -> str:
    """Return an option's help with its default, styled like Typer's own defaults."""
    shown = f"[default: {default}]"
    return f"{text} [dim]\\{shown}[/dim]" if help_style() else f"{text}  {shown}"
