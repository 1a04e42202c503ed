"""A progress bar for work on a known number of bytes."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.console import is_fancy, stderr_console


@contextlib.contextmanager
def bytes_progress(title: str, stop: StopRequest) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for the bytes done and the total; a terminal shows them as a bar.

    The callback raises InterruptionError once a signal has arrived.
    """
    if not is_fancy(sys.stderr):
        yield lambda done, total: stop.check()
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as progress:
        task = progress.add_task(title, total=None)

        def report(done: int, total: int) -> None:
            stop.check()
            progress.update(task, completed=done, total=total)

        yield report
