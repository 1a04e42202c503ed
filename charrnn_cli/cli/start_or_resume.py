"""`--resume-if-exists`: one command that starts a run, and later goes on with it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.errors import ConfigError, MismatchError
from charrnn_cli.settings import option_name
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.run_names import check_new_run_name
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.follow_up import LIMITS

if TYPE_CHECKING:
    from charrnn_cli.training.resume import ResumePoint

LEAST_SECONDS, LEAST_SHARE = 20.0, 0.1  # of a time limit; a run with less left just ends


def is_started(name: str | None) -> bool:
    """Return whether a run goes on: it has saved something, or is being trained.

    Raises ConfigError without a name or for an invalid one.
    """
    if name is None:
        raise ConfigError("--resume-if-exists needs the name of a run", hint="add --run NAME")
    registry = Registry()
    run = Run(check_new_run_name(name), registry.root / name)
    return os.path.lexists(run.path) and (not run.is_remains() or run.is_training())


def settings_left(point: "ResumePoint", settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the rest of a run, whose parts share one time limit.

    If hardly any time is left, the run ends where it is.
    """
    limit = settings.get("max_time")
    if limit is None:
        return dict(settings)
    left = limit - point.snapshot.counters.seconds
    if left >= min(LEAST_SECONDS, LEAST_SHARE * limit):
        return {**settings, "max_time": left}
    others = {name: value for name, value in settings.items() if name not in LIMITS}
    return {**others, "max_steps": point.step}


def check_held_out_paths(name: str | None, typed: Mapping[str, Path | None]) -> None:
    """Check that the held-out texts which are typed are the run's.

    Raises MismatchError, and what `open_resume_point` raises.
    """
    if not any(typed.values()):
        return
    from charrnn_cli.training.resume import open_resume_point

    point = open_resume_point(str(name), Registry())
    source = point.snapshot.source
    known = {} if source is None else source.held_out
    for field, path in typed.items():
        before = known.get(field)
        if path is not None and path.absolute() != before:
            option = option_name(field)
            raise MismatchError(
                f"run {point.run.name!r} was trained "
                + (f"without {option}" if before is None else f"with {option} {before}"),
                hint=f"leave out {option}, or use another --run NAME",
            )
