"""The time of a study's budget."""

import time

import pytest

pytest.importorskip("optuna")

from charrnn_cli.cli.study_clock import StudyClock
from charrnn_cli.training.tuning.study import Task
from tests.training.tuning.test_study import SIX, new, spec


def test_the_time_of_a_killed_process_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has the time of a trial that goes on, and whoever adopts it begins with that."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    study = new("s", spec(*SIX, budget=600.0))
    clock = StudyClock()
    clock.finish()
    with study.next_task() as task:
        assert isinstance(task, Task)
        now += 9
        clock.count(study, task)
        assert study.trials()[0].seconds == pytest.approx(9)
        assert clock.left(study, task) == pytest.approx(591)
        now += 1  # not recorded again at once
        clock.count(study, task)
        assert study.trials()[0].seconds == pytest.approx(9)
    later = StudyClock()
    later.finish()
    later.adopt(study.trials()[0].seconds)
    with study.next_task() as task:
        assert isinstance(task, Task)
        assert task.is_adopted
        now += 6
        later.count(study, task)
        assert study.trials()[0].seconds == pytest.approx(15)
        assert later.left(study, task) == pytest.approx(585)
