"""Settings that the size of the text decides."""

import pytest

from charrnn_cli.config import TrainConfig
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.recipe import limited_settings, warm_settings
from tests.helpers import STORY, make_checkpoint

SIZES = (1_000, 20_000, 60_000, 300_000, 1_000_000, 10**9)


@pytest.mark.parametrize("characters", SIZES)
def test_what_is_given_stays(characters: int) -> None:
    """A setting that is given is not chosen, and steps replace epochs."""
    chosen = warm_settings((), characters)
    assert chosen.keys() == {"lr", "dropout", "epochs"}
    TrainConfig.from_json(chosen)
    for name in chosen:
        assert warm_settings([name], characters).keys() == chosen.keys() - {name}
    assert warm_settings(["max_steps"], characters).keys() == {"lr", "dropout"}
    assert warm_settings(["max_time"], characters) == chosen


def test_a_short_text_is_trained_on_gently() -> None:
    """The shorter the text, the more dropout; no text gets a higher rate than a fresh start."""
    dropouts = [warm_settings((), characters)["dropout"] for characters in SIZES]
    assert dropouts == sorted(dropouts, reverse=True)
    assert all(warm_settings((), size)["lr"] < TrainConfig().lr for size in SIZES)
    epochs = [limited_settings((), characters)["epochs"] for characters in SIZES]
    assert epochs == sorted(epochs)
    assert limited_settings(["max_steps", "weight_decay"], 1_000) == {}


def test_a_job_from_weights_has_this_recipe() -> None:
    """Its learning rate, dropout and epochs are those of the text's size, unless they are typed."""
    checkpoint = make_checkpoint(characters="".join(sorted(set(STORY))))
    corpus = Corpus.from_text(STORY)
    small = {"batch_size": 2, "seq_len": 16}
    chosen = warm_settings((), len(corpus))
    job = TrainingJob.new(corpus, small, initial=checkpoint, name="a")
    assert {name: getattr(job.config, name) for name in chosen} == chosen
    typed = TrainingJob.new(
        corpus, {**small, "lr": 0.02, "max_time": 60.0}, initial=checkpoint, name="a"
    )
    assert (typed.config.lr, typed.config.epochs) == (0.02, chosen["epochs"])
    fresh = TrainingJob.new(corpus, small, name="a")
    assert (fresh.config.lr, fresh.config.dropout) == (TrainConfig().lr, None)
