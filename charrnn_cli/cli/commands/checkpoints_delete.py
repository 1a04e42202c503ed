"""`charrnn checkpoints rm`, `prune`, `export`, `import` and `verify`: what changes or checks the files."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from charrnn_cli.cli.options.completion import complete_reference, complete_run
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import size
from charrnn_cli.errors import ConfigError, StorageError
from charrnn_cli.storage.lock import check_unlocked, hold_lock
from charrnn_cli.storage.registry import Registry, is_path
from charrnn_cli.storage.runs import Run, prunable

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")]


def remove(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="REF...",
            help="RUN is all of a run; RUN@STEP one checkpoint.",
            autocompletion=complete_reference,
        ),
    ],
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Delete checkpoints or whole runs. Says what goes, and asks.

    Example: charrnn checkpoints rm anna-lstm-2x512@1200
    """
    registry = Registry()
    paths: dict[Path, None] = {}
    for reference in references:
        if is_path(reference):
            raise ConfigError(
                f"{reference} is a path",
                hint="rm deletes from the registry alone: name RUN or RUN@STEP",
            )
        if "@" in reference or reference in ("best", "latest"):
            path = registry.resolve(reference)
            paths[path] = None
        else:
            paths.update(dict.fromkeys(registry.run(reference).files()))
    _delete(list(paths), yes=yes, dry_run=dry_run)


def prune(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The run.", autocompletion=complete_run)
    ],
    keep: Annotated[
        int,
        typer.Option(min=1, help="The newest checkpoints that stay; best and latest always do."),
    ],
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Delete a run's older checkpoints; the best and the latest stay.

    Example: charrnn checkpoints prune anna-lstm-2x512 --keep 5
    """
    found = Registry().run(run)
    check_unlocked(found.path)
    _delete([entry.path for entry in prunable(found.checkpoints(), keep)], yes=yes, dry_run=dry_run)


def _delete(paths: list[Path], *, yes: bool, dry_run: bool) -> None:
    if not paths:
        console.say("", "nothing to delete")
        return
    total = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
        console.say("delete", f"{path.parent.name}/{path.name}")
    console.say("total", f"{len(paths)} file{'s' if len(paths) != 1 else ''}, {format_size(total)}")
    if dry_run:
        return
    with (
        contextlib.ExitStack() as locks
    ):  # also while it asks: nobody shall begin to train meanwhile
        directories = sorted({path.parent for path in paths})
        for directory in directories:
            locks.enter_context(hold_lock(directory))
        if not yes and not _confirmed():
            return
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(f"cannot delete {path}: {error.strerror}") from error
        for directory in directories:
            Run(directory.name, directory).discard_if_empty()


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            "nobody is there to confirm", hint="add --yes, or look first with --dry-run"
        )
    if typer.confirm("Delete them?", err=True):
        return True
    console.say("", "nothing was deleted")
    return False
