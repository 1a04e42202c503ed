"""What the program is doing before it has a result: a transient line on a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar

from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.console import is_live, say_now, stderr_console

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

Result = TypeVar("Result")

LONGEST_SILENCE = 2.0  # seconds
SECONDS_TO_LOAD = 3.0  # torch, on a busy machine
SECONDS_TO_TIME = 4.0  # the first steps


class Phases:
    """One part of the work after the other, until the block ends or `close` is called.

    A terminal shows the present part in a line that disappears, with a bar if its size is known.
    Elsewhere, a part that may take more than two seconds has a line that stays.
    """

    def __init__(self, stop: StopRequest, *, quiet: bool = False) -> None:
        """`stop` is asked whenever progress is reported; `quiet` shows nothing."""
        self._stop, self._quiet = stop, quiet
        self._line: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if not self._quiet and is_live(sys.stderr):
            from rich.progress import Progress

            self._line = Progress(
                *_columns(), console=stderr_console(), transient=True, redirect_stdout=False
            )
            self._line.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the last part."""
        if self._line is not None:
            self._line.stop()
            self._line = None

    def before(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield results; the last part ends with the first of them."""
        for result in results:
            self.close()
            yield result

    def announce(self, name: str, seconds: float = 0.0) -> None:
        """Begin a part that may take these seconds; raises InterruptionError after a signal."""
        self._stop.check()
        if self._line is None:
            if seconds > LONGEST_SILENCE and not self._quiet:
                say_now(name)
            return
        if self._task is not None:
            self._line.remove_task(self._task)
        self._task = self._line.add_task(name, total=None)

    def progress(self, done: int, total: int) -> None:
        """Report how many bytes of this part are done; raises InterruptionError after a signal.

        A part of unknown size reports only that it is going on, as done completely.
        """
        self._stop.check()
        if self._line is None or self._task is None:
            return
        if done < total or self._line.tasks[-1].total is not None:
            self._line.update(self._task, completed=done, total=total)


def _columns() -> "list[ProgressColumn]":
    """Return the columns of the line; those of the bar are empty without a size."""
    from rich.progress import (
        BarColumn,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Sized(ProgressColumn):
        def __init__(self, column: ProgressColumn) -> None:
            self._column = column
            super().__init__()

        def render(self, task: Task) -> Any:
            return Text() if task.total is None else self._column(task)

    bar = [BarColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    return [SpinnerColumn(), TextColumn("{task.description}"), *map(Sized, bar)]


@contextlib.contextmanager
def bytes_progress(title: str, stop: StopRequest) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for the bytes done and the total; a terminal shows them as a bar.

    The callback raises InterruptionError once a signal has arrived.
    """
    with Phases(stop) as phases:
        phases.announce(title)
        yield phases.progress
