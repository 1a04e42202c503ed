"""The next action of a training run, chosen by a pure function."""

from dataclasses import dataclass
from enum import Enum

from charrnn_cli.storage.header import RunCounters
from charrnn_cli.training.plan import Plan
from charrnn_cli.training.wishes import Wishes

LOG_INTERVAL = 1.0  # seconds
RESUME_INTERVAL = 60.0  # seconds of work that a killed process may lose


class Action(Enum):
    """The next action of the training loop; the last four end it."""

    UPDATE = "update"
    SAMPLE = "sample"
    LOG = "log"
    EVALUATE = "evaluate"
    SAVE = "save"
    SAVE_RESUME = "save_resume"
    GO_BACK = "go_back"
    COMPLETE = "complete"
    TIME = "time"
    PATIENCE = "patience"
    STOPPED = "stopped"


SHARED = frozenset({Action.SAMPLE, Action.SAVE, Action.SAVE_RESUME})
"""Actions in which one of several processes writes or shows, and the others wait."""

ENDINGS = frozenset({Action.COMPLETE, Action.TIME, Action.PATIENCE, Action.STOPPED})


@dataclass(kw_only=True, slots=True)
class LoopCounters:
    """The progress of the loop since it began; times are on `time.monotonic`'s clock."""

    run: RunCounters
    first_step: int
    step: int
    healthy: bool = True
    """Whether the last loss was finite and did not diverge."""
    stop_requested: bool = False
    slowness: float = 1.0
    """Seconds of the last steps, relative to the plan; at least 1."""
    evaluated_step: int = 0
    sampled_step: int
    logged_step: int | None = None
    logged_at: float
    agreed: Wishes | None = None
    """What several processes agreed on in the last step; with one, the clock decides."""
    resume_saved_at: float

    @classmethod
    def at(cls, step: int, run: RunCounters, now: float) -> "LoopCounters":
        """Return the counters of a loop that begins at `step`."""
        return cls(
            run=run,
            first_step=step,
            step=step,
            sampled_step=step,
            logged_at=now,
            resume_saved_at=now,
        )


def next_action(now: float, plan: Plan, counters: LoopCounters) -> Action:
    """Return the next action, which depends only on the arguments.

    After each update, due actions come in this order: a sample, a line of metrics, an evaluation,
    a checkpoint, the end, the resume file. If none is due, the next update follows.
    """
    step, run = counters.step, counters.run
    last = is_last(now, plan, counters)
    if not counters.healthy:
        return Action.GO_BACK
    if _sample_is_due(plan, counters):
        return Action.SAMPLE
    if _log_is_due(now, plan, counters):
        return Action.LOG
    if step > run.last_saved_step and (last or is_saved(plan, step)):
        if not is_evaluated(plan, step, last=last) or counters.evaluated_step == step:
            return Action.SAVE
        if not counters.stop_requested:
            return Action.EVALUATE
    elif counters.evaluated_step == step and is_out_of_patience(plan, run):
        return Action.PATIENCE
    elif last:
        return Action.COMPLETE if step >= plan.decisions.steps else Action.TIME
    if counters.stop_requested:
        return Action.STOPPED
    agreed = counters.agreed
    if is_resume_due(now, counters) if agreed is None else agreed.save:
        return Action.SAVE_RESUME
    return Action.UPDATE


def is_last(now: float, plan: Plan, counters: LoopCounters) -> bool:
    """Whether the run ends at this step, because it is complete or too little time is left."""
    step, agreed = counters.step, counters.agreed
    if step >= plan.decisions.steps:
        return True
    late = plan.is_late(now, counters.slowness) if agreed is None else agreed.late
    return step > counters.first_step and late


def is_resume_due(now: float, counters: LoopCounters) -> bool:
    """Whether the last save was too long ago."""
    return now - counters.resume_saved_at > RESUME_INTERVAL


def is_evaluated(plan: Plan, step: int, *, last: bool) -> bool:
    """Whether this step ends with an evaluation."""
    return bool(plan.decisions.val_rows) and (last or step % plan.decisions.eval_every == 0)


def is_saved(plan: Plan, step: int) -> bool:
    """Whether this step, if it is not the last, writes a step file."""
    every = plan.config.save_every
    return is_evaluated(plan, step, last=False) or bool(every and step % every == 0)


def is_out_of_patience(plan: Plan, run: RunCounters) -> bool:
    """Whether the last `patience` evaluations brought no improvement."""
    patience = plan.config.patience
    return patience is not None and run.evaluations_since_best >= patience


def _sample_is_due(plan: Plan, counters: LoopCounters) -> bool:
    every = plan.config.sample_every
    return bool(every and counters.step > counters.sampled_step and counters.step % every == 0)


def _log_is_due(now: float, plan: Plan, counters: LoopCounters) -> bool:
    if counters.step == (counters.logged_step or counters.first_step):
        return False
    if counters.logged_step is None:
        return True  # log the first step at once, as a sign of life
    every = plan.config.log_every
    return now - counters.logged_at >= LOG_INTERVAL if every is None else counters.step % every == 0
