"""When a run starts from the built-in model."""

from importlib import resources

import numpy as np
import pytest

from charrnn_cli.events import Evaluated
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.built_in import NAME
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.built_in_start import (
    compare_starts,
    compare_with_built_in,
    is_covered,
    loss_of,
)
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from tests.helpers import make_checkpoint, of_type, save

BOOK = (resources.files("charrnn_cli") / "data" / "alice.txt").read_text("utf-8")
PROSE = BOOK[40_000:56_000]


def job_of(text: str, **settings: object) -> TrainingJob:
    return TrainingJob.new(Corpus.from_text(text), settings, name="run")


def test_english_prose_starts_from_it() -> None:
    """It predicts a short English text far better than counting does."""
    start = compare_with_built_in(job_of(PROSE))
    assert start is not None
    assert start.is_better
    assert start.built_in < start.counted - 0.1
    assert start.reference == f"{NAME}@{load_checkpoint(NAME).step}"


def test_other_texts_do_not(home: object) -> None:
    """Counting predicts them better, or they have characters that it does not know."""
    shuffled = np.random.Generator(np.random.PCG64(1)).permutation(list(PROSE[:4_000]))
    repeated = "".join(shuffled) * 4
    found = compare_with_built_in(job_of(repeated))
    assert found is not None
    assert not found.is_better
    built_in = load_checkpoint(NAME)
    assert compare_starts(job_of(repeated), built_in) is not None
    assert compare_starts(job_of(PROSE.translate({ord("e"): "ж"})), built_in) is None
    assert compare_starts(job_of(PROSE, ngram=0), built_in) is None
    assert compare_starts(job_of(PROSE, val_fraction=0.0), built_in) is None


def test_a_run_of_its_name_hides_it() -> None:
    """Nothing starts from it by itself while its reference names another model."""
    save(make_checkpoint(run=NAME))
    assert compare_with_built_in(job_of(PROSE)) is None


@pytest.mark.parametrize(("share", "expected"), [(0, True), (9, True), (11, False)])
def test_what_is_covered(share: int, expected: bool) -> None:
    """Of a thousand characters, ten may be unknown."""
    corpus = Corpus.from_text("a" * (1_000 - share) + "b" * share)
    assert is_covered(corpus, Vocab("ac")) == expected


def test_the_loss_is_that_before_the_first_step() -> None:
    """What is compared is what the run reports first; new characters are counted as it does."""
    checkpoint = make_checkpoint()
    text = "abc def gab hxd ea\n" * 30
    job = TrainingJob.new(
        in_vocabulary(Corpus.from_text(text), Vocab(checkpoint.vocab.characters + "x")),
        {"max_steps": 1, "precision": "fp32", "batch_size": 2, "seq_len": 8},
        initial=checkpoint,
        name="run",
    )
    first = of_type(list(train(job)), Evaluated)[0]
    assert first.step == 0
    plain = Corpus.from_text(text)
    assert loss_of(checkpoint, plain, list(job.split.val)) == pytest.approx(
        first.val_loss, abs=1e-4
    )
