"""Arguments that name runs and checkpoints, and their shell completion."""

from typing import Annotated, Any

import typer

from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.errors import CharrnnError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.presets import PRESETS


def complete_reference(incomplete: str) -> list[str]:
    """Return matching runs or, after an @, matching checkpoints of a run."""
    try:
        return Registry().references(incomplete)
    except CharrnnError:  # completion cannot show an error
        return []


def complete_run(incomplete: str) -> list[str]:
    """Return matching runs."""
    return complete_reference(incomplete.partition("@")[0])


def complete_resumable(incomplete: str) -> list[str]:
    """Return matching values of `--resume`."""
    try:
        names = [run.name for run in Registry().runs()]  # the built-in model has nothing to resume
    except CharrnnError:
        names = []
    return [name for name in ["latest", *names] if name.startswith(incomplete)]


def complete_preset(incomplete: str) -> list[str]:
    """Return matching presets."""
    return [name for name in PRESETS if name.startswith(incomplete)]


def _reference_argument(metavar: str) -> Any:
    return typer.Argument(
        metavar=metavar,
        help=with_default(
            "RUN, RUN@best, RUN@latest, RUN@STEP, best, latest or a file.", "the newest run's best"
        ),
        show_default=False,
        autocompletion=complete_reference,
    )


ReferenceArgument = Annotated[str | None, _reference_argument("[REF]")]
ReferencesArgument = Annotated[list[str] | None, _reference_argument("[REF...]")]
