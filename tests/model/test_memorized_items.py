"""Items of a model in the list that it was trained on."""

import pytest

from charrnn_cli.model import memorized_items
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.items import generate_items
from charrnn_cli.model.memorized_items import compare_items
from charrnn_cli.text.corpus import Corpus
from tests.helpers import run_training

NAMES = ["anna", "bo", "lina", "ma", "tom"] * 40


def test_known_items_are_counted() -> None:
    """An item is known if the list has it, whole; a list of all drawn items knows all."""
    corpus = Corpus.from_items(NAMES)
    run_training(corpus)
    checkpoint = load_checkpoint("run")
    drawn = [item.text for item in generate_items(checkpoint, count=200, seed=3)]
    found = compare_items(checkpoint, corpus, seed=3, seconds=60)
    assert (found.items, found.compared) == (200, 200)
    assert found.known == sum(item in NAMES for item in drawn)
    assert compare_items(checkpoint, Corpus.from_items(drawn), 3, 60).known == 200
    assert compare_items(checkpoint, Corpus.from_items(["x", "y"]), 3, 60).known == 0


def test_a_long_list_is_compared_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long list, items that are spread evenly are compared."""
    corpus = Corpus.from_items(NAMES)
    run_training(corpus)
    monkeypatch.setattr(memorized_items, "MOST_COMPARED", len(corpus) // 4)
    assert compare_items(load_checkpoint("run"), corpus, 3, 60).compared in (49, 50)
