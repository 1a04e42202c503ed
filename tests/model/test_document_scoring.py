"""Scores of documents: each from end symbol to end symbol, by one definition, in any order."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, TextError
from charrnn_cli.model import document_scoring
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.document_scoring import document_losses
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import log_softmax
from charrnn_cli.model.items import generate_items
from charrnn_cli.model.scoring import NumpyPredictor
from charrnn_cli.model.text_score import Score, score
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import encode_text
from charrnn_cli.text.items import separate_items
from charrnn_cli.text.one_document import between_ends
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.training.evaluation import TorchPredictor
from tests.helpers import make_item_checkpoint

ITEMS = st.lists(st.text("abcdefgh ", min_size=1, max_size=20), min_size=1, max_size=30)
WORDS = ["bad", "cab", "a", "face", "bad", "deaf head"]


def model(documents: str = "lines", ngram: int = 0) -> Checkpoint:
    size = 10 + (documents != "lines")
    config = ModelConfig(vocabulary_size=size, layers=1, size=8, embed=4, ngram=ngram)
    return make_item_checkpoint(documents, config=config)


def read(documents: list[str], checkpoint: Checkpoint) -> Corpus:
    corpus = Corpus.from_documents(documents, checkpoint.data.reading, "list")
    return in_vocabulary(corpus, checkpoint.vocab)


def nats(document: str, checkpoint: Checkpoint, chunk: int = 10**9, warm_up: int = 1) -> float:
    """Score a document with an engine of one row, which begins again at every chunk."""
    end = checkpoint.data.end or ""
    ids = checkpoint.vocab.encode(end + document + end)
    total = 0.0
    for start in range(1, len(ids), chunk):
        engine = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)
        for place in range(max(0, start - warm_up), min(start + chunk, len(ids)) - 1):
            log_probabilities_V = log_softmax(engine.step([ids[place]]))[0]
            if place + 1 >= start:
                total -= log_probabilities_V[ids[place + 1]]
    return total


@pytest.mark.parametrize("ngram", [0, 3])
@pytest.mark.parametrize("documents", ["lines", "blank-lines", "files"])
def test_the_definition(documents: str, ngram: int) -> None:
    """Every character and every end is scored once, after the end symbol and the zero state."""
    checkpoint = model(documents, ngram)
    expected = [nats(word, checkpoint) for word in WORDS]
    for predictor in (NumpyPredictor(checkpoint), TorchPredictor(checkpoint, device())):
        found = document_losses(predictor, read(WORDS, checkpoint))
        sums = [math.fsum(found.losses[start:stop]) for start, stop in found.spans.tolist()]
        assert sums == pytest.approx(expected, abs=1e-4)
        assert found.nats == math.fsum(found.losses.tolist())
        assert found.characters == sum(len(word) + 1 for word in WORDS)


def device() -> torch.device:
    return torch.device("cpu")


@given(items=ITEMS, seed=st.integers(0, 9))
@settings(max_examples=40)
def test_the_order_changes_nothing(items: list[str], seed: int) -> None:
    """Shuffled items have exactly the same losses and the same score."""
    checkpoint, shuffled = model(), items.copy()
    random.Random(seed).shuffle(shuffled)
    one, other = (
        document_losses(NumpyPredictor(checkpoint), read(each, checkpoint))
        for each in (items, shuffled)
    )
    by_item = [
        {
            item: found.losses[start:stop].tolist()
            for item, (start, stop) in zip(texts, found.spans.tolist(), strict=True)
        }
        for found, texts in ((one, items), (other, shuffled))
    ]
    assert by_item[0] == by_item[1]
    assert one.nats == other.nats
    assert score(checkpoint, "\n".join(items)) == score(checkpoint, "\n".join(shuffled) + "\n\n")


@pytest.mark.parametrize("length", [1, 49, 50, 51, 99, 100, 101, 333])
def test_long_documents_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """A long document is read in chunks, each after a warm-up that does not leave the document."""
    for name, value in (("CHUNK", 50), ("WARM_UP", 20), ("WINDOW", 7), ("ROWS", 3), ("SHORT", 9)):
        monkeypatch.setattr(document_scoring, name, value)
    checkpoint = model("files")
    documents = [("abcdefgh " * 40)[:length], "bad", "cab", "a\nb"]
    expected = [nats(document, checkpoint, 50, 20) for document in documents]
    found = document_losses(NumpyPredictor(checkpoint), read(documents, checkpoint))
    sums = [math.fsum(found.losses[start:stop]) for start, stop in found.spans.tolist()]
    assert sums == pytest.approx(expected, abs=1e-4)


def test_the_bits_of_drawn_items() -> None:
    """An item costs as many bits when it is scored as when it was drawn."""
    checkpoint = model()
    for item in generate_items(checkpoint, "b", count=50, length=200, seed=1):
        if item.ended:
            found = document_losses(NumpyPredictor(checkpoint), read([item.text], checkpoint))
            assert found.nats / math.log(2) == pytest.approx(item.bits, abs=1e-4)


@pytest.mark.parametrize(
    ("documents", "text", "items"),
    [
        ("lines", "\nab\n\n\ncd\n", ["ab", "cd"]),
        ("blank-lines", "\n\nab\nc\n \n\t\nd\n", ["ab\nc", "d"]),
        ("--", "ab--c\n----d\n", ["ab", "c\n", "d"]),
    ],
)
def test_a_text_in_memory_has_the_items_of_a_file(
    tmp_path: Path, documents: str, text: str, items: list[str]
) -> None:
    """Both are scored by the same items."""
    checkpoint, options = model(documents), TextOptions(documents=documents)
    assert separate_items(text, options) == items
    (tmp_path / "list.txt").write_text(text)
    corpus = encode_text(tmp_path / "list.txt", tmp_path / "list.safetensors", options)
    assert "".join(corpus.text()) == "".join(item + options.between for item in items)
    known = in_vocabulary(corpus, checkpoint.vocab)
    found = document_losses(NumpyPredictor(checkpoint), known)
    bits = found.nats / found.characters / math.log(2)
    assert score(checkpoint, text) == Score(bits, sum(len(item) + 1 for item in items))


def test_a_text_is_a_document_of_a_model_of_files() -> None:
    """Its first character and its end are scored, too; no character is copied."""
    checkpoint, text = model("files"), "bad cab\nface"
    known = in_vocabulary(Corpus.from_text(text), checkpoint.vocab)
    ended = between_ends(known, "\x03")
    expected = read([text], checkpoint)
    for start in range(len(ended) + 1):
        for stop in range(start, len(ended) + 1):
            assert ended.read(start, stop).tolist() == expected.read(start, stop).tolist()
    assert np.array_equal(ended.counts_V, expected.counts_V)
    assert ended.num_characters == len(text)
    assert score(checkpoint, text).bits_per_character == pytest.approx(
        nats(text, checkpoint) / 13 / math.log(2), abs=1e-5
    )
    assert score(checkpoint, text).characters == 13
    with pytest.raises(TextError, match="U\\+0003"):
        between_ends(ended, "\x03")


@pytest.mark.parametrize(
    ("documents", "text", "kind", "message"),
    [
        ("lines", "\n\n", ConfigError, "scoring needs at least one character; this text has none"),
        ("files", "", ConfigError, "scoring needs at least one character; this text has none"),
        (
            "files",
            "a\x03b",
            TextError,
            "the text contains <ETX> (U+0003), which marks the end of a document",
        ),
        (
            "--",
            "a\x03b",
            TextError,
            "the text contains <ETX> (U+0003), which marks the end of an item",
        ),
    ],
)
def test_errors(documents: str, text: str, kind: type[Exception], message: str) -> None:
    """There must be something to score, and no end symbol in a document."""
    with pytest.raises(kind) as raised:
        score(model(documents), text)
    assert str(raised.value) == message


def test_documents_without_known_characters() -> None:
    """Documents whose characters are all skipped are left out; some others must be left."""
    checkpoint = model()
    for items, number in ((["~", "bad", "~~"], 4), (["~"], 0)):
        corpus = Corpus.from_documents(items, checkpoint.data.reading, "list")
        known = in_vocabulary(corpus, checkpoint.vocab, skipped="~")
        if number:
            assert document_losses(NumpyPredictor(checkpoint), known).characters == number
        else:
            with pytest.raises(ConfigError, match="this text has none"):
                document_losses(NumpyPredictor(checkpoint), known)
