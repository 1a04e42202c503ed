"""Bits a character, by one definition in both engines."""

from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn_cli.config import Cell, ModelConfig
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.model import scoring
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.model.scoring import NumpyPredictor, character_losses, in_vocabulary, score
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training import evaluation
from charrnn_cli.training.evaluation import TorchPredictor
from tests.helpers import make_checkpoint

CHARACTERS = "\n abcdefgh"
TEXT = "".join(CHARACTERS[(index * index + index // 7) % len(CHARACTERS)] for index in range(1234))


def model(cell: Cell = "lstm") -> Checkpoint:
    return make_checkpoint(
        ModelConfig(vocabulary_size=10, cell=cell, layers=2, size=8, embed=4), characters=CHARACTERS
    )


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CHUNK", 100), ("WARM_UP", 30), ("ROWS", 5), ("WINDOW", 7)):
        monkeypatch.setattr(scoring, name, value)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("length", [2, 99, 100, 101, 102, 500, 1234])
def test_the_definition(length: int) -> None:
    """Every character but the first, once, in order: chunks from zero state, each after those before it."""
    checkpoint, text = model(), TEXT[:length]
    expected = []
    for start in range(0, length, 100):
        warm = max(0, start - 30)
        engine, ids = Engine(checkpoint.model, checkpoint.weights), checkpoint.vocab.encode(text)
        for where in range(warm, min(start + 100, length) - 1):
            log_probabilities_V = log_softmax(engine.step([ids[where]]))[0]
            if where + 1 >= start:
                expected.append(-log_probabilities_V[ids[where + 1]])
    corpus = in_vocabulary(Corpus.from_text(text), checkpoint.vocab)
    actual = np.concatenate(list(character_losses(NumpyPredictor(checkpoint), corpus)))
    assert actual == pytest.approx(np.array(expected), abs=1e-5)
    assert len(actual) == length - 1


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("cell", "logits"), [("lstm", 1 << 24), ("gru", 1 << 24), ("rnn", 1 << 24), ("lstm", 500)]
)
def test_both_engines_agree(cell: Cell, logits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-4 nats a character, however few logits are made at a time."""
    monkeypatch.setattr(evaluation, "LOGITS", logits)
    checkpoint = model(cell)
    corpus = in_vocabulary(Corpus.from_text(TEXT), checkpoint.vocab)
    by_numpy = score(NumpyPredictor(checkpoint), corpus)
    by_torch = score(TorchPredictor(checkpoint, torch.device("cpu")), corpus)
    assert by_numpy.characters == by_torch.characters == len(TEXT) - 1
    assert by_numpy.nats == pytest.approx(by_torch.nats, abs=1e-4)


def test_another_vocabulary() -> None:
    """A text of fewer or other characters is read with the model's ids; an unknown one is named."""
    checkpoint = model()
    corpus = in_vocabulary(Corpus.from_text("head"), checkpoint.vocab)
    assert corpus.read(0, 4).tolist() == checkpoint.vocab.encode("head")
    assert "".join(corpus.text()) == "head"
    same = Corpus.from_text(TEXT)
    assert in_vocabulary(same, Vocab.from_text(TEXT)) is same
    with pytest.raises(UnknownCharacterError, match=r"'Ω' \(U\+03A9\)"):
        in_vocabulary(Corpus.from_text("aΩ"), checkpoint.vocab)


def test_one_character_foretells_nothing(tmp_path: Path) -> None:
    assert (
        score(
            NumpyPredictor(model()), in_vocabulary(Corpus.from_text("a"), model().vocab)
        ).characters
        == 0
    )
