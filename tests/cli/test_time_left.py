"""The time that a run has left, on a clock that only the tests move."""

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn_cli.cli.terminal.time_left import TimeLeft
from charrnn_cli.events import CheckpointSaved, Replanned, TrainingStarted
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.loop import train
from tests.cli.test_training_display import STARTED, evaluated, logged
from tests.helpers import TINY, Clock, tiny_job

PLANNED = replace(STARTED, total_steps=1000, eval_every=250, seconds_per_step=0.1)


def test_the_plan_counts_before_the_first_step() -> None:
    """Until steps have been timed, the time left is the planned time, which passes."""
    left = TimeLeft(replace(PLANNED, seconds_planned=140.0), now=50.0)
    assert left.seconds(50.0) == pytest.approx(140.0)
    assert left.seconds(60.0) == pytest.approx(130.0)
    assert left.seconds(500.0) == 0


def test_it_follows_the_last_minute() -> None:
    """A run that becomes half as fast has, a minute later, twice the time left."""
    left, now = TimeLeft(replace(PLANNED, eval_every=0, seconds_planned=100.0), now=0.0), 0.0
    for step in range(1, 301):
        left.update(logged(step, 1.0), now := now + 0.1)
    assert left.seconds(now) == pytest.approx(70.0)
    for step in range(301, 601):
        left.update(logged(step, 1.0), now := now + 0.2)
    assert left.seconds(now) == pytest.approx(80.0)


def test_evaluations_are_included() -> None:
    """Every evaluation to come takes as long as the last one and its save."""
    left, now = TimeLeft(replace(PLANNED, seconds_planned=100.0), now=0.0), 0.0
    for step in range(1, 251):
        left.update(logged(step, 1.0), now := now + 0.1)
    left.update(evaluated(250, 1.0, best=True), now := now + 8)
    left.update(CheckpointSaved(step=250, path=Path("x"), val_loss=1.0, seconds=1), now := now + 2)
    assert left.seconds(now) == pytest.approx(75.0 + 3 * 10)
    left.update(evaluated(1000, 1.0, best=True), now + 75.0)
    assert left.seconds(now + 75.0) == 0


def test_it_stays_within_the_time_limit() -> None:
    """The time left is never more than the rest of the time limit, also after a new plan."""
    left = TimeLeft(replace(PLANNED, eval_every=0, seconds_planned=100.0), now=0.0, deadline=40.0)
    assert left.seconds(0.0) == 40.0
    left.update(logged(10, 1.0), now=5.0)
    assert left.seconds(5.0) == 35.0
    left.update(Replanned(step=10, planned_steps=1000, total_steps=50, seconds=5.0), now=5.0)
    assert left.seconds(5.0) == pytest.approx(20.0)
    assert left.seconds(41.0) == 0


def test_the_estimates_of_a_run_are_true(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of five minutes never has more time left than its limit, and ends when it was said."""
    clock = Clock(monkeypatch, step=0.5, evaluation=0.01)
    began, limit = clock.now, 300.0
    config = replace(TINY, max_steps=None, max_time=limit, eval_every=None)
    left, estimates = None, []
    for event in train(tiny_job(corpus, config), started=began):
        if isinstance(event, TrainingStarted):
            left = TimeLeft(event, clock.now, began + limit)
        assert left is not None
        left.update(event, clock.now)
        estimates.append((clock.now, left.seconds(clock.now)))
    assert len(estimates) > 100
    for now, seconds in estimates:
        assert seconds <= began + limit - now
        assert seconds == pytest.approx(clock.now - now, abs=8.0)
