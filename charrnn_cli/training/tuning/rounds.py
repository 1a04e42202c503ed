"""Rounds of a study, and what a worker does next. Pure functions.

What wins a minute loses an hour, and a schedule that falls to zero cannot be stretched. So the best
third of a round's settings is trained again, from the start and for three times as long, until one
is left: successive halving (Jamieson and Talwalkar, 2016). On a short text, where a whole run takes
a small part of the budget, one round of whole runs tells more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

KEPT = 1 / 3  # of a round's trials
LARGEST_SHARE, LAST_SHARE = 0.25, 0.35  # of the budget: an early round, and at least the last
TRIAL_SECONDS = 15.0  # least time of a trial in the first round, if there are several
RUN_SECONDS = 5.0  # least time of a run: to time its steps, to take some and to save them
START_SECONDS = 10.0  # until the first trial begins: imports and the text, on a busy machine
MOST_TRIALS = 27
WHOLE_RUNS = 3  # that fit into the budget: from here on, one round of them
WHOLE_SLACK = 1.5  # time of a trial, relative to a whole run: some models are slower

State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Round:
    """Trials of equal length."""

    trials: int
    share: float
    """Fraction of the budget for all of them; 0 without a budget."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a journal says of a trial."""

    number: int
    round: int
    state: State
    val_loss: float | None = None
    is_claimed: bool = False
    """Whether a living process trains it."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Go on with the trial of a process that died."""

    number: int


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a trial that is enqueued or, in the first round, a new one."""


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Enqueue these trials once more, for a longer round."""

    round: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Other processes train the rest of this round."""

    is_last_round: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to do."""


Next = Adopt | Begin | Enqueue | Wait | Finished


def number_of_trials(budget: float) -> int:
    """Return how many trials the first round has by default, for a budget in seconds.

    A budget that is too short for two trains one, which gets all of it.
    """
    fitting = int(LARGEST_SHARE * budget / TRIAL_SECONDS)
    return max(1, min(MOST_TRIALS, fitting))


def least_budget(rounds: Sequence[Round]) -> float:
    """Return the seconds in which every trial of the first round has the time of a short run."""
    return START_SECONDS + RUN_SECONDS * rounds[0].trials / rounds[0].share


def number_of_whole_trials(budget: float, whole: float) -> int | None:
    """Return how many whole runs of `whole` seconds a round has; None if rounds are better."""
    fitting = int(budget / max(WHOLE_SLACK * whole, TRIAL_SECONDS))
    return min(MOST_TRIALS, fitting) if fitting >= WHOLE_RUNS else None


def plan_rounds(trials: int, *, has_budget: bool, is_whole: bool = False) -> tuple[Round, ...]:
    """Return the rounds of a study; without a budget, and of whole runs, there is one."""
    if not has_budget or is_whole:
        return (Round(trials, 1.0 if has_budget else 0.0),)
    sizes = [trials]
    while sizes[-1] > 1:
        sizes.append(math.ceil(sizes[-1] * KEPT))
    early = len(sizes) - 1
    share = min(LARGEST_SHARE, (1 - LAST_SHARE) / early) if early else 0.0
    return (*(Round(size, share) for size in sizes[:-1]), Round(1, 1 - early * share))


def next_of(known: Sequence[Known], rounds: Sequence[Round]) -> Next:
    """Decide what a worker does next."""
    for each in known:
        if each.state == "running" and not each.is_claimed:
            return Adopt(each.number)
    present = max((each.round for each in known), default=0)
    inside = [each for each in known if each.round == present]
    is_last = present >= len(rounds) - 1
    if any(each.state == "waiting" for each in inside):
        return Begin()
    if present == 0 and len(inside) < rounds[0].trials:
        return Begin()
    if any(each.state == "running" for each in inside):
        return Wait(is_last)
    if is_last:
        return Finished()
    chosen = ranked(inside)[: rounds[present + 1].trials]
    if not chosen:
        return Finished()  # every trial failed
    return Enqueue(present + 1, tuple(each.number for each in chosen))


def ranked(known: Sequence[Known]) -> list[Known]:
    """Return the trials that have a loss, the best first."""
    done = [each for each in known if each.state == "done" and each.val_loss is not None]
    return sorted(done, key=lambda each: (each.val_loss or 0.0, each.number))


def winner(known: Sequence[Known]) -> Known | None:
    """Return the trial with the lowest loss; that of a later round if several are equal."""
    best = sorted(ranked(known), key=lambda each: (each.val_loss or 0.0, -each.round))
    return best[0] if best else None


def seconds_for(
    round_number: int, rounds: Sequence[Round], known: Sequence[Known], left: float
) -> float:
    """Return the seconds of a trial that begins, if `left` seconds are left for all that follow.

    Trials that other processes train have their time already.
    """
    waiting = sum(each.round == round_number and each.state == "waiting" for each in known)
    begun = sum(each.round == 0 and each.state != "waiting" for each in known)
    own = round_at(rounds, round_number)
    pending = 1 + waiting if round_number else max(1, own.trials - begun)
    rest = pending * own.share / own.trials
    rest += sum(each.share for each in rounds[round_number + 1 :])
    return left * own.share / own.trials / rest


def round_at(rounds: Sequence[Round], number: int) -> Round:
    """Return a round; those that a larger budget adds are as the last one."""
    return rounds[min(number, len(rounds) - 1)]
