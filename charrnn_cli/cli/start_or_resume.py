"""`--resume-if-exists`: one command that starts a run, and later goes on with it."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.next_commands import AFRESH
from charrnn_cli.errors import ConfigError, MismatchError, RunBusyError
from charrnn_cli.settings import option_name
from charrnn_cli.storage.references import is_path
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.run_names import check_new_run_name
from charrnn_cli.storage.runs import Run

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
    from charrnn_cli.training.follow_up import LIMITS  # imports numpy

    others = {name: value for name, value in settings.items() if name not in LIMITS}
    return {**others, "max_steps": point.step}


@contextlib.contextmanager
def refusing_a_rival(name: str | None) -> Iterator[None]:
    """Say of a run that another process has started meanwhile that it is busy, not misnamed.

    Raises RunBusyError, and what the block raises.
    """
    try:
        yield
    except ConfigError as error:
        if not is_started(name):
            raise
        raise RunBusyError(
            f"another process has just started run {name!r}", hint="try again later"
        ) from error


def check_origin(name: str | None, typed: Mapping[str, Path | None], init_from: str | None) -> None:
    """Check that the held-out texts and the initial checkpoint which are typed are the run's.

    Raises MismatchError, and what `open_resume_point` raises.
    """
    if init_from is None and not any(typed.values()):
        return
    from charrnn_cli.training.resume import open_resume_point

    point = open_resume_point(str(name), Registry())
    source = point.snapshot.source
    known = {} if source is None else source.held_out
    for field, path in typed.items():
        if path is not None and path.absolute() != known.get(field):
            raise _mismatch(point.run, field, known.get(field))
    start = None if source is None else source.init_from
    if init_from is not None and not _is_same_start(init_from, start):
        raise _mismatch(point.run, "init_from", start)


def _is_same_start(typed: str, recorded: str | None) -> bool:
    """Return whether a run may have started as typed; `latest` and paths may mean anything."""
    if typed == AFRESH or recorded is None:
        return (typed == AFRESH) == (recorded is None)
    names = [reference.partition("@")[0] for reference in (typed, recorded)]
    return names[0] in ("best", "latest", names[1]) or is_path(typed)


def _mismatch(run: Run, field: str, recorded: object) -> MismatchError:
    option = option_name(field)
    return MismatchError(
        f"run {run.name!r} was trained "
        + (f"without {option}" if recorded is None else f"with {option} {recorded}"),
        hint=f"leave out {option}, or use another --run NAME",
    )
