"""The time left of a run, from its speed in the last minute."""

import math
from collections import deque

from charrnn_cli.events import (
    CheckpointSaved,
    Diverged,
    Evaluated,
    Replanned,
    StepLogged,
    TrainEvent,
    TrainingStarted,
)

WINDOW = 60.0  # seconds of steps that decide the speed


class TimeLeft:
    """An estimate that events update; times are on `time.monotonic`'s clock.

    Steps and evaluations are timed apart, because few minutes contain an evaluation. Until they
    have been timed, the plan's times count.
    """

    def __init__(self, started: TrainingStarted, now: float, deadline: float | None = None) -> None:
        """Start at `now`; the run ends at `deadline` at the latest."""
        self._deadline = deadline
        self._total_steps, self._eval_every = started.total_steps, started.eval_every
        self._step = self._evaluated_step = started.first_step
        self._updated = now
        self._spans: deque[tuple[float, int]] = deque()  # seconds and steps without an evaluation
        self._seconds_per_step = started.seconds_per_step
        in_steps = (started.total_steps - started.first_step) * started.seconds_per_step
        other = max(0.0, started.seconds_planned - in_steps)
        self._seconds_per_evaluation = other / max(1, self._evaluations)

    def seconds(self, now: float) -> float:
        """Return the seconds left at `now`."""
        steps = (self._total_steps - self._step) * self._seconds_per_step
        planned = steps + self._evaluations * self._seconds_per_evaluation
        left = planned - (now - self._updated)
        if self._deadline is not None:
            left = min(left, self._deadline - now)
        return max(0.0, left)

    def update(self, event: TrainEvent, now: float) -> None:
        """Take an event into account that happened at `now`."""
        elapsed = now - self._updated
        match event:
            case StepLogged(step=step):
                self._add_span(elapsed, step - self._step)
            case Evaluated(step=step):
                in_steps = (step - self._step) * self._seconds_per_step
                self._seconds_per_evaluation = max(0.0, elapsed - in_steps)
                self._evaluated_step = step
            case CheckpointSaved(step=step) if step == self._evaluated_step:
                self._seconds_per_evaluation += elapsed  # each evaluation is followed by a save
            case Diverged(back_to=step):
                self._evaluated_step = min(self._evaluated_step, step)
            case Replanned(step=step):
                longer = event.total_steps / event.planned_steps
                self._eval_every = max(min(1, self._eval_every), round(self._eval_every * longer))
                self._total_steps = event.total_steps
                return
            case _:
                return
        self._step, self._updated = step, now

    @property
    def seconds_per_step(self) -> float | None:
        """The mean of the last minute, without evaluations; None before the first step."""
        return self._seconds_per_step if self._spans else None

    @property
    def _evaluations(self) -> int:
        """The number of evaluations to come, that of the last step included."""
        if not self._eval_every or self._evaluated_step >= self._total_steps:
            return 0
        done = self._evaluated_step // self._eval_every
        return math.ceil(self._total_steps / self._eval_every) - done

    def _add_span(self, seconds: float, steps: int) -> None:
        if steps <= 0:
            return
        self._spans.append((seconds, steps))
        total = sum(seconds for seconds, _ in self._spans)
        while total - self._spans[0][0] >= WINDOW:
            total -= self._spans.popleft()[0]
        self._seconds_per_step = total / sum(steps for _, steps in self._spans)
