"""The loss of a model on rows of text, however they are cut and grouped."""

from itertools import pairwise

import numpy as np
import pytest

from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training import evaluation
from charrnn_cli.training.evaluation import evaluate, window_length
from charrnn_cli.training.network import CharRNN
from tests.helpers import tiny_model


@pytest.fixture
def model(corpus: Corpus) -> CharRNN:
    """A tiny model of random weights."""
    model = CharRNN(tiny_model(corpus))
    model.initialize(1, "orthogonal")
    return model


def test_the_definition(corpus: Corpus, model: CharRNN) -> None:
    """The loss is the mean over all characters of all rows, each row from the zero state."""
    rows = [(100, 130), (200, 201), (300, 377)]
    nats: list[float] = []
    for start, stop in rows:
        engine, ids = Engine(model.config, model.export()), corpus.read(start - 1, stop).tolist()
        for before, after in pairwise(ids):
            nats.append(-log_softmax(engine.step([before]))[0, after])
    assert evaluate(model, corpus, rows, "fp32") == pytest.approx(np.mean(nats), abs=1e-5)


def test_how_rows_are_cut_and_grouped_changes_nothing(
    corpus: Corpus, model: CharRNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shorter windows and smaller groups bound the memory; the loss stays, up to rounding."""
    rows = [(100, 700), (800, 1500), (1600, 1601), (1700, 1850), (1900, 1902)]
    whole = evaluate(model, corpus, rows, "fp32")
    monkeypatch.setattr(evaluation, "MAX_LOGITS", 2 * len(corpus.vocab) * 7)
    assert evaluate(model, corpus, rows, "fp32") == pytest.approx(whole, abs=1e-6)
    monkeypatch.setattr(evaluation, "MAX_ROWS", 2)
    assert evaluate(model, corpus, rows, "fp32") == pytest.approx(whole, abs=1e-6)
    assert rows[0] == (100, 700)  # the caller's rows stay in order


def test_a_window_bounds_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window holds at most 2**24 logits, and 1 to 500 characters."""
    assert [window_length(rows, size) for rows, size in ((20, 80), (128, 3000), (128, 10**6))] == [
        500,
        43,
        1,
    ]


def test_a_stop_is_seen_between_windows(
    corpus: Corpus, model: CharRNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to stop ends an evaluation at its next window, without a loss."""
    monkeypatch.setattr(evaluation, "MAX_WINDOW", 10)
    monkeypatch.setattr(evaluation, "MAX_ROWS", 1)
    polls = []

    def third() -> bool:
        polls.append(1)
        return len(polls) == 3

    assert evaluate(model, corpus, [(100, 120), (200, 290)], "fp32", third) is None
    assert len(polls) == 3
