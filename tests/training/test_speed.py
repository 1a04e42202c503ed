"""A run that has become much slower than it was."""

from dataclasses import replace

import pytest

from charrnn_cli.events import SlowedDown, StepLogged
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training import loop
from charrnn_cli.training.loop import train
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
    monkeypatch.setattr(loop, "one_thread_speedup", lambda job, device: speedup)
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
