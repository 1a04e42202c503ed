"""Options and arguments that name runs and checkpoints, completed by the shell."""

from typing import Annotated

import typer

from charrnn_cli.config import PRESETS
from charrnn_cli.errors import CharrnnError
from charrnn_cli.storage.registry import Registry


def complete_reference(incomplete: str) -> list[str]:
    """Runs, and after an @ their checkpoints."""
    try:
        return Registry().references(incomplete)
    except CharrnnError:  # a shell that completes has no place for errors
        return []


def complete_run(incomplete: str) -> list[str]:
    return complete_reference(incomplete.partition("@")[0])


def complete_resumable(incomplete: str) -> list[str]:
    return [name for name in ["latest", *complete_run(incomplete)] if name.startswith(incomplete)]


def complete_preset(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


ReferenceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[REF]",
        help="RUN, RUN@best, RUN@latest, RUN@STEP, best, latest or a file. Default: the newest run's best.",
        show_default=False,
        autocompletion=complete_reference,
    ),
]
