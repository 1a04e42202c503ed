"""The model of English prose that comes with the package: a run that nobody can change."""

from importlib import resources
from pathlib import Path

from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.runs import Run

NAME = "english"


def built_in_run() -> Run:
    """Return the built-in model as a run; a run of its name in the registry takes its place."""
    return Run(NAME, Path(str(resources.files("charrnn_cli") / "data" / NAME)))


def is_built_in(run: Run) -> bool:
    """Return whether a run is the built-in model."""
    return run.path == built_in_run().path


def hides_built_in(run: Run) -> bool:
    """Return whether a run has the built-in model's name, and so takes its place."""
    return run.name == NAME and not is_built_in(run)


def check_changeable(run: Run) -> None:
    """Raise ConfigError for the built-in model."""
    if is_built_in(run):
        raise ConfigError(
            f"{run.name} is built in, and cannot be deleted",
            hint="run `charrnn checkpoints list` to see all runs",
        )
