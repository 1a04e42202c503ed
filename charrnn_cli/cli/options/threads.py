"""The option --threads of commands that generate or score text."""

from typing import Any

import typer

from charrnn_cli.cli.options.help_style import with_default

MAX_THREADS = 1024


def threads_option(default: str) -> Any:
    """Declare the option --threads; its help shows `default`, the number of threads without it."""
    return typer.Option(
        min=1,
        max=MAX_THREADS,
        envvar="CHARRNN_THREADS",
        show_default=False,
        help=with_default("Number of CPU threads.", default),
    )
