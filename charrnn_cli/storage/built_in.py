"""The model of English prose that comes with the package: a run that nobody can change."""

import os
from importlib import resources
from pathlib import Path

from charrnn_cli.errors import ConfigError, NotFoundError
from charrnn_cli.storage.runs import Run

NAME = "english"
REINSTALL_HINT = "install charrnn again"


def built_in_run() -> Run:
    """Return the built-in model as a run; a run of its name in the registry takes its place."""
    return Run(NAME, Path(str(resources.files("charrnn_cli") / "data" / NAME)))


def is_built_in(run: Run) -> bool:
    """Return whether a run is the built-in model."""
    return run.path == built_in_run().path


def hides_built_in(run: Run) -> bool:
    """Return whether a run has the built-in model's name, and so takes its place.

    What a run leaves that never saved does not.
    """
    if run.name != NAME or is_built_in(run) or not os.path.isdir(run.path):
        return False
    return not run.is_remains() or run.is_training()


def missing_built_in() -> NotFoundError:
    """Return the error for a built-in model without its file."""
    return NotFoundError(f"the built-in model {NAME!r} has no readable file", hint=REINSTALL_HINT)


def check_changeable(run: Run) -> None:
    """Raise ConfigError for the built-in model."""
    if is_built_in(run):
        raise ConfigError(
            f"{run.name} is built in, and cannot be deleted",
            hint="run `charrnn checkpoints list` to see all runs",
        )
