"""Training learns, repeats itself, and saves what it reports."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn_cli.architecture import Cell
from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError, DivergedError, RunBusyError, TextError
from charrnn_cli.events import (
    CheckpointSaved,
    Diverged,
    Evaluated,
    Sampled,
    StepLogged,
    TrainEvent,
    TrainingFinished,
    TrainingStarted,
)
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.ngram_counts import counted_spans
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.rows import Span
from charrnn_cli.text.splits import matching_rows, split_corpus, symbol_frequencies
from charrnn_cli.training.device import supports_bf16
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.ngram_inputs import NgramText
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume
from charrnn_cli.training.trainer import CHECK_EVERY
from tests.helpers import STORY, TINY, of_type, resume_training, run_training, tiny_job, train_until


def loss_on(corpus: Corpus, rows: Sequence[Span], reference: str) -> float | None:
    """Evaluate a checkpoint of a run on this text."""
    checkpoint = load_checkpoint(reference)
    model = CharRNN(checkpoint.model)
    model.load(checkpoint.weights)
    assert checkpoint.ngrams is not None
    counted = counted_spans(split_corpus(corpus, TINY).train)
    ngrams = NgramText(checkpoint.ngrams, corpus, counted)
    return evaluate(model, corpus, rows, "fp32", never_stop, ngrams)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_pattern_is_learned(cell: Cell) -> None:
    """A repeating pattern reaches a loss under 0.1 on text that was held out."""
    settings = {
        "cell": cell,
        "layers": 1,
        "size": 48,
        "embed": 16,
        "batch_size": 8,
        "seq_len": 32,
        "max_steps": 250,
        "lr": 0.01,
        "seed": 1,
        "eval_every": 250,
        "dropout": 0.0,
    }
    job = TrainingJob.new(Corpus.from_text("abcd efg, hij. " * 300), settings)
    (finished,) = of_type(list(train(job)), TrainingFinished)
    assert finished.val_loss is not None
    assert finished.val_loss < 0.1


def test_the_events_of_a_whole_run(corpus: Corpus) -> None:
    """A run starts, logs its first step, samples, evaluates and saves when due, and finishes."""
    config = replace(TINY, max_steps=8, eval_every=4, save_every=3, sample_every=6, log_every=5)
    events = [(type(event), getattr(event, "step", 0)) for event in run_training(corpus, config)]
    assert events == [
        (TrainingStarted, 0),
        (StepLogged, 1),
        (CheckpointSaved, 3),
        (Evaluated, 4),
        (CheckpointSaved, 4),
        (StepLogged, 5),
        (Sampled, 6),
        (CheckpointSaved, 6),
        (Evaluated, 8),
        (CheckpointSaved, 8),
        (TrainingFinished, 8),
    ]


def test_the_events_agree_with_the_files(corpus: Corpus) -> None:
    """Each evaluation is followed by the checkpoint that has its loss."""
    events = run_training(corpus)
    started, finished = events[0], events[-1]
    assert isinstance(started, TrainingStarted)
    assert (started.total_steps, started.seed, started.dropout) == (30, 5, 0.25)
    saved = of_type(events, CheckpointSaved)
    assert [event.step for event in saved] == [10, 20, 30]
    for event, evaluated in zip(saved, of_type(events, Evaluated), strict=True):
        assert load_checkpoint(event.path).val_loss == event.val_loss == evaluated.val_loss
    assert isinstance(finished, TrainingFinished)
    assert (finished.step, finished.total_steps, finished.reason) == (30, 30, "complete")
    losses = {event.step: event.val_loss for event in saved if event.val_loss is not None}
    best_step = min(losses, key=lambda step: losses[step])
    assert finished.val_loss == losses[30]
    assert (finished.best_step, finished.best_val_loss) == (best_step, losses[best_step])
    rows = matching_rows(split_corpus(corpus, TINY))
    train_loss = loss_on(corpus, rows, "run@30")
    assert finished.train_loss == load_checkpoint("run@30").train_loss == train_loss


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_reported_loss_is_the_checkpoints(corpus: Corpus, ema: float) -> None:
    """The weights in a file give exactly the validation loss in its header."""
    run_training(corpus, replace(TINY, ema=ema))
    rows = split_corpus(corpus, TINY).val
    for step in (10, 20, 30):
        loss = loss_on(corpus, rows, f"run@{step}")
        assert load_checkpoint(f"run@{step}").val_loss == loss
        assert loss is not None
        assert loss < math.log(len(corpus.vocab))


def test_the_gap_is_measured_without_dropout(corpus: Corpus) -> None:
    """The train loss is the checkpoint's, on training text that matches the validation text."""
    events = run_training(corpus, replace(TINY, dropout=0.5, max_steps=120))
    last = of_type(events, Evaluated)[-1]
    rows = matching_rows(split_corpus(corpus, TINY))
    assert last.train_loss == loss_on(corpus, rows, "run@120")
    assert last.train_loss < of_type(events, StepLogged)[-1].running_loss


