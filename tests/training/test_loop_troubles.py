"""Training when a loss diverges, a disk is full, memory is short, or a stop comes at a bad time."""

import errno
import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from charrnn_cli.errors import StorageError
from charrnn_cli.events import (
    BatchSplit,
    CheckpointSaved,
    Diverged,
    Evaluated,
    Sampled,
    SaveFailed,
    TrainEvent,
    TrainingFinished,
)
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.sampling import generate
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training import action_loop
from charrnn_cli.training.action_loop import SAMPLE_LENGTH
from charrnn_cli.training.evaluation import evaluate
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.snapshot import load_resume, save_resume
from charrnn_cli.training.trainer import CHECK_EVERY, Trainer
from tests.helpers import TINY, of_type, resume_training, run_training, tiny_job, train_until


def digests(name: str) -> dict[int, str]:
    """The digest of each step file's tensors."""
    run = Registry().run(name)
    return {entry.step: read_header(entry.path).tensors_sha256 for entry in run.checkpoints()}


def diverge_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the first update at this step of a run see a loss that is not finite."""
    update, left = Trainer.update, [step]

    def diverging(trainer: Trainer) -> bool:
        if left == [trainer.step]:
            left.clear()
            return False
        return update(trainer)

    monkeypatch.setattr(Trainer, "update", diverging)


def once(monkeypatch: pytest.MonkeyPatch, name: str, instead: Callable[..., Any]) -> None:
    """Call something else once, the next time that the loop calls this function."""
    real = getattr(action_loop, name)

    def replaced(*arguments: Any) -> Any:
        monkeypatch.setattr(action_loop, name, real)
        return instead(*arguments)

    monkeypatch.setattr(action_loop, name, replaced)


def test_a_divergence_goes_back_to_the_last_save(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a divergence a run is the one resumed from its last save, at half the rate."""
    train_until(corpus, 10, replace(TINY, eval_every=5), "resumed")
    run = Registry().run("resumed")
    snapshot = load_resume(run.resume_path)
    save_resume(run, replace(snapshot, counters=replace(snapshot.counters, lr_scale=0.5)))
    resume_training(corpus, "resumed")
    with monkeypatch.context() as patch:
        job = tiny_job(corpus, replace(TINY, eval_every=5), "diverged")
        training = train(job)
        events = [next(training)]
        diverge_at(patch, 13)
        events += training
    (diverged,) = of_type(events, Diverged)
    assert (diverged.step, diverged.back_to) == (13, 10)
    assert diverged.learning_rate == TINY.lr / 2
    assert digests("diverged") == digests("resumed")
    assert [event.step for event in of_type(events, Evaluated)] == [5, 10, 15, 20, 25, 30]
    counters = load_resume(job.run.resume_path).counters
    assert (counters.divergences, counters.lr_scale, counters.finished) == (1, 0.5, True)


def diverged_and_stopped(monkeypatch: pytest.MonkeyPatch, job: TrainingJob, stop_at: int) -> None:
    """Train a run that diverges at step 13, to a step."""
    reached = 0
    training = train(job, should_stop=lambda: reached >= stop_at)
    events = [next(training)]
    with monkeypatch.context() as patch:
        diverge_at(patch, 13)
        for event in training:
            events.append(event)
            reached = getattr(event, "step", 0)
    assert len(of_type(events, Diverged)) == 1
    (finished,) = of_type(events, TrainingFinished)
    assert finished.step == stop_at


