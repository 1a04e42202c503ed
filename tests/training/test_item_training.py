"""Training on the items of a list."""

import random
from dataclasses import replace

import numpy as np
import pytest

from charrnn_cli.events import Evaluated, TrainingFinished
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.trainer import make_trainer
from charrnn_cli.training.windows import make_windows
from tests.helpers import (
    TINY,
    of_type,
    resume_training,
    run_training,
    tiny_decisions,
    tiny_job,
    train_until,
)

CONFIG = replace(TINY, batch_size=4, seq_len=8)


def names(count: int = 120) -> list[str]:
    """Make up names of 2 to 30 characters; some are longer than a window."""
    chance = random.Random(1)
    syllables = ["an", "bo", "li", "ma", "ro", "ta"]
    return [
        "".join(chance.choices(syllables, k=chance.choice([1, 2, 2, 3, 15]))) for _ in range(count)
    ]


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("step", [7, 8, 9, 10, 11])
def test_a_resumed_run_is_the_same(step: int, ema: float) -> None:
    """A run that stopped at any step of a batch of long items ends with the same weights."""
    corpus, config = Corpus.from_items(names()), replace(CONFIG, ema=ema)
    run_training(corpus, config, "whole")
    train_until(corpus, step, config, "resumed")
    resume_training(corpus, "resumed")
    whole, resumed = (load_checkpoint(f"{name}@latest") for name in ("whole", "resumed"))
    assert whole.step == resumed.step == config.max_steps
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(array, resumed.weights[name])


def test_that_steps_stop_inside_batches() -> None:
    """Among the steps of that test are some that carry a state, of more than one size."""
    job = tiny_job(Corpus.from_items(names()), CONFIG)
    windows = make_windows(job.corpus, job.split, job.config, seed=1)
    fresh = [bool(windows.reset_rows(step).all()) for step in range(12)]
    assert not all(fresh[7:12])
    assert any(fresh[7:12])
    assert len({windows.num_rows(step) for step in range(12)}) > 1


def test_a_split_batch_is_the_same() -> None:
    """A batch in parts gives the same losses, whatever the number of its rows."""
    job = tiny_job(Corpus.from_items(names()), CONFIG)
    decisions = tiny_decisions()
    windows = make_windows(job.corpus, job.split, job.config, seed=1)
    whole, parts = (make_trainer(job, decisions, windows) for _ in range(2))
    parts.parts = 4
    for _ in range(12):
        whole.update()
        parts.update()
        assert parts.running_loss == pytest.approx(whole.running_loss, rel=1e-4)
    assert parts.characters == whole.characters


def test_the_order_of_a_list_does_not_matter() -> None:
    """A sorted list has the same validation items as a shuffled one, and about the same loss."""
    items = names(400)
    config = replace(CONFIG, max_steps=150, eval_every=150, schedule="linear")
    losses = []
    for name, order in (("sorted", sorted(items)), ("shuffled", items)):
        events = run_training(Corpus.from_items(order), config, name)
        losses.append(of_type(events, Evaluated)[-1].val_loss)
    assert abs(losses[0] - losses[1]) < 0.05


def test_a_checkpoint_says_that_it_writes_items() -> None:
    """A checkpoint records what ends an item, and how long items are."""
    corpus = Corpus.from_items(names())
    run_training(corpus, CONFIG)
    checkpoint = load_checkpoint("run")
    assert checkpoint.data.end == checkpoint.default_prime == "\n"
    assert checkpoint.data.longest_item == max(map(len, names()))
    assert checkpoint.data.reading.documents == "lines"


def test_a_list_without_validation() -> None:
    """Without validation, all items are trained on."""
    corpus = Corpus.from_items(names())
    events = run_training(corpus, replace(CONFIG, val_fraction=0, eval_every=None))
    assert of_type(events, TrainingFinished)[0].val_loss is None
    assert Registry().run("run").checkpoints()
