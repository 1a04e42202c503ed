"""What is measured before a run: seconds of a step and of an evaluation, and threads."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.training import calibration
from charrnn_cli.training.calibration import (
    LONG_STEP,
    calibrate,
    fastest_threads,
    may_use_one_thread,
    time_evaluation,
    time_steps,
)
from charrnn_cli.training.evaluation import never_stop
from tests.helpers import STORY, TINY, Clock, tiny_job

if TYPE_CHECKING:
    from charrnn_cli.training.trainer import Trainer


class Machine:
    """A trainer and a clock that its steps move."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.now, self.steps, self._seconds = 0.0, 0, seconds
        self.trainer = cast("Trainer", self)

    def update(self) -> bool:
        self.now += self._seconds(self.steps)
        self.steps += 1
        return True

    def is_healthy(self) -> bool:
        return True


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], float]], Machine]:
    """Return a function that makes a machine whose steps take these seconds."""

    def make(seconds: Callable[[int], float]) -> Machine:
        made = Machine(seconds)
        monkeypatch.setattr(time, "monotonic", lambda: made.now)
        return made

    return make


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_steps_are_timed_without_the_first_two(machine: Any) -> None:
    """The first two steps are slow, since they prepare kernels, and do not count."""
    slow_start = machine(lambda step: 9.0 if step < 2 else 1.0)
    assert time_steps(slow_start.trainer, 100.0, never_stop) == 1.0
    assert slow_start.steps == 20


def test_the_budget_bounds_the_steps(machine: Any) -> None:
    """Timing ends with the budget; before the third step, with four times the budget."""
    assert time_steps(machine(lambda _: 1.0).trainer, 5.0, never_stop) == 1.0
    for seconds, steps in ((6.0, 3), (10.0, 2), (20.0, 1), (100.0, 1)):
        long = machine(lambda _, seconds=seconds: seconds)
        assert (time_steps(long.trainer, 5.0, never_stop), long.steps) == (seconds, steps)
    short = machine(lambda _: 1.0)
    time_steps(short.trainer, 5.0, never_stop)
    assert short.steps == 5


def test_a_stop_ends_the_timing(machine: Any) -> None:
    """A request to stop ends the timing after the step that is being timed."""
    stopped = machine(lambda _: 3.0)
    assert (time_steps(stopped.trainer, 100.0, lambda: True), stopped.steps) == (3.0, 1)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("alone", "together", "expected"),
    [(0.1, 0.2, 1), (0.1, 0.14, 2), (0.2, 0.1, 2)],
)
def test_one_thread_is_kept_if_it_is_much_faster(
    machine: Any, alone: float, together: float, expected: int
) -> None:
    """One thread is kept if it is more than 1.5 times as fast, and the result is its time."""
    some = machine(lambda _: alone if torch.get_num_threads() == 1 else together)
    chosen = fastest_threads(some.trainer, together, 1.0, never_stop)
    assert torch.get_num_threads() == expected
    assert chosen == pytest.approx(alone if expected == 1 else together)


@pytest.mark.parametrize(
    ("seconds", "speedup", "expected"),
    [(0.5, None, True), (LONG_STEP, None, False), (9.0, 1.4, False), (9.0, 1.5, True)],
)
def test_whether_one_thread_is_tried(
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    speedup: float | None,
    expected: bool,
) -> None:
    """For long steps, the products of matrices say whether a step with one thread is worth it."""
    monkeypatch.setattr(calibration, "one_thread_speedup", lambda *_: speedup)
    assert may_use_one_thread(tiny_job(corpus), seconds) == expected


def test_an_evaluation_is_estimated_from_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate is that of all validation text, and of a quarter as much training text."""
    clock = Clock(monkeypatch, step=0.0)
    calls: list[int] = []

    def timed(model: object, corpus: Corpus, rows: list[Span], *_: object) -> float:
        characters = sum(stop - start for start, stop in rows)
        calls.append(characters)
        clock.now += characters * (0.001 if len(calls) > 1 else 0.1)  # the first prepares kernels
        return 0.0

    monkeypatch.setattr(calibration, "evaluate", timed)
    job = tiny_job(Corpus.from_text(STORY * 50))
    characters = job.split.val_characters
    parts = {"model": None, "ngrams": None, "decisions": _Precision()}
    trainer = cast("Trainer", type("Some", (), parts))
    assert time_evaluation(job, trainer) == pytest.approx(0.001 * characters * 2)
    assert calls == [20 * 500] * 2
    assert calls[0] < characters


class _Precision:
    precision = "fp32"


def test_what_a_calibration_says(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration has the seconds of this job on this machine, and its device and threads."""
    Clock(monkeypatch, step=0.5, evaluation=0.01)
    job = tiny_job(corpus)
    found = calibrate(job, never_stop)
    assert (found.device, found.precision, found.threads) == ("cpu", "fp32", 1)
    assert found.seconds_per_step == pytest.approx(0.5)
    assert found.evaluation_seconds == pytest.approx(0.01 * job.split.val_characters * 2)
    blind = calibrate(
        tiny_job(corpus, replace(TINY, val_fraction=0.0, eval_every=None), "blind"), never_stop
    )
    assert blind.evaluation_seconds == 0.0


@pytest.mark.parametrize(("max_time", "steps"), [(None, 20), (20.0, 10), (1000.0, 20)])
def test_a_short_budget_gets_a_short_calibration(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, max_time: float | None, steps: int
) -> None:
    """Timing takes at most 2 s, or a twentieth of the time that a run may take."""
    clock = Clock(monkeypatch, step=0.1)
    begun = clock.now
    calibrate(tiny_job(corpus, replace(TINY, max_time=max_time)), never_stop)
    assert clock.now - begun == pytest.approx(steps * 0.1)
