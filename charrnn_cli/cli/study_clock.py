"""The time of a study's budget: what this process has spent of it, and how long a trial may take.

The journal has the time of every trial. What passes between two trials, such as the start of the
process, is counted with the later one.
"""

import time
from typing import TYPE_CHECKING

from charrnn_cli.cli.process import STARTED
from charrnn_cli.cli.terminal.formats import format_duration
from charrnn_cli.errors import ConfigError
from charrnn_cli.training.tuning.rounds import round_at, seconds_for

if TYPE_CHECKING:
    from charrnn_cli.training.tuning.study import Study, Task

END_SHARE, MOST_END = 0.05, 20.0  # of the budget, in seconds: to compare the best
LEAST_SECONDS = 1.0  # of a trial; the least that `--max-time` may be
COUNT_INTERVAL = 5.0  # seconds; a process that is killed loses the count of as many


class StudyClock:
    """The time of this process since the last trial that it has recorded."""

    def __init__(self) -> None:
        self._mark = STARTED  # until here, time is counted in the journal
        self._before = 0.0  # seconds of the present trial in processes that died
        self._written = STARTED  # the last time that the journal was told

    def adopt(self, before: float) -> None:
        """Begin with a trial that took these seconds in other processes."""
        self._before = before

    @property
    def taken(self) -> float:
        """Seconds of the present trial, in all processes."""
        return self._before + time.monotonic() - self._mark

    def finish(self) -> float:
        """End the present trial; return its seconds."""
        taken = self.taken
        self._mark += taken - self._before
        self._before, self._written = 0.0, self._mark
        return taken

    def count(self, study: "Study", task: "Task") -> None:
        """Record the time of a trial that goes on, now and then: it may be killed."""
        if time.monotonic() - self._written >= COUNT_INTERVAL:
            self._written = time.monotonic()
            study.count_time(task, self.taken)

    def left(self, study: "Study", task: "Task | None" = None) -> float | None:
        """Return the seconds of the budget that are left; None without one.

        The journal's count of `task`, the present trial, is older than this clock.
        """
        if study.spec.budget is None:
            return None
        present = None if task is None else task.number
        spent = sum(each.seconds for each in study.trials() if each.number != present)
        return study.spec.budget - spent - self.taken

    def seconds_of(self, study: "Study", task: "Task") -> float | None:
        """Return the seconds of a trial that begins now; None without a budget.

        Raises ConfigError if the budget is spent.
        """
        left, budget = self.left(study, task), study.spec.budget
        if left is None or budget is None:
            return None
        left -= min(MOST_END, END_SHARE * budget)
        for each in study.trials():
            if each.number != task.number and each.state == "running":
                # The rest of its time, in another process, is not recorded yet.
                share = round_at(study.spec.rounds, each.round)
                planned = min(left / 2, budget * share.share / share.trials)
                left -= max(0.0, planned - each.seconds)
        if left < LEAST_SECONDS:
            raise ConfigError(
                f"the budget of {format_duration(budget)} is spent",
                hint=f"charrnn tune --resume {study.files.name} --budget {2 * budget:.0f}s",
            )
        known = [each for each in study.known() if each.number != task.number]
        seconds = seconds_for(task.round, study.spec.rounds, known, left)
        return max(LEAST_SECONDS, round(seconds, 1))
