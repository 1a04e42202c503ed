"""Losses on rows, and how far chance may move them."""

import math

import numpy as np
import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.model.noise import SEED_NOISE, difference, standard_error
from charrnn_cli.model.row_losses import RowLosses, beginnings, row_losses
from charrnn_cli.model.scoring import NumpyPredictor
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.splits import split_corpus
from tests.helpers import make_checkpoint


def rows_of(means: np.ndarray, characters: float = 100.0) -> RowLosses:
    """Rows of equal lengths with these losses per character."""
    return RowLosses(means * characters, np.full(len(means), characters))


def normal(number: int, mean: float, spread: float, seed: int = 1) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(mean, spread, number)


def test_the_noise_is_that_of_a_mean() -> None:
    """The bootstrap's standard error is near the spread of the rows divided by their root."""
    means = normal(400, 1.5, 0.2)
    error = standard_error(rows_of(means))
    assert error == pytest.approx(float(means.std()) / math.sqrt(400), rel=0.1)


def test_one_row_has_no_noise() -> None:
    """The noise of a single row is unknown."""
    assert standard_error(rows_of(np.array([1.5]))) is None


def test_long_rows_count_more() -> None:
    """The mean is that of all characters, not of rows."""
    losses = RowLosses(np.array([10.0, 300.0]), np.array([10.0, 100.0]))
    assert losses.mean == pytest.approx(310 / 110)


def test_pairs_see_a_difference_that_the_rows_hide() -> None:
    """A constant difference on the same rows is clear, and on different rows it is not."""
    means = normal(20, 1.5, 0.3)
    one, other = rows_of(means), rows_of(means - 2 * SEED_NOISE)
    paired = difference(one, other, is_paired=True)
    assert paired.is_clear()
    assert paired.low == pytest.approx(paired.high) == pytest.approx(2 * SEED_NOISE)
    assert not difference(one, other, is_paired=False).is_clear()


def test_a_difference_of_two_seeds_is_not_clear() -> None:
    """A difference that another seed explains is not clear, however certain it is."""
    means = normal(20, 1.5, 0.3)
    found = difference(rows_of(means), rows_of(means - SEED_NOISE / 2), is_paired=True)
    assert (found.excludes_zero, found.is_clear()) == (True, False)
    assert found.is_clear(SEED_NOISE / 4)


def test_the_same_rows_have_the_same_noise() -> None:
    """Nothing but the losses decides the noise, also where the draws do not fit into memory."""
    long = rows_of(normal(3_000, 1.5, 0.2))
    assert standard_error(long) == standard_error(long)
    assert difference(long, long, is_paired=True).mean == 0


def test_rows_are_scored_from_the_zero_state(corpus: Corpus) -> None:
    """The loss of a row is the same whatever other rows are scored with it."""
    model = ModelConfig(vocabulary_size=len(corpus.vocab), layers=2, size=4, embed=3)
    checkpoint = make_checkpoint(model, characters=corpus.vocab.characters)
    rows = [*split_corpus(corpus, TrainConfig()).val, (1, 30), (700, 1_300)]
    together = row_losses(NumpyPredictor(checkpoint), corpus, rows)
    assert together.characters.tolist() == [stop - start for start, stop in rows]
    for row, nats in zip(rows, together.nats, strict=True):
        alone = row_losses(NumpyPredictor(checkpoint), corpus, [row])
        assert alone.nats[0] == pytest.approx(nats, rel=1e-5)


def test_a_limit_keeps_the_beginning_of_every_row() -> None:
    """Under a limit, every row keeps the same share of its characters, and at least one."""
    rows = [(0, 100), (200, 400), (500, 501)]
    assert beginnings(rows, 1_000) == tuple(rows)
    assert beginnings(rows, 150) == ((0, 49), (200, 299), (500, 501))
