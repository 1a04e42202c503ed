"""What is due next, as a table; no model is trained."""

from dataclasses import replace

import pytest

from charrnn_cli.config import TrainConfig
from charrnn_cli.storage.header import RunCounters
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.splits import split_corpus
from charrnn_cli.training.actions import LoopCounters, next_action
from charrnn_cli.training.ending import Ending
from charrnn_cli.training.plan import Plan
from charrnn_cli.training.windows import make_windows
from tests.helpers import STORY, TINY, tiny_decisions

CORPUS = Corpus.from_text(STORY)
NOW = 1000.0


def plan(config: TrainConfig, deadline: float | None = None) -> Plan:
    """A plan of 100 steps of one second, with an evaluation every 10."""
    split = split_corpus(CORPUS, config)
    decisions = tiny_decisions(
        dropout=0.0, eval_every=10 if split.val else 0, val_rows=len(split.val)
    )
    return Plan(
        config=config,
        decisions=decisions,
        split=split,
        windows=make_windows(CORPUS, split, config, seed=1),
        seconds_per_step=1.0,
        evaluation_seconds=1.0,
        ending=Ending(0, 0.0),
        deadline=deadline,
    )


VALIDATED = replace(TINY, eval_every=None, max_steps=100)
UNVALIDATED = replace(VALIDATED, val_fraction=0.0)

CASES = {
    "the first step": (VALIDATED, {"step": 0}, "update"),
    "a step like any other": (VALIDATED, {"step": 7}, "update"),
    "a diverged loss": (VALIDATED, {"step": 10, "healthy": False}, "go_back"),
    "a sample": (replace(VALIDATED, sample_every=7), {"step": 7}, "sample"),
    "a sample that was taken": (
        replace(VALIDATED, sample_every=7),
        {"step": 7, "sampled_step": 7},
        "update",
    ),
    "the first line of metrics": (VALIDATED, {"step": 1, "logged_step": None}, "log"),
    "no line before a step": (VALIDATED, {"step": 0, "logged_step": None}, "update"),
    "a line per second": (VALIDATED, {"step": 7, "logged_at": NOW - 1.0}, "log"),
    "a line per five steps": (replace(VALIDATED, log_every=5), {"step": 15}, "log"),
    "no second line for a step": (
        replace(VALIDATED, log_every=5),
        {"step": 15, "logged_step": 15},
        "update",
    ),
    "an evaluation": (VALIDATED, {"step": 20, "last_saved_step": 10}, "evaluate"),
    "its checkpoint": (
        VALIDATED,
        {"step": 20, "last_saved_step": 10, "evaluated_step": 20},
        "save",
    ),
    "after its checkpoint": (
        VALIDATED,
        {"step": 20, "last_saved_step": 20, "evaluated_step": 20},
        "update",
    ),
    "a checkpoint between": (replace(VALIDATED, save_every=4), {"step": 4}, "save"),
    "a checkpoint without validation": (replace(UNVALIDATED, save_every=4), {"step": 4}, "save"),
    "no checkpoint without validation": (UNVALIDATED, {"step": 10}, "update"),
    "out of patience": (
        replace(VALIDATED, patience=2),
        {"step": 20, "last_saved_step": 20, "evaluated_step": 20, "evaluations_since_best": 2},
        "patience",
    ),
    "patience left": (
        replace(VALIDATED, patience=2),
        {"step": 20, "last_saved_step": 20, "evaluated_step": 20, "evaluations_since_best": 1},
        "update",
    ),
    "resumed after patience": (
        replace(VALIDATED, patience=2),
        {"step": 20, "first_step": 20, "last_saved_step": 20, "evaluations_since_best": 2},
        "update",
    ),
    "the resume file": (VALIDATED, {"step": 7, "resume_saved_at": NOW - 61}, "save_resume"),
    "not yet the resume file": (
        VALIDATED,
        {"step": 7, "resume_saved_at": NOW - 60.0},
        "update",
    ),
    "a request to stop": (VALIDATED, {"step": 7, "stop_requested": True}, "stopped"),
    "a stop before an evaluation": (VALIDATED, {"step": 10, "stop_requested": True}, "stopped"),
    "a stop after an evaluation": (
        VALIDATED,
        {"step": 10, "stop_requested": True, "evaluated_step": 10},
        "save",
    ),
    "the last step": (VALIDATED, {"step": 100, "last_saved_step": 90}, "evaluate"),
    "the last step without validation": (UNVALIDATED, {"step": 100}, "save"),
    "the end": (VALIDATED, {"step": 100, "last_saved_step": 100}, "complete"),
    "a stop at the end": (
        VALIDATED,
        {"step": 100, "last_saved_step": 100, "stop_requested": True},
        "complete",
    ),
}


def counters(
    step: int, last_saved_step: int = 0, evaluations_since_best: int = 0, **changes: object
) -> LoopCounters:
    """Counters at a step where nothing is due, with changes."""
    run = RunCounters(
        last_saved_step=last_saved_step, evaluations_since_best=evaluations_since_best
    )
    calm = LoopCounters.at(0, run, NOW)
    calm.step = step
    calm.logged_step = max(0, step - 1)
    for name, value in changes.items():
        setattr(calm, name, value)
    return calm


@pytest.mark.parametrize("case", CASES)
def test_what_is_due(case: str) -> None:
    """The next action is a function of time, plan and counters."""
    config, changes, expected = CASES[case]
    assert next_action(NOW, plan(config), counters(**changes)).value == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "saved", "left", "expected"),
    [
        (7, 0, 5.0, "update"),  # one step of 1 s, and 3 s for the end
        (7, 0, 3.0, "evaluate"),
        (7, 7, 3.0, "time"),
        (0, 0, 3.0, "update"),  # one step at least
    ],
)
def test_a_late_run_ends(step: int, saved: int, left: float, expected: str) -> None:
    """A run that has no time for another step evaluates, saves and ends."""
    late = plan(replace(VALIDATED, max_time=60.0), deadline=NOW + left)
    assert next_action(NOW, late, counters(step, saved)).value == expected
    twice = plan(replace(VALIDATED, max_time=60.0), deadline=NOW + 2 * left)
    assert next_action(NOW, twice, counters(step, saved, slowness=2.0)).value == expected
