"""Units that follow a feature by chance alone are not reported."""

from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.inspection.features import text_features
from charrnn_cli.model.inspection.trace import Trace, trace
from charrnn_cli.model.inspection.units import find_units
from charrnn_cli.model.reading import in_model_vocabulary
from charrnn_cli.text.corpus import Corpus
from tests.helpers import Inside

MODELS = 50


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Write the first 60,000 characters of the bundled book to a file."""
    text = (resources.files("charrnn_cli") / "data" / "alice.txt").read_text("utf-8")
    path = tmp_path / "book.txt"
    path.write_text(text[:60_000], "utf-8")
    return path


def reading(name: str, book: Path) -> Trace:
    """Return what a model does while it reads the last third of the book."""
    checkpoint = load_checkpoint(name)
    text = book.read_text("utf-8")[-20_000:]
    return trace(checkpoint, in_model_vocabulary(Corpus.from_text(text), checkpoint), 20_000)


@pytest.mark.slow
def test_fifty_trained_models(inside: Inside, book: Path) -> None:
    """For the features of a shuffled text, at most one of 50 models has a unit.

    For those of the text that it reads, each of the models has several.
    """
    train = ("train", book, "--layers", "1", "--size", "48", "--embed", "16", "--ngram", "0")
    found_by_chance, fewest = [], MODELS
    for seed in range(MODELS):
        name = f"model-{seed}"
        done = inside(*train, "--run", name, "--seed", str(seed), "--max-steps", "300")
        assert done.returncode == 0, done.stderr
        read = reading(name, book)
        fewest = min(fewest, len(find_units(read.activations, text_features(read))))
        characters = np.array(list(read.text))
        shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(characters)
        other = replace(read, text="".join(shuffled))
        found_by_chance += find_units(read.activations, text_features(other))
    assert len(found_by_chance) <= 1
    assert fewest > 3
