"""The loss of a run's best checkpoint on its test text, and the time that is left for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from charrnn_cli.events import BestTested, Evaluated, TrainingFinished
from charrnn_cli.storage.metrics_log import read_metrics
from charrnn_cli.storage.registry import Registry
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.held_out import HeldOut, JoinedCorpus
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.training.ending import EXIT_RESERVE, TEST_SHARE, plan_ending
from charrnn_cli.training.ngram_device import DeviceNgrams
from charrnn_cli.training.ngram_inputs import ngram_text
from tests.helpers import STORY, TINY, of_type, resume_training, run_training, tiny_job, train_until

NONSENSE = "tac eht no tas tar eht dna ,tam eht\n" * 30


@pytest.fixture
def joined(corpus: Corpus) -> JoinedCorpus:
    """A training text, and one other text both to validate and to test with."""
    other = in_vocabulary(Corpus.from_text(NONSENSE, "other"), corpus.vocab)
    return JoinedCorpus(corpus, HeldOut(other, other))


def test_the_best_checkpoint_is_tested(joined: JoinedCorpus) -> None:
    """On the text of the validation, the test loss is the lowest val loss, not the last one."""
    config = replace(TINY, max_steps=60, eval_every=5, dropout=0.0, lr=0.02)
    events = run_training(joined, config)
    (tested,) = of_type(events, BestTested)
    best = min(of_type(events, Evaluated), key=lambda event: event.val_loss)
    finished = events[-1]
    assert isinstance(finished, TrainingFinished)
    assert tested.step == best.step == finished.best_step
    assert tested.step < finished.step
    assert tested.test_loss == pytest.approx(best.val_loss, abs=1e-5)
    assert tested.evaluated_characters == tested.test_characters == len(NONSENSE) - 1


def test_a_stopped_run_is_not_tested(joined: JoinedCorpus) -> None:
    """A run that is asked to stop ends without a test loss; resumed to its end, it has one."""
    train_until(joined, 5)
    metrics = Registry().run("run").metrics_path
    assert read_metrics(metrics).tested is None
    (tested,) = of_type(resume_training(joined, "run"), BestTested)
    assert read_metrics(metrics).tested == tested


def test_a_test_text_takes_little_of_a_time_limit(joined: JoinedCorpus) -> None:
    """Without a limit, all rows are read; with one, so many that they take 3 % of it."""
    job = tiny_job(joined)
    rows = len(job.split.test)
    whole = plan_ending(job, 0.01, 4.0, None, reserve=1.0)
    assert whole.test_rows == rows
    assert whole.seconds == pytest.approx(1.0 + 2.0)
    limited = plan_ending(job, 0.01, 4.0, 30.0, reserve=0.0)
    assert 0 < limited.test_rows < rows
    assert limited.seconds <= TEST_SHARE * 30.0
    assert limited.seconds_from_last_step(1.0) == EXIT_RESERVE + 1.5 + limited.seconds
    assert plan_ending(tiny_job(Corpus.from_text(STORY)), 0.01, 4.0, 30.0, 0.5).test_rows == 0


def test_a_device_knows_the_held_out_texts(joined: JoinedCorpus) -> None:
    """N-grams on a device have the inputs for positions of the texts that follow, as numpy has."""
    text = ngram_text(tiny_job(joined))
    assert text is not None
    start, stop = joined.reach - 40, joined.reach
    positions_TB = np.arange(start, stop)[:, None]
    limits_TB = np.full_like(positions_TB, 9)
    on_device = DeviceNgrams(text, torch.device("cpu"))
    found = on_device.inputs(torch.from_numpy(positions_TB), torch.from_numpy(limits_TB))
    np.testing.assert_allclose(found.numpy(), text.inputs(positions_TB, limits_TB), atol=1e-4)
