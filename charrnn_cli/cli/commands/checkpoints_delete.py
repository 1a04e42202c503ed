"""`charrnn checkpoints rm` and `prune`: delete checkpoints and runs."""

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from charrnn_cli.cli.options.completion import complete_reference, complete_run
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_size
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.built_in import check_changeable
from charrnn_cli.storage.lock import check_unlocked, hold_lock
from charrnn_cli.storage.references import is_path
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run, prunable

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="List the files without deleting them.")
]

_NAME_HINT = "use RUN, RUN@STEP, RUN@best or RUN@latest"


def remove(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="REF...",
            help="RUN for a whole run, RUN@STEP for one checkpoint.",
            autocompletion=complete_reference,
        ),
    ],
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Delete checkpoints or whole runs, after confirmation.

    Example: charrnn checkpoints rm anna-lstm-2x512@1200
    """
    registry = Registry()
    found: dict[str, tuple[Run, dict[Path, None]]] = {}  # an ordered set of paths per run
    for reference in references:
        if is_path(reference):
            raise ConfigError(f"rm does not accept a path: {reference}", hint="use RUN or RUN@STEP")
        name, at, which = reference.partition("@")
        # As of an unset shell variable: what is deleted must be named.
        if name in ("", "best", "latest") or (at and not which):
            raise ConfigError(f"rm does not accept {reference!r}", hint=_NAME_HINT)
        run = registry.run(name)
        check_changeable(run)
        chosen = [registry.entry(reference).path] if at else run.files()
        found.setdefault(run.name, (run, {}))[1].update(dict.fromkeys(chosen))
    _delete([(run, list(paths)) for run, paths in found.values()], yes=yes, dry_run=dry_run)


def prune(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run to prune.", autocompletion=complete_run)
    ],
    keep: Annotated[int, typer.Option(min=1, help="Number of newest checkpoints to keep.")],
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Delete a run's older checkpoints, but never the best or the latest.

    Example: charrnn checkpoints prune anna-lstm-2x512 --keep 5
    """
    found = Registry().run(run)
    check_changeable(found)
    paths = [entry.path for entry in prunable(found.checkpoints(), keep)]
    _delete([(found, paths)], yes=yes, dry_run=dry_run)


def _delete(chosen: list[tuple[Run, list[Path]]], *, yes: bool, dry_run: bool) -> None:
    """List the files, ask, and delete them. Raises ConfigError, RunBusyError, StorageError."""
    for run, _ in chosen:
        check_unlocked(run.path)
    paths = [path for _, of_run in chosen for path in of_run]
    if not paths:
        console.say("", "nothing to delete")
        return
    _list(paths)
    if dry_run:
        return
    with contextlib.ExitStack() as locks:
        # Lock before asking, so that no training starts before the answer.
        held = [
            (dataclasses.replace(run, held=locks.enter_context(hold_lock(run.path))), of_run)
            for run, of_run in chosen
        ]
        if not yes and not _confirmed():
            return
        for run, of_run in held:
            for path in of_run:
                run.remove(path)
            run.sweep()
            run.discard_if_empty()


def _list(paths: list[Path]) -> None:
    total = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
        console.say("delete", f"{path.parent.name}/{path.name}")
    console.say("total", f"{len(paths)} file{'s' if len(paths) != 1 else ''}, {format_size(total)}")


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            "cannot ask for confirmation because standard input is not a terminal",
            hint="add --yes to delete the files",
        )
    if typer.confirm("Delete these files?", err=True):
        return True
    console.say("", "nothing was deleted")
    return False
