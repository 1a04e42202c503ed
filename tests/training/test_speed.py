"""A run that is much slower than it was, or than it was planned to be."""

import math
from dataclasses import replace

import pytest

from charrnn_cli.events import (
    Replanned,
    SlowedDown,
    StepLogged,
    TrainEvent,
    TrainingFinished,
    TrainingStarted,
)
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training import run_state
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.snapshot import load_resume
from charrnn_cli.training.speed import SpeedWatch
from tests.helpers import TINY, Clock, of_type, tiny_job


def slumps(speeds: list[float]) -> list[float | None]:
    """Return what a watch says to stretches of half a minute at these speeds."""
    watch, found = SpeedWatch(), []
    for speed in speeds:
        for part in range(3):
            said = watch.add(10.0, int(10 * speed))
            assert said is None or part == 2
        found.append(said)
    return found


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [
        ([100, 100, 100], [None, None, None]),
        ([100, 51, 90], [None, None, None]),
        ([100, 49, 49], [None, 49, None]),  # said once
        ([10, 100, 40, 18], [None, None, 40, 18]),
        ([100, 40, 100, 40], [None, 40, None, 40]),
        ([40, 100], [None, None]),
    ],
)
def test_half_the_speed_for_half_a_minute(
    speeds: list[float], expected: list[float | None]
) -> None:
    """A stretch less than half as fast as the fastest before is noticed, once."""
    assert slumps(speeds) == expected


@pytest.mark.parametrize("speedup", [None, 3.0])
def test_a_slow_run_says_so(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, speedup: float | None
) -> None:
    """The event has both speeds, and the estimated speed of one thread if that is higher."""
    clock = Clock(monkeypatch, step=5.0)
    monkeypatch.setattr(run_state, "one_thread_speedup", lambda job, device: speedup)
    events = []
    for event in train(tiny_job(corpus, replace(TINY, log_every=12))):
        events.append(event)
        if isinstance(event, StepLogged) and event.step == 12:
            clock.step = 20.0
    (slowed,) = of_type(events, SlowedDown)
    characters = TINY.batch_size * TINY.seq_len
    assert (slowed.before, slowed.chars_per_second) == (characters / 5, characters / 20)
    expected = None if speedup is None else pytest.approx(speedup * characters / 20)
    assert slowed.one_thread == expected


@pytest.mark.parametrize(
    ("slow_from", "seconds", "is_changed"),
    [(0, 1.05, False), (0, 1.3, True), (0, 3.0, True), (60, 3.0, True), (0, 0.5, False)],
)
def test_a_slower_machine_gets_a_new_plan_once(
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    slow_from: int,
    seconds: float,
    is_changed: bool,
) -> None:
    """A plan for far more steps than will be done is fitted to them, once."""
    clock = Clock(monkeypatch, step=1.0)
    config = replace(TINY, max_steps=None, max_time=200.0, log_every=1, eval_every=0)
    events: list[TrainEvent] = []
    for event in train(tiny_job(corpus, config)):
        events.append(event)
        step = event.step if isinstance(event, StepLogged) else -1
        if isinstance(event, TrainingStarted) or step >= slow_from:
            clock.step = seconds if step >= slow_from else 1.0
        if is_changed and of_type(events, Replanned) and step % 7 == 0:
            clock.step = 9.0  # the plan does not change again
    (started,), (finished,) = of_type(events, TrainingStarted), of_type(events, TrainingFinished)
    changes = of_type(events, Replanned)
    assert len(changes) == is_changed
    if not is_changed:
        assert finished.total_steps == started.total_steps
        return
    (change,) = changes
    assert change.planned_steps == started.total_steps
    assert finished.total_steps == change.total_steps < started.total_steps / 1.1
    assert change.step > slow_from


def test_a_changed_plan_ends_with_a_low_rate(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that are done are those of the new plan, and the last rates are near 0."""
    clock = Clock(monkeypatch, step=1.0)
    config = replace(TINY, max_steps=None, max_time=200.0, log_every=1, eval_every=0)
    events = []
    for event in train(tiny_job(corpus, config)):
        events.append(event)
        if isinstance(event, TrainingStarted):
            clock.step = 3.0
    rates = [event.learning_rate for event in of_type(events, StepLogged)]
    (finished,) = of_type(events, TrainingFinished)
    assert finished.reason == "complete"
    assert finished.step == finished.total_steps
    assert rates[-1] < max(rates) / 10


def test_a_changed_plan_is_resumed_exactly(corpus: Corpus) -> None:
    """A run that is interrupted after the change ends as one that is not."""
    config = replace(TINY, max_steps=None, max_time=200.0, log_every=1, eval_every=0)

    def run(name: str, stop_at: float) -> tuple[TrainingJob, int]:
        steps = [0]
        with pytest.MonkeyPatch.context() as patch:
            clock = Clock(patch, step=1.0)
            job = tiny_job(corpus, config, name=name)
            for event in train(job, should_stop=lambda: steps[-1] >= stop_at):
                if isinstance(event, TrainingStarted):
                    clock.step = 3.0
                if isinstance(event, StepLogged):
                    steps.append(event.step)
                if isinstance(event, Replanned):  # a kill at this moment does not undo it
                    saved = load_resume(job.run.resume_path).checkpoint
                    assert saved.train["replanned_at"] == event.step == saved.step
        return job, steps[-1]

    whole, last = run("whole", math.inf)
    parted, reached = run("parted", last - 15)
    assert reached < last
    resumed = TrainingJob.resumed("parted", texts=corpus)
    assert resumed.config.replanned_at is not None
    assert resumed.config.replanned_at < reached
    list(train(resumed))
    expected, actual = (load_checkpoint(job.run.step_path(last)).weights for job in (whole, parted))
    assert all((expected[name] == actual[name]).all() for name in expected)