def test_tiny_documents_and_much_validation(tmp_path: Path) -> None:
    """Documents too short to match the validation rows are trained on and evaluated."""
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text("abcdefghij")
    source = Source((tmp_path,), TextOptions(keep_duplicates=True))
    settings = {"size": 4, "seq_len": 4, "max_steps": 2, "val_fraction": 0.9, "seed": 1}
    (finished,) = of_type(list(train(TrainingJob.new(source, settings))), TrainingFinished)
    assert finished.train_loss is not None
    assert finished.val_loss is not None


def test_an_open_number_of_threads_is_decided(corpus: Corpus) -> None:
    """A run may choose one thread unless it is told, and torch's own number is restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for name, seed, threads, expected in (
            ("one", None, None, {1, 2}),
            ("two", None, 2, {2}),
            ("three", 1, None, {1, 2}),
            ("four", 1, 1, {1}),
        ):
            config = replace(TINY, threads=threads, seed=seed, max_steps=1)
            (started,) = of_type(run_training(corpus, config, name), TrainingStarted)
            assert started.threads in expected
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_seed_decides_everything(corpus: Corpus) -> None:
    """Two runs of one seed have equal weights, bit for bit; a run of another seed has others."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_training(corpus, replace(TINY, seed=seed), name)
    digests = [read_header(Registry().resolve(f"{name}@30")).tensors_sha256 for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_no_seed_is_a_recorded_seed(corpus: Corpus) -> None:
    """A run without a seed can be repeated from its recorded configuration."""
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
    """A stopped run can be sampled, and resumed it equals an uninterrupted run bit for bit."""
    run_training(corpus, replace(TINY, ema=ema), "whole")
    train_until(corpus, stop_at, replace(TINY, ema=ema), "parts")
    assert load_checkpoint(f"parts@{stop_at}").interrupted
    started = resume_training(corpus, "parts")[0]
    assert isinstance(started, TrainingStarted)
    assert started.first_step == stop_at
    assert_same_run()


def assert_same_run() -> None:
    """Compare the tensors of the runs `whole` and `parts`, to the bit."""
    whole, parts = Registry().run("whole"), Registry().run("parts")
    assert [entry.step for entry in parts.checkpoints()] == [10, 20, 30]
    for whole_file, parts_file in (
        (whole.resume_path, parts.resume_path),
        *((whole.step_path(step), parts.step_path(step)) for step in (10, 20, 30)),
    ):
        assert read_header(whole_file).tensors_sha256 == read_header(parts_file).tensors_sha256
    assert whole.checkpoints()[1].val_loss == parts.checkpoints()[1].val_loss


@pytest.mark.parametrize("kind", ["documents", "initial weights", "no n-grams", "short windows"])
def test_stopped_and_resumed_is_the_same_run_of_any_kind(
    corpus: Corpus, tmp_path: Path, kind: str
) -> None:
    """The same is true for separate documents, other initial weights, and any n-grams."""
    options: dict[str, Any] = {}
    config = TINY
    if kind == "documents":
        paths = [tmp_path / f"{number}.txt" for number in range(5)]
        for number, path in enumerate(paths):
            path.write_text(STORY[: 800 + 7 * number], "utf-8")
        corpus = cached_corpus(paths)
        config = replace(TINY, shuffle_documents=True)
    elif kind == "initial weights":
        run_training(corpus, TINY, "base")
        options["initial"] = load_checkpoint("base@20")
    elif kind == "short windows":  # shorter than what n-grams see
        config = replace(TINY, seq_len=3)
    ngram = 0 if kind == "no n-grams" else None
    run_training(corpus, config, "whole", ngram=ngram, **options)
    train_until(corpus, 17, config, "parts", ngram=ngram, **options)
    resume_training(corpus, "parts")
    assert_same_run()
    assert (load_checkpoint("parts").ngrams is None) == (ngram == 0)


def test_the_last_resume_file_is_written_once(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each save of a run, the last included, writes one resume file, which knows the end."""
    written = []

    def counted(run: Run, snapshot: TrainingSnapshot) -> None:
        written.append((snapshot.checkpoint.step, snapshot.counters.finished))
        save_resume(run, snapshot)

    monkeypatch.setattr("charrnn_cli.training.saver.save_resume", counted)
    run_training(corpus)
    assert written == [(10, False), (20, False), (30, True)]


def test_a_stop_before_the_first_evaluation(corpus: Corpus) -> None:
    """A run with initial weights that is stopped at once has a start and an end, and no file."""
    run_training(corpus, TINY, "base")
    job = tiny_job(corpus, TINY, initial=load_checkpoint("base"))
    events = list(train(job, should_stop=lambda: True))
    assert [type(event) for event in events] == [TrainingStarted, TrainingFinished]
    assert [run.name for run in Registry().runs()] == ["base"]


def test_averaged_weights_are_what_is_saved(corpus: Corpus) -> None:
    """The step file holds the weight average, the resume file both; training is unchanged."""
    run_training(corpus, TINY, "plain")
    run_training(corpus, replace(TINY, ema=0.9), "averaged")
    plain, averaged = load_checkpoint("plain@30"), load_checkpoint("averaged@30")
    snapshot = load_resume(Registry().run("averaged").resume_path)
    for name, array in plain.weights.items():
        assert (snapshot.tensors[f"raw.{name}"] == array).all()
        assert (snapshot.checkpoint.weights[name] == averaged.weights[name]).all()
    assert not (averaged.weights["output.weight"] == plain.weights["output.weight"]).all()


def test_patience_ends_early(corpus: Corpus) -> None:
    """A run ends after `patience` evaluations without improvement, and counts as finished."""
    config = replace(TINY, patience=2, lr=1e-9, eval_every=1, weight_decay=0.0, max_steps=200)
    events = run_training(corpus, config)
    finished = events[-1]
    assert isinstance(finished, TrainingFinished)
    assert finished.reason == "patience"
    evaluations = of_type(events, Evaluated)
    assert [event.best for event in evaluations[-3:]] == [True, False, False]
    assert load_resume(Registry().run("run").resume_path).counters.finished


def test_saving_without_validation(corpus: Corpus) -> None:
    """Without validation, step files have no val loss, and come as asked and at the end."""
    run_training(corpus, replace(TINY, val_fraction=0.0, eval_every=None, save_every=12))
    entries = Registry().run("run").checkpoints()
    assert [(entry.step, entry.val_loss) for entry in entries] == [
        (12, None),
        (24, None),
        (30, None),
    ]


def test_steps_between_evaluations_can_be_saved_too(corpus: Corpus) -> None:
    """`save_every` adds step files to those of the evaluations; only the latter have a val loss."""
    run_training(corpus, replace(TINY, save_every=4, eval_every=15))
    entries = Registry().run("run").checkpoints()
    scored = {entry.step: entry.val_loss is not None for entry in entries}
    assert scored == {step: step in (15, 30) for step in (4, 8, 12, 15, 16, 20, 24, 28, 30)}


@pytest.mark.parametrize("check_every", [1, 7])
def test_divergence_goes_back_with_half_the_rate(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, check_every: int
) -> None:
    """A divergence is reported, never saved, and retried at half the rate three times."""
    monkeypatch.setitem(CHECK_EVERY, "cpu", check_every)
    events: list[TrainEvent] = []
    config = replace(TINY, lr=99.0, weight_decay=10.0, warmup=0.0, log_every=1)
    job = tiny_job(corpus, config, "wild")
    with pytest.raises(DivergedError, match=r"the loss diverged at step \d+, after 3 retries"):
        events.extend(train(job))
    logged = of_type(events, StepLogged)
    assert all(event.chars_per_second >= 0 for event in logged)
    assert all(math.isfinite(event.running_loss) for event in logged)
    rates = [event.learning_rate for event in of_type(events, Diverged)]
    assert rates == [99.0 / 2, 99.0 / 4, 99.0 / 8]
    for entry in job.run.checkpoints():
        load_checkpoint(entry.path)


def test_a_budget_too_short_for_anything_is_refused(corpus: Corpus) -> None:
    """A budget below one step is an error that leaves no run behind."""
    with pytest.raises(ConfigError, match="max time 1 s is too short"):
        run_training(corpus, replace(TINY, max_steps=None, max_time=1.0))
    assert Registry().runs() == []


def test_one_process_trains_a_run(corpus: Corpus) -> None:
    """A run whose lock another process holds is busy."""
    train_until(corpus, 10)
    job = TrainingJob.resumed("run", texts=corpus)
    with hold_lock(job.run.path), pytest.raises(RunBusyError, match="pid"):
        next(train(job))


def test_impossible_runs_leave_no_directory(corpus: Corpus) -> None:
    """A batch that does not fit the text is an error that leaves no run behind."""
    with pytest.raises(
        TextError, match="--batch-size 60000 x --seq-len 16 needs 960,001 characters"
    ):
        run_training(corpus, replace(TINY, batch_size=60_000))
    assert Registry().runs() == []


def test_the_commonest_character_is_recorded(corpus: Corpus) -> None:
    """A checkpoint knows its text's commonest character, which may serve as a prime."""
    run_training(corpus)
    assert load_checkpoint("run").data.commonest == " "


def test_bf16_trains_too(corpus: Corpus) -> None:
    """With bf16 only the products are rounded: the weights keep all bits of float32."""
    if not supports_bf16(torch.device("cpu")):
        pytest.skip("this CPU computes no LSTM in bfloat16")
    run_training(corpus, replace(TINY, precision="bf16"))
    weights = load_checkpoint("run").weights["output.weight"]
    assert weights.dtype == np.float32
    assert (weights.view(np.uint32) & 0xFFFF).any()


def test_a_fresh_model_knows_the_frequencies(corpus: Corpus) -> None:
    """The output bias begins with the frequencies of the training text, so step 1 is no guess."""
    run_training(corpus, replace(TINY, max_steps=1, lr=1e-9, weight_decay=0.0))
    bias_V = load_checkpoint("run").weights["output.bias"]
    expected_V = symbol_frequencies(corpus, split_corpus(corpus, TINY))
    assert np.exp(bias_V) / np.exp(bias_V).sum() == pytest.approx(expected_V, rel=1e-4)
