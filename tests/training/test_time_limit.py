"""Choosing a model for a time limit, on machines of any speed."""

from dataclasses import replace
from typing import Any

import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.events import TrainingStarted
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.candidates import CANDIDATES, FALLBACK, FEWEST_STEPS
from charrnn_cli.training.evaluation import never_stop
from charrnn_cli.training.loop import train
from charrnn_cli.training.recipe import limited_settings
from charrnn_cli.training.time_limit import choose_model
from tests.helpers import STORY, TINY, Clock, tiny_job

TEXT = Corpus.from_text(STORY * 8)
LIMITED = replace(TINY, batch_size=2, seq_len=8, max_steps=None, max_time=600.0, threads=1)


@pytest.mark.parametrize("layers_timed", [1, 2, 3, 4])
def test_the_largest_model_that_fits_is_chosen(
    monkeypatch: pytest.MonkeyPatch, layers_timed: int
) -> None:
    """The machine's speed decides, and the job has the model's size, name and learning rate."""
    job = tiny_job(TEXT, LIMITED)
    expected = CANDIDATES[layers_timed - 1]
    positions = LIMITED.batch_size * LIMITED.seq_len
    model = replace(job.model, layers=expected.layers, size=expected.size)
    needed = 1.05 * max(
        expected.least(job.split.train_characters), 600 * model.multiplications * positions
    )
    rate = needed / (600.0 * 0.85)

    def seconds(model: ModelConfig) -> float:
        return 6 * model.multiplications * positions / rate

    Clock(monkeypatch, step=seconds)
    choice = choose_model(job, 601.5, never_stop, ())
    assert choice.candidate == expected
    assert (choice.job.model.layers, choice.job.model.size) == (expected.layers, expected.size)
    settings: dict[str, Any] = limited_settings((), job.split.train_characters)
    settings["lr"] = expected.rate(choice.steps)
    assert choice.job.config == replace(job.config, **settings)
    assert choice.calibration.seconds_per_step == pytest.approx(seconds(choice.job.model))
    assert choice.larger == (CANDIDATES[layers_timed] if layers_timed < len(CANDIDATES) else None)


def test_a_slow_machine_times_few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that cannot be chosen at twice the speed is not timed: timing takes 5 % at most."""
    clock = Clock(monkeypatch, step=lambda model: model.multiplications / 2e6)
    before = clock.now
    choice = choose_model(tiny_job(TEXT, LIMITED), 30.0, never_stop, ())
    assert choice.candidate == CANDIDATES[0]
    assert choice.larger == CANDIDATES[1]
    assert clock.now - before <= 0.05 * 30.0


def test_a_typed_learning_rate_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an open learning rate follows the model, and only open epochs the text."""
    Clock(monkeypatch, step=0.1)
    job = tiny_job(TEXT, replace(LIMITED, lr=0.0123, dropout=0.3, epochs=3))
    choice = choose_model(job, 30.0, never_stop, ("lr", "dropout", "epochs", "weight_decay"))
    assert choice.job.config == job.config
    assert not choice.is_whole


def test_what_was_measured_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training with a calibration begins with its first step."""
    Clock(monkeypatch, step=1.0)
    job = tiny_job(TEXT, replace(LIMITED, max_time=60.0))
    choice = choose_model(job, 50.0, never_stop, ())
    clock = Clock(monkeypatch, step=1.0)
    before = clock.now
    started = next(iter(train(choice.job, calibration=choice.calibration)))
    assert clock.now == before
    assert isinstance(started, TrainingStarted)
    assert started.seconds_per_step == 1.0


def test_a_very_slow_machine_trains_a_smaller_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the smallest candidate does fewer than 100 steps, a smaller model does more."""
    Clock(monkeypatch, step=lambda model: model.multiplications / 1e6)
    choice = choose_model(tiny_job(TEXT, LIMITED), 30.0, never_stop, ())
    assert choice.candidate == FALLBACK
    assert choice.job.model.size == FALLBACK.size
    assert choice.larger == CANDIDATES[0]
    assert choice.steps > FEWEST_STEPS
    assert choice.larger_seconds > 30.0
