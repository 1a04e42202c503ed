"""A live run, captured and restored."""

from dataclasses import replace

import numpy as np
import pytest

from charrnn_cli.errors import FileFormatError
from charrnn_cli.events import Evaluated
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.header import DataFacts
from charrnn_cli.storage.registry import Registry
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.resume import is_complete, open_resume_point
from charrnn_cli.training.run_state import RunState
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume, save_resume
from charrnn_cli.training.trainer import make_trainer
from charrnn_cli.training.windows import make_windows
from tests.helpers import (
    TINY,
    make_checkpoint,
    of_type,
    resume_training,
    run_training,
    tiny_decisions,
    tiny_job,
)

EVALUATED = Evaluated(step=29, epoch=1.0, train_loss=1.25, val_loss=1.5, best=True, seconds=1.0)
DECISIONS = tiny_decisions(seed=5, steps=30, eval_every=10, val_rows=1)


def new_state(job: TrainingJob) -> RunState:
    windows = make_windows(job.corpus, job.split, job.config, seed=5)
    return RunState(job, DECISIONS, make_trainer(job, DECISIONS, windows), 0.0)


def arrays(snapshot: TrainingSnapshot) -> dict[str, np.ndarray]:
    return {**snapshot.checkpoint.weights, **snapshot.tensors}


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_restore_is_the_inverse_of_capture(corpus: Corpus, ema: float) -> None:
    """A snapshot does not change with the run, and restored it gives the same run again."""
    state = new_state(tiny_job(corpus, replace(TINY, ema=ema)))
    for _ in range(5):
        state.trainer.update()
    state.counters.best_step = 3
    taken = state.capture(EVALUATED)
    before = {name: array.copy() for name, array in arrays(taken).items()}
    for _ in range(5):
        state.trainer.update()
    state.counters.best_step = 9
    once = state.capture()
    assert taken.counters.best_step == 3
    assert all((before[name] == array).all() for name, array in arrays(taken).items())
    state.restore(taken)
    assert (state.trainer.step, state.counters.best_step) == (5, 9)  # the counters stay
    for _ in range(5):
        state.trainer.update()
    again = state.capture()
    assert all((arrays(once)[name] == array).all() for name, array in arrays(again).items())
    assert again.counters.running_loss == once.counters.running_loss


def test_a_checkpoint_says_where_it_comes_from(corpus: Corpus) -> None:
    """A checkpoint has the step, the epoch, the losses, and what the model was trained on."""
    state = new_state(tiny_job(corpus))
    fresh = state.checkpoint()
    assert (fresh.step, fresh.epoch, fresh.train_loss, fresh.val_loss) == (0, 0.0, None, None)
    for _ in range(29):
        state.trainer.update()
    checkpoint = state.checkpoint(EVALUATED, interrupted=True)
    assert (checkpoint.run, checkpoint.step, checkpoint.val_loss) == ("run", 29, 1.5)
    assert checkpoint.epoch == 29 / state.trainer.windows.per_epoch
    assert checkpoint.train_loss == 1.25
    assert checkpoint.interrupted
    assert checkpoint.vocab == corpus.vocab
    assert checkpoint.data == DataFacts(
        name="story",
        sha256=corpus.sha256,
        characters=len(corpus),
        commonest=" ",
        counted=corpus.sha256,
    )
    assert (checkpoint.train["seed"], checkpoint.train["max_steps"]) == (5, 30)


def test_a_resume_file_that_does_not_fit_is_refused(corpus: Corpus) -> None:
    """Tensors of another shape, or missing ones, are an error that names the run."""
    run_training(corpus)
    run = Registry().run("run")
    snapshot = load_resume(run.resume_path)
    tensors = dict(snapshot.tensors)
    del tensors["state.0.0"]
    for wrong in (tensors, {**snapshot.tensors, "state.0.0": np.zeros((1, 2, 12), np.float32)}):
        save_resume(run, replace(snapshot, tensors=wrong))
        with pytest.raises(FileFormatError) as caught:
            resume_training(corpus, "run", {"max_steps": 40})
        assert caught.value.message == (
            "the resume file of run 'run' does not match its configuration"
        )


def test_where_a_run_began_is_never_forgotten(corpus: Corpus) -> None:
    """A run that began with a checkpoint says so also after a resume, and evaluates it once."""
    run_training(corpus, replace(TINY, max_steps=10), "base")
    initial = load_checkpoint("base@10")
    first = list(train(tiny_job(corpus, TINY, "tuned", initial=initial)))
    assert [event.step for event in of_type(first, Evaluated)] == [0, 10, 20, 30]
    again = resume_training(corpus, "tuned", {"max_steps": 40})
    assert [event.step for event in of_type(again, Evaluated)] == [40]
    for step in (10, 40):
        assert load_checkpoint(f"tuned@{step}").data.init_from == "base@10"
    assert initial.data.init_from is None


def test_a_resumed_run_is_not_finished(corpus: Corpus) -> None:
    """A finished run that goes on and is stopped is not finished, so it can go on again."""
    run_training(corpus)
    assert is_complete(open_resume_point("run", Registry()), {})
    job = TrainingJob.resumed("run", {"max_steps": 60, "log_every": 1}, texts=corpus)
    reached = 0
    training = train(job, should_stop=lambda: reached >= 35)
    for event in training:
        reached = getattr(event, "step", 0)
    point = open_resume_point("run", Registry())
    assert (point.step, point.snapshot.counters.finished) == (35, False)
    assert not is_complete(point, {})
    resume_training(corpus, "run")
    assert is_complete(open_resume_point("run", Registry()), {})


def test_initial_weights_come_from_the_checkpoint(corpus: Corpus) -> None:
    """A run that begins with a checkpoint has its weights, also in their average."""
    base = make_checkpoint(characters=corpus.vocab.characters)
    settings = {"batch_size": 4, "seq_len": 16, "ema": 0.9, "max_steps": 5}
    state = new_state(TrainingJob.new(corpus, settings, name="two", initial=base))
    for weights in (state.trainer.model.export(), state.trainer.evaluated.export()):
        assert all((weights[name] == array).all() for name, array in base.weights.items())
    assert state.init_from == "tiny@100"
