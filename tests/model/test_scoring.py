"""Nats per character, by one definition in both engines."""

import numpy as np
import pytest
import torch

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.errors import ConfigError, UnknownCharacterError
from charrnn_cli.model import scoring
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.model.scoring import NumpyPredictor, Predictor, character_losses
from charrnn_cli.model.text_score import Score, score
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.remapping import in_vocabulary
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


def losses(predictor: Predictor, text: str) -> np.ndarray:
    """The losses of all characters of a text, in one array."""
    corpus = in_vocabulary(Corpus.from_text(text), Vocab(CHARACTERS))
    pieces = list(character_losses(predictor, corpus))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CHUNK", 100), ("WARM_UP", 30), ("ROWS", 5), ("WINDOW", 7)):
        monkeypatch.setattr(scoring, name, value)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("length", [2, 99, 100, 101, 102, 500, 1234])
def test_the_definition(length: int) -> None:
    """Every character but the first is scored once, in order, each chunk after a warm-up."""
    checkpoint, text = model(), TEXT[:length]
    expected = []
    for start in range(0, length, 100):
        warm = max(0, start - 30)
        engine, ids = Engine(checkpoint.model, checkpoint.weights), checkpoint.vocab.encode(text)
        for where in range(warm, min(start + 100, length) - 1):
            log_probabilities_V = log_softmax(engine.step([ids[where]]))[0]
            if where + 1 >= start:
                expected.append(-log_probabilities_V[ids[where + 1]])
    actual = losses(NumpyPredictor(checkpoint), text)
    assert actual == pytest.approx(np.array(expected), abs=1e-5)
    assert len(actual) == length - 1


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("cell", "logits"), [("lstm", 1 << 24), ("gru", 1 << 24), ("rnn", 1 << 24), ("lstm", 500)]
)
def test_both_engines_agree(cell: Cell, logits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loss is equal to 1e-4 nats, also when torch makes few logits at a time."""
    monkeypatch.setattr(evaluation, "MAX_LOGITS", logits)
    checkpoint = model(cell)
    by_numpy = losses(NumpyPredictor(checkpoint), TEXT)
    by_torch = losses(TorchPredictor(checkpoint, torch.device("cpu")), TEXT)
    assert len(by_numpy) == len(TEXT) - 1
    assert by_numpy == pytest.approx(by_torch, abs=1e-4)


def test_a_text_without_skipped_characters_is_scored() -> None:
    """Skipping gives the losses of the text from which the unknown characters were removed."""
    predictor = NumpyPredictor(model())
    corpus = in_vocabulary(Corpus.from_text("axbxxc"), Vocab(CHARACTERS), skipped="x")
    assert (
        np.concatenate(list(character_losses(predictor, corpus))) == losses(predictor, "abc")
    ).all()


@pytest.mark.parametrize("text", ["", "a"])
def test_nothing_to_predict(text: str) -> None:
    """A text of fewer than two characters has no losses."""
    assert len(losses(NumpyPredictor(model()), text)) == 0


def test_the_score_of_a_text() -> None:
    """A score is the mean of the losses in bits, of all characters but the first."""
    checkpoint = model()
    expected = losses(NumpyPredictor(checkpoint), TEXT).mean() / np.log(2)
    found = score(checkpoint, TEXT)
    assert found == Score(found.bits_per_character, len(TEXT) - 1)
    assert found.bits_per_character == pytest.approx(expected, rel=1e-6)
    dos = TEXT.replace("\n", "\r\n")  # read as the training text was
    assert score(checkpoint, dos) == score(checkpoint, TEXT)


def test_texts_without_a_score() -> None:
    """A text that is too short, or has a character that the model lacks, is an error."""
    checkpoint = model()
    for text, found in (("", "none"), ("a", "only one")):
        with pytest.raises(ConfigError) as caught:
            score(checkpoint, text)
        message = f"scoring needs at least two characters; this text has {found}"
        assert caught.value.message == message
    with pytest.raises(UnknownCharacterError):
        score(checkpoint, "abΩ")
