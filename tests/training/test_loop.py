"""Training: it learns, it repeats itself, it saves what it says."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from charrnn_cli.config import Cell, ModelConfig, TrainConfig
from charrnn_cli.errors import ConfigError, DivergedError, RunBusyError, TextError
from charrnn_cli.events import (
    CheckpointSaved,
    Diverged,
    Evaluated,
    StepLogged,
    TrainEvent,
    TrainingFinished,
    TrainingStarted,
)
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.splits import matching_rows, split_text
from charrnn_cli.training.evaluation import evaluate
from charrnn_cli.training.loop import train
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.snapshot import load_resume
from charrnn_cli.training.trainer import CHECK_EVERY
from tests.helpers import TINY, run_training, tiny_model

Event = TypeVar("Event")


def of_type(events: list[TrainEvent], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_pattern_is_learned(cell: Cell) -> None:
    """A repeating pattern goes to a loss under 0.1, on text that was held out."""
    corpus = Corpus.from_text("abcd efg, hij. " * 300)
    config = TrainConfig(
        batch_size=8, seq_len=32, epochs=None, max_steps=250, lr=0.01, seed=1, eval_every=250
    )
    model = ModelConfig(vocabulary_size=len(corpus.vocab), cell=cell, layers=1, size=48, embed=16)
    events = list(
        train(corpus, model, replace(config, dropout=0.0), run=Registry().create("pattern"))
    )
    finished = of_type(events, TrainingFinished)[0]
    assert finished.val_loss is not None
    assert finished.val_loss < 0.1


def test_the_events_tell_the_run(corpus: Corpus) -> None:
    """Started first, finished last; evaluations when they are due, each with its checkpoint on disk."""
    events = run_training(corpus)
    assert isinstance(events[0], TrainingStarted)
    assert (events[0].total_steps, events[0].seed, events[0].dropout) == (30, 5, 0.25)
    assert [event.step for event in of_type(events, Evaluated)] == [10, 20, 30]
    saved = of_type(events, CheckpointSaved)
    assert [event.step for event in saved] == [10, 20, 30]
    for event, evaluated in zip(saved, of_type(events, Evaluated), strict=True):
        assert load_checkpoint(event.path).val_loss == event.val_loss == evaluated.val_loss
    finished = events[-1]
    assert isinstance(finished, TrainingFinished)
    assert (finished.step, finished.reason) == (30, "complete")
    assert finished.train_loss is not None
    assert of_type(events, StepLogged)[0].step == 1


def test_the_reported_loss_is_the_checkpoints(corpus: Corpus) -> None:
    """The weights in the file give the val loss that its header names."""
    run_training(corpus)
    checkpoint = load_checkpoint("run@20")
    model = CharRNN(checkpoint.model)
    model.load(checkpoint.weights)
    held_out = len(corpus) - round(0.1 * len(corpus))
    rows = [(held_out, len(corpus))]
    whole = evaluate(model, corpus, rows, "fp32")
    assert whole is not None
    assert checkpoint.val_loss == pytest.approx(whole, abs=0.2)
    assert whole < math.log(len(corpus.vocab))


def test_the_gap_is_measured_without_dropout(corpus: Corpus) -> None:
    """The clean train loss is the checkpoint's on every fourth row that matches the validation."""
    events = run_training(corpus, replace(TINY, dropout=0.5, max_steps=120))
    last = of_type(events, Evaluated)[-1]
    checkpoint = load_checkpoint("run@120")
    model = CharRNN(checkpoint.model)
    model.load(checkpoint.weights)
    split = split_text(len(corpus), TINY.val_fraction, TINY.val_split)
    assert last.clean_train_loss == evaluate(model, corpus, matching_rows(split)[::4], "fp32")
    assert last.clean_train_loss < last.train_loss


