"""Nats per character, by one definition in both engines."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.config import Cell, ModelConfig
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.model import scoring
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.model.scoring import NumpyPredictor, Predictor, character_losses, in_vocabulary
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training import evaluation
from charrnn_cli.training.evaluation import TorchPredictor
from tests.conftest import make_checkpoint

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
    monkeypatch.setattr(evaluation, "LOGITS", logits)
    checkpoint = model(cell)
    by_numpy = losses(NumpyPredictor(checkpoint), TEXT)
    by_torch = losses(TorchPredictor(checkpoint, torch.device("cpu")), TEXT)
    assert len(by_numpy) == len(TEXT) - 1
    assert by_numpy == pytest.approx(by_torch, abs=1e-4)


def test_a_text_is_read_with_the_models_ids() -> None:
    """A text with another vocabulary gets the model's ids; one with the same vocabulary stays."""
    vocab = Vocab(CHARACTERS)
    corpus = in_vocabulary(Corpus.from_text("head"), vocab)
    assert corpus.read(0, 4).tolist() == vocab.encode("head")
    assert "".join(corpus.text()) == "head"
    assert corpus.counts_V.tolist() == [0, 0, 1, 0, 0, 1, 1, 0, 0, 1]
    same = Corpus.from_text(TEXT)
    assert in_vocabulary(same, Vocab.from_text(TEXT)) is same


def test_unknown_characters_are_named() -> None:
    """The error names five characters that the model lacks, and the option that skips them."""
    with pytest.raises(UnknownCharacterError) as caught:
        in_vocabulary(Corpus.from_text("aÀÁÂÃÄÅ", "name"), Vocab(CHARACTERS))
    assert caught.value.message == (
        "the text 'name' has characters the model never saw: 'À' (U+00C0), 'Á' (U+00C1), "
        "'Â' (U+00C2), 'Ã' (U+00C3), 'Ä' (U+00C4) and 1 more"
    )
    assert caught.value.hint == (
        "leave them out with --unknown skip, or score a model that was trained on them"
    )


@given(st.lists(st.text("abxy", max_size=9), min_size=1, max_size=4), st.data())
def test_unknown_characters_are_skipped(documents: list[str], data: st.DataObject) -> None:
    """Any stretch of the text, its counts and the starts of its documents fit what is left."""
    text, kept = "".join(documents), [document.translate(SKIPPED) for document in documents]
    whole = Corpus.from_text(text)
    starts = np.cumsum([0, *map(len, documents[:-1])]).tolist()
    source = Corpus(whole.vocab, whole.counts_V, whole.read, whole.metadata, starts)
    expected = "".join(kept)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "BLOCK", data.draw(st.integers(1, 4)))
        patch.setattr(scoring, "BLOCKS_PER_PIECE", data.draw(st.integers(1, 3)))
        corpus = in_vocabulary(source, Vocab(CHARACTERS), unknown="skip")
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(expected))] * 2)))
        ids = corpus.read(start, stop).tolist()
    assert corpus.vocab.decode(ids) == expected[start:stop]
    assert len(corpus) == len(expected)
    assert corpus.counts_V.tolist() == [expected.count(character) for character in CHARACTERS]
    assert list(corpus.starts) == np.cumsum([0, *map(len, kept[:-1])]).tolist()


SKIPPED = str.maketrans("", "", "xy")


def test_a_text_without_skipped_characters_is_scored() -> None:
    """Skipping gives the losses of the text from which the unknown characters were removed."""
    predictor = NumpyPredictor(model())
    corpus = in_vocabulary(Corpus.from_text("axbxxc"), Vocab(CHARACTERS), unknown="skip")
    assert (
        np.concatenate(list(character_losses(predictor, corpus))) == losses(predictor, "abc")
    ).all()


@pytest.mark.parametrize("text", ["", "a"])
def test_nothing_to_predict(text: str) -> None:
    """A text of fewer than two characters has no losses."""
    assert len(losses(NumpyPredictor(model()), text)) == 0