def test_a_stop_after_an_unseen_divergence_ends_at_a_saved_step(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where checks are rare, a run stopped after a divergence goes back before it ends."""
    monkeypatch.setitem(CHECK_EVERY, "cpu", 32)
    update, reached = Trainer.update, [0]

    def poisoned_at_6(trainer: Trainer) -> bool:
        good = trainer.model.export()
        if trainer.step == 6:
            trainer.model.output.bias.data[0] = 1e6
        done = update(trainer)
        if trainer.step == 7:
            trainer.model.load(good)
        reached[0] = trainer.step
        return done

    job = tiny_job(corpus, replace(TINY, eval_every=5), "stopped")
    training = train(job, should_stop=lambda: reached[0] >= 8)
    events = [next(training)]
    monkeypatch.setattr(Trainer, "update", poisoned_at_6)
    events += training
    (diverged,) = of_type(events, Diverged)
    (finished,) = of_type(events, TrainingFinished)
    assert (diverged.step, diverged.back_to, finished.step) == (8, 5, 5)
    assert [entry.step for entry in job.run.checkpoints()] == [5]


def test_a_divergence_is_remembered(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that diverged and was then stopped resumes at its lower rate."""
    config = replace(TINY, log_every=1)
    diverged_and_stopped(monkeypatch, tiny_job(corpus, config, "whole"), 30)
    diverged_and_stopped(monkeypatch, tiny_job(corpus, config, "parts"), 17)
    resume_training(corpus, "parts")
    resume_training(corpus, "whole")
    assert digests("parts") == digests("whole")
    counters = load_resume(Registry().run("parts").resume_path).counters
    assert (counters.divergences, counters.lr_scale) == (1, 0.5)


def test_a_validation_loss_that_is_not_finite_is_a_divergence(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a loss is neither reported nor saved, and the run goes back."""
    once(monkeypatch, "evaluate", lambda *_: math.nan)
    events = run_training(corpus)
    assert [(type(event), event.step) for event in events if isinstance(event, Diverged)] == [
        (Diverged, 10)
    ]
    assert [event.step for event in of_type(events, Evaluated)] == [10, 20, 30]
    assert all(math.isfinite(event.val_loss) for event in of_type(events, Evaluated))


def test_a_full_disk_does_not_end_the_training(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose saves fail trains to its end, and then names the last good checkpoint."""

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    events: list[TrainEvent] = []

    def train_on() -> None:
        for event in train(tiny_job(corpus)):
            events.append(event)
            if isinstance(event, CheckpointSaved):
                monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(StorageError) as caught:
        train_on()
    assert [event.step for event in of_type(events, CheckpointSaved)] == [10]
    assert {event.step for event in of_type(events, SaveFailed)} == {10, 20, 30}
    assert [event.step for event in of_type(events, Evaluated)] == [10, 20, 30]
    assert caught.value.message.endswith("; the last good checkpoint is run@10")


def test_short_memory_is_reported_once(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that does not fit is split, which is one event, and the run goes on."""
    forward = CharRNN.forward

    def short(model: CharRNN, ids_TB: torch.Tensor, *arguments: Any) -> Any:
        if torch.is_grad_enabled() and ids_TB.shape[1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(model, ids_TB, *arguments)

    monkeypatch.setattr(CharRNN, "forward", short)
    events = run_training(corpus)
    assert [(event.step, event.parts) for event in of_type(events, BatchSplit)] == [(1, 2)]
    (finished,) = of_type(events, TrainingFinished)
    assert (finished.step, finished.reason) == (30, "complete")


def test_a_stop_during_an_evaluation(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop, asked for once, ends an evaluation, which the resumed run then makes."""
    run_training(corpus, TINY, "whole")
    asked: list[bool] = []

    def stopping(*arguments: Any) -> float | None:
        asked.append(True)
        return evaluate(*arguments)

    once(monkeypatch, "evaluate", stopping)
    events = list(
        train(tiny_job(corpus, TINY, "parts"), should_stop=lambda: bool(asked) and asked.pop())
    )
    assert of_type(events, Evaluated) == []
    (finished,) = of_type(events, TrainingFinished)
    assert (finished.step, finished.reason, finished.train_loss) == (10, "stopped", None)
    stopped = load_checkpoint("parts@10")
    assert (stopped.interrupted, stopped.val_loss) == (True, None)
    again = resume_training(corpus, "parts")
    assert [event.step for event in of_type(again, Evaluated)] == [10, 20, 30]
    assert digests("parts") == digests("whole")
    assert not load_checkpoint("parts@10").interrupted
    assert load_checkpoint("parts@10").val_loss == load_checkpoint("whole@10").val_loss


def test_a_stop_right_after_a_save(corpus: Corpus) -> None:
    """A run that stops at a step that is saved does not save it again as interrupted."""
    saved: list[int] = []
    training = train(tiny_job(corpus), should_stop=lambda: bool(saved))
    for event in training:
        if isinstance(event, CheckpointSaved):
            saved.append(event.step)
    assert saved == [10]
    assert isinstance(event, TrainingFinished)
    assert event.reason == "stopped"
    assert not load_checkpoint("run@10").interrupted
    checkpoint = load_resume(Registry().run("run").resume_path).checkpoint
    assert (checkpoint.step, checkpoint.val_loss) == (10, load_checkpoint("run@10").val_loss)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_sample_is_the_checkpoints(corpus: Corpus, ema: float) -> None:
    """A sample shown during training can be drawn again from that step's checkpoint."""
    config = replace(TINY, ema=ema, sample_every=10, sample_prime="the cat")
    samples = of_type(run_training(corpus, config), Sampled)
    assert [event.step for event in samples] == [10, 20, 30]
    for event in samples:
        checkpoint = load_checkpoint(f"run@{event.step}")
        pieces = generate(checkpoint, "the cat", length=SAMPLE_LENGTH, seed=TINY.seed)
        assert (event.prime, event.text) == ("the cat", "".join(pieces))
