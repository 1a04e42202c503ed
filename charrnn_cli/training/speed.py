"""Noticing that a run is much slower than it was, or than it was planned to be."""

import math
from dataclasses import dataclass

from charrnn_cli.training.plan import Plan

WINDOW = 30.0  # seconds of training: shorter slumps pass by themselves
SLUMP = 0.5  # of the highest speed so far
STRETCH = 0.1  # of the time limit: the plan is compared as often
SLOWER = 1.5  # times as many steps are left in the plan as will be done, when it is changed
WORTHWHILE = 1.1  # times as many steps in the whole plan; fewer leave a low rate anyway


@dataclass(slots=True)
class SpeedWatch:
    """The speed of training in stretches of half a minute, without evaluations and saves."""

    best: float = 0.0
    """Highest speed since the last slump, characters per second."""
    _step_seconds: float = 0.0  # mean over about the last ten steps
    _seconds: float = 0.0
    _characters: int = 0

    def add(self, seconds: float, characters: int) -> float | None:
        """Count a step; return the speed of a stretch that is half as fast as an earlier one.

        The next slump is measured against that speed.
        """
        self._step_seconds += (seconds - self._step_seconds) / (10 if self._step_seconds else 1)
        self._seconds += seconds
        self._characters += characters
        if self._seconds < WINDOW:
            return None
        speed = self._characters / self._seconds
        self._seconds, self._characters = 0.0, 0
        if speed < SLUMP * self.best:
            self.best = speed
            return speed
        self.best = max(self.best, speed)
        return None

    def slowness(self, plan: Plan) -> float:
        """Return the seconds of the last steps relative to the plan, at least 1."""
        return max(1.0, self._step_seconds / max(plan.seconds_per_step, 1e-9))


class PlanWatch:
    """Compares the speed of a run with its plan, to fit the plan once to a slower machine."""

    def __init__(self, plan: Plan, step: int, now: float) -> None:
        """Start to watch at a step; times are on `time.monotonic`'s clock."""
        self._step, self._since = step, now
        self._is_slow = False  # in the last stretch
        self._stretch = math.inf
        if plan.deadline is not None and plan.config.replanned_at is None:
            self._stretch = STRETCH * (plan.deadline - now)

    def fitting(self, plan: Plan, step: int, now: float) -> Plan | None:
        """Return a plan for the steps that will be done, if they are far fewer than planned.

        The machine is slow for two tenths of the run's time in a row, evaluations and saves
        included; a shorter slump passes by itself. Returns a plan once at most.
        """
        stretch = 2 * self._stretch if self._is_slow else self._stretch
        if plan.deadline is None or now - self._since < stretch or step == self._step:
            return None
        per_step = (now - self._since) / (step - self._step)
        left = max(0.0, plan.deadline - now - plan.ending_seconds)
        fitting = step + max(1, int(left / per_step))
        planned = plan.decisions.steps
        if planned - step < SLOWER * (fitting - step) or planned < WORTHWHILE * fitting:
            self._step, self._since, self._is_slow = step, now, False
            return None
        if not self._is_slow:
            self._is_slow = True
            return None
        self._stretch = math.inf
        return plan.replanned(step, fitting, per_step)
