"""Weights that are finite, but so large that the model's numbers overflow."""

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import FileFormatError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.sampling import Writer
from charrnn_cli.model.scoring import NumpyPredictor, character_losses
from charrnn_cli.text.corpus import Corpus
from tests.helpers import make_checkpoint

TEXT = "abc hag fed cab" * 4


def large(cell: Cell, layers: int, size: float) -> Checkpoint:
    """A checkpoint whose weights all have this absolute value, with random signs."""
    config = ModelConfig(vocabulary_size=10, cell=cell, layers=layers, size=4, embed=3)
    weights = make_checkpoint(config).weights.items()
    signed = {name: np.sign(array) * np.float32(size) for name, array in weights}
    return replace(make_checkpoint(config), weights=signed)


@pytest.mark.parametrize("size", [1e20, 1e30, 1e38, 3e38])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_overflow_is_an_error(cell: Cell, layers: int, size: float) -> None:
    """A model whose numbers overflow writes and scores text, or raises one error; no warning."""
    checkpoint = large(cell, layers, size)
    settings: list[dict[str, Any]] = [{}, {"temperature": 0}, {"top_k": 0, "top_p": 0.5}]
    for each in settings:
        writer = Writer(checkpoint, SampleConfig(seed=1, **each), scored=True)
        writer.read("a")
        with contextlib.suppress(FileFormatError):
            assert len(list(writer.write(20))) == 20
    corpus = Corpus.from_text(TEXT, "text")
    with contextlib.suppress(FileFormatError):
        for losses in character_losses(NumpyPredictor(checkpoint), corpus):
            assert not np.isnan(losses).any()


def test_three_times_ten_to_the_38() -> None:
    """The largest weights overflow at the first character."""
    checkpoint = make_checkpoint()
    weights = {name: np.full_like(array, 3e38) for name, array in checkpoint.weights.items()}
    writer = Writer(replace(checkpoint, weights=weights), SampleConfig(seed=1))
    writer.read("a")
    with pytest.raises(FileFormatError, match="overflow"):
        list(writer.write(20))
