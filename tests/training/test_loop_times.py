"""What the training loop does when, on a clock that work alone moves."""

from dataclasses import replace

import pytest

from charrnn_cli.config import TrainConfig
from charrnn_cli.events import StepLogged, TrainEvent, TrainingFinished, TrainingStarted
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training import saver
from charrnn_cli.training.ending import EXIT_RESERVE
from charrnn_cli.training.loop import train
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume
from tests.helpers import TINY, Clock, of_type, resume_training, run_training, tiny_job

TIMED = replace(TINY, max_steps=None, max_time=60.0, eval_every=None)


def ends(events: list[TrainEvent]) -> tuple[TrainingStarted, TrainingFinished]:
    started, finished = events[0], events[-1]
    assert isinstance(started, TrainingStarted)
    assert isinstance(finished, TrainingFinished)
    return started, finished


def test_max_time_is_kept_and_used(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time budget becomes a number of steps that uses nine tenths of it, and is recorded."""
    Clock(monkeypatch, step=0.2, evaluation=0.0002)
    started, finished = ends(run_training(corpus, TIMED))
    assert (finished.reason, finished.step) == ("complete", started.total_steps)
    assert 54 < finished.seconds <= 60 - EXIT_RESERVE
    assert started.seconds_per_step == pytest.approx(0.2)
    recorded = TrainConfig.from_json(load_checkpoint("run@latest").train)
    limits = (recorded.max_steps, recorded.max_time, recorded.epochs)
    assert limits == (started.total_steps, None, None)


def test_max_time_is_kept_on_a_machine_that_slows_down(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that would be late ends early, evaluated and saved; a resume goes on from there."""
    clock = Clock(monkeypatch, step=0.2, evaluation=0.0002)
    events: list[TrainEvent] = []
    for event in train(tiny_job(corpus, TIMED)):
        events.append(event)
        clock.step = 0.4
    started, finished = ends(events)
    assert (finished.reason, finished.step < started.total_steps) == ("time", True)
    assert 54 < finished.seconds <= 60 - EXIT_RESERVE
    assert load_checkpoint("run@latest").step == finished.step
    assert load_checkpoint("run@latest").val_loss == finished.val_loss is not None
    assert load_resume(Registry().run("run").resume_path).counters.finished
    again, end = ends(resume_training(corpus, "run", {"max_time": 30.0}))
    assert again.first_step == finished.step
    assert (end.reason, end.step) == ("complete", again.total_steps)
    assert 27 < end.seconds - finished.seconds <= 30 - EXIT_RESERVE
    assert 50 < end.step - again.first_step < 30 / 0.4


def test_the_resume_file_is_written_every_minute(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed loses about a minute of work, whatever happens between."""
    Clock(monkeypatch, step=1.0)
    written = []

    def recorded(run: Run, snapshot: TrainingSnapshot) -> None:
        written.append(snapshot.checkpoint.step)
        save_resume(run, snapshot)

    monkeypatch.setattr(saver, "save_resume", recorded)
    run_training(corpus, replace(TINY, max_steps=200, eval_every=100))
    assert written == [61, 100, 161, 200]


def test_the_speed_is_that_since_the_last_line(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line has the characters per second and the seconds since the beginning."""
    Clock(monkeypatch, step=0.5)
    events = run_training(corpus, replace(TINY, log_every=5))
    started, _ = ends(events)
    lines = of_type(events, StepLogged)
    assert [line.step for line in lines] == [1, 5, 10, 15, 20, 25, 30]
    for line in lines:
        assert line.chars_per_second == pytest.approx(4 * 16 / 0.5)
        assert line.seconds - lines[0].seconds == pytest.approx(0.5 * (line.step - 1))
        assert line.epoch == line.step / started.steps_per_epoch


def test_a_line_per_second(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `log_every`, a line comes after the first step and then every second."""
    Clock(monkeypatch, step=0.3)
    lines = of_type(run_training(corpus, replace(TINY, max_steps=12)), StepLogged)
    assert [line.step for line in lines] == [1, 5, 9]


def test_seconds_add_up_over_resumes(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds of a resumed run include those of its earlier parts, not the time between."""
    clock = Clock(monkeypatch, step=1.0)
    _, first = ends(run_training(corpus))
    assert load_resume(Registry().run("run").resume_path).counters.seconds == first.seconds
    clock.now += 5000
    begun = clock.now
    started, second = ends(resume_training(corpus, "run", {"max_steps": 40}))
    assert (started.first_step, started.total_steps) == (30, 40)
    assert second.seconds == pytest.approx(first.seconds + clock.now - begun)