def test_an_open_number_of_threads_is_decided(corpus: Corpus) -> None:
    """All, or one where that is much faster, which is undone after the run; never where a seed asks for the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        (started,) = of_type(
            run_training(corpus, replace(TINY, threads=None, seed=None)), TrainingStarted
        )
        assert started.threads in (1, 2)
        assert torch.get_num_threads() == 2
        for number, seed, threads in (("two", None, 2), ("three", 1, None)):
            (started,) = of_type(
                run_training(corpus, replace(TINY, threads=threads, seed=seed), number),
                TrainingStarted,
            )
            assert started.threads == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_seed_decides_everything(corpus: Corpus) -> None:
    """Same seed, same bytes of weights; another seed, others."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_training(corpus, replace(TINY, seed=seed), name)
    digests = [read_header(Registry().resolve(f"{name}@30")).tensors_sha256 for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_no_seed_is_a_recorded_seed(corpus: Corpus) -> None:
    """A run without a seed can be repeated from what it recorded."""
    first = of_type(run_training(corpus, replace(TINY, seed=None), "a"), TrainingStarted)[0]
    recorded = TrainConfig.from_json(load_checkpoint("a").train)
    assert recorded.seed == first.seed
    run_training(corpus, recorded, "b")
    assert read_header(Registry().resolve("a@30")).tensors_sha256 == (
        read_header(Registry().resolve("b@30")).tensors_sha256
    )


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("stop_at", [1, 7, 10, 11, 29])
def test_stopped_and_resumed_is_the_same_run(corpus: Corpus, stop_at: int, ema: float) -> None:
    """Bit for bit: weights, optimizer, recurrent state and step files; what was stopped can be sampled meanwhile."""
    run_training(corpus, replace(TINY, ema=ema), "whole")
    run = Registry().create("parts")
    reached = [0]
    config = replace(TINY, log_every=1, ema=ema)
    for event in train(
        corpus, tiny_model(corpus), config, run=run, should_stop=lambda: reached[-1] >= stop_at
    ):
        if isinstance(event, StepLogged):
            reached.append(event.step)
    finished = event
    assert isinstance(finished, TrainingFinished)
    assert (finished.reason, finished.step) == ("stopped", stop_at)
    assert load_checkpoint(f"parts@{finished.step}").interrupted
    state = load_resume(run.resume_path)
    recorded = TrainConfig.from_json(state.checkpoint.train)
    rest = list(train(corpus, state.checkpoint.model, recorded, run=run, resume=state))
    assert isinstance(rest[0], TrainingStarted)
    assert rest[0].first_step == finished.step
    assert [entry.step for entry in run.checkpoints()] == [10, 20, 30]
    for whole_file, parts_file in (
        (Registry().run("whole").resume_path, run.resume_path),
        *((Registry().resolve(f"whole@{step}"), run.step_path(step)) for step in (10, 20, 30)),
    ):
        assert read_header(whole_file).tensors_sha256 == read_header(parts_file).tensors_sha256
    assert Registry().run("whole").checkpoints()[1].val_loss == run.checkpoints()[1].val_loss


def test_averaged_weights_are_what_is_saved(corpus: Corpus) -> None:
    """The step file holds the average, the resume file both; training itself is not touched by it."""
    run_training(corpus, TINY, "plain")
    run_training(corpus, replace(TINY, ema=0.9), "averaged")
    plain, averaged = load_checkpoint("plain@30"), load_checkpoint("averaged@30")
    state = load_resume(Registry().run("averaged").resume_path)
    for name, array in plain.weights.items():
        assert (state.tensors[f"raw.{name}"] == array).all()
        assert (state.checkpoint.weights[name] == averaged.weights[name]).all()
    assert not (averaged.weights["output.weight"] == plain.weights["output.weight"]).all()


def test_patience_ends_early(corpus: Corpus) -> None:
    """After so many evaluations without a better one; the best stays."""
    config = replace(TINY, patience=2, lr=1e-9, eval_every=1, weight_decay=0.0, max_steps=200)
    finished = run_training(corpus, config)[-1]
    assert isinstance(finished, TrainingFinished)
    assert finished.reason == "patience"
    assert finished.step < 200


def test_saving_without_validation(corpus: Corpus) -> None:
    """Step files every so many steps and at the end; their val loss is none."""
    run_training(corpus, replace(TINY, val_fraction=0.0, save_every=12))
    entries = Registry().run("run").checkpoints()
    assert [(entry.step, entry.val_loss) for entry in entries] == [
        (12, None),
        (24, None),
        (30, None),
    ]


def test_steps_between_evaluations_can_be_saved_too(corpus: Corpus) -> None:
    run_training(corpus, replace(TINY, save_every=4, eval_every=15))
    entries = Registry().run("run").checkpoints()
    scored = {entry.step: entry.val_loss is not None for entry in entries}
    assert scored == {step: step in (15, 30) for step in (4, 8, 12, 15, 16, 20, 24, 28, 30)}


@pytest.mark.parametrize("look_every", [1, 7])
def test_divergence_goes_back_with_half_the_rate(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, look_every: int
) -> None:
    """Seen before the update or at a later look, said aloud, never published; given up in the end."""
    monkeypatch.setitem(CHECK_EVERY, "cpu", look_every)
    events: list[TrainEvent] = []
    run = Registry().create("wild")
    config = replace(TINY, lr=99.0, weight_decay=10.0, warmup=0.0)
    with pytest.raises(DivergedError, match="blew up"):
        events.extend(train(corpus, tiny_model(corpus), config, run=run))
    told = of_type(events, Diverged)
    assert all(event.chars_per_second >= 0 for event in of_type(events, StepLogged))
    assert [event.learning_rate for event in told] == [99.0 / 2, 99.0 / 4, 99.0 / 8]
    for entry in run.checkpoints():
        load_checkpoint(entry.path)


def test_max_time_is_kept(corpus: Corpus) -> None:
    """Planned from timed steps, recorded as steps, and over in time."""
    events = run_training(corpus, replace(TINY, max_steps=None, max_time=4.0, eval_every=None))
    started, finished = events[0], events[-1]
    assert isinstance(started, TrainingStarted)
    assert isinstance(finished, TrainingFinished)
    assert finished.seconds < 4.0
    assert finished.step > 20
    recorded = TrainConfig.from_json(load_checkpoint("run@latest").train)
    assert (recorded.max_steps, recorded.max_time, recorded.epochs) == (
        started.total_steps,
        None,
        None,
    )


def test_a_budget_too_short_for_anything_is_refused(corpus: Corpus) -> None:
    """Rather than a run of no steps."""
    with pytest.raises(ConfigError, match="too short"):
        run_training(corpus, replace(TINY, max_steps=None, max_time=1.0))
    assert Registry().runs() == []


def test_the_window_of_evaluation_changes_nothing(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bounds the memory: a large vocabulary is evaluated in shorter pieces."""
    model = CharRNN(tiny_model(corpus))
    model.initialize(1, "orthogonal")
    rows = [(100, 700), (800, 1500)]
    whole = evaluate(model, corpus, rows, "fp32")
    monkeypatch.setattr("charrnn_cli.training.evaluation.LOGITS", 2 * len(corpus.vocab) * 7)
    assert evaluate(model, corpus, rows, "fp32") == pytest.approx(whole, abs=1e-6)


def test_one_trainer_a_run(corpus: Corpus) -> None:
    run = Registry().create("run")
    with hold_lock(run.path), pytest.raises(RunBusyError, match="pid"):
        next(train(corpus, tiny_model(corpus), TINY, run=run))


def test_impossible_runs_leave_no_directory(corpus: Corpus) -> None:
    """A text too short, or a model for another vocabulary."""
    with pytest.raises(TextError):
        run_training(corpus, replace(TINY, batch_size=60_000))
    with pytest.raises(ConfigError, match="symbols"):
        list(train(corpus, ModelConfig(vocabulary_size=3), TINY, run=Registry().create("run")))
    assert Registry().runs() == []


def test_the_commonest_character_is_recorded(corpus: Corpus) -> None:
    run_training(corpus)
    assert load_checkpoint("run").data["commonest"] == " "


def test_bf16_trains_too(corpus: Corpus, tmp_path: Path) -> None:
    """The products are rounded, the weights are not."""
    run_training(corpus, replace(TINY, precision="bf16"))
    weights = load_checkpoint("run").weights["output.weight"]
    assert weights.dtype == np.float32
    assert (weights.view(np.uint32) & 0xFFFF).any()
