"""The numpy engine, against PyTorch."""

import numpy as np
import pytest
import torch

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.model import engine
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.ngram_reader import NgramReader
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.training.network import CharRNN
from tests.helpers import count_ngrams
from tests.model.test_ngrams import span_text

INPUTS = [(0, 0), (0, 3), (64, 0), (64, 4)]
"""Widths of the embedding, and orders of n-grams."""


def some_ngrams(config: ModelConfig) -> NgramModel | None:
    """Count a random text, if the model has n-grams."""
    if not config.ngram:
        return None
    ids = np.random.Generator(np.random.PCG64(5)).integers(0, config.vocabulary_size, 300)
    return count_ngrams(span_text([ids.tolist()]), config.vocabulary_size, config.ngram)


@pytest.mark.parametrize(("embed", "ngram"), INPUTS)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_numpy_and_torch_agree(cell: Cell, layers: int, embed: int, ngram: int) -> None:
    """Logits over 200 characters are equal to 1e-4, for every cell, depth and input.

    Biases are large, so that both count. Matrices stay near their initial values, because with
    larger ones a tanh network is chaotic and doubles any rounding error in a step.
    """
    config = ModelConfig(
        vocabulary_size=61, cell=cell, layers=layers, size=96, embed=embed, ngram=ngram
    )
    model = CharRNN(config)
    model.initialize(7, "orthogonal")
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.1 if parameter.dim() == 1 else 0.01)
    ids_T = np.random.Generator(np.random.PCG64(9)).integers(0, 61, 200)
    ngrams, inputs_TV = some_ngrams(config), None
    if ngrams is not None:
        inputs_TV = torch.from_numpy(NgramReader(ngrams).read(ids_T[:, None]))
    with torch.no_grad():
        expected_TV = model(torch.from_numpy(ids_T)[:, None], ngrams_TBV=inputs_TV)[0][:, 0].numpy()
    numpy_model = Engine(config, model.export(), ngrams)
    actual_TV = np.array([numpy_model.step([int(index)])[0].copy() for index in ids_T])
    assert np.abs(actual_TV - expected_TV).max() < 1e-4
    assert config.num_parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("embed", "ngram"), INPUTS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_rows_are_texts_of_their_own(
    monkeypatch: pytest.MonkeyPatch, cell: Cell, embed: int, ngram: int
) -> None:
    """Rows continue from what one row has read, and step as each would alone, table or not."""
    config = ModelConfig(vocabulary_size=9, cell=cell, layers=2, size=8, embed=embed, ngram=ngram)
    model = CharRNN(config)
    model.initialize(1, "orthogonal")
    weights = model.export()
    if ngram:
        weights["ngram_output.weight"] += np.arange(9) / 50
        if embed:
            weights["ngram_input.weight"] += np.arange(9) / 50
    ngrams = some_ngrams(config)
    ids_TR = np.random.Generator(np.random.PCG64(1)).integers(0, 9, (20, 3))
    first = Engine(config, weights, ngrams)
    monkeypatch.setattr(engine, "TABLE_BYTES", 0)
    without_table = Engine(config, weights, ngrams)
    for index in (4, 2):
        first.step([index])
        without_table.step([index])
    rows = without_table.repeat(3)
    together_TRV = np.array([rows.step(ids_R).copy() for ids_R in ids_TR])
    for row in range(3):
        alone = first.repeat(1)
        alone_TV = [alone.step([index])[0].copy() for index in ids_TR[:, row].tolist()]
        assert together_TRV[:, row] == pytest.approx(np.array(alone_TV), abs=1e-5)


@pytest.mark.parametrize("ngram", [0, 4])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_rows_can_be_selected_and_restarted(cell: Cell, ngram: int) -> None:
    """A selected row goes on as it was; a restarted one continues from the other engine."""
    config = ModelConfig(vocabulary_size=9, cell=cell, layers=2, size=8, embed=4, ngram=ngram)
    model = CharRNN(config)
    model.initialize(1, "orthogonal")
    first = Engine(config, model.export(), some_ngrams(config))
    first.step([4])
    rows = first.select(np.zeros(4, np.intp))
    rows.step([1, 2, 3, 5])
    rows.restart(np.array([2]), first)
    rows.step([6, 6, 7, 6])
    rows = rows.select(np.array([3, 2, 2]))
    logits_RV = rows.step([8, 0, 1])
    for row, ids in enumerate([(5, 6, 8), (7, 0), (7, 1)]):
        alone = first.repeat(1)
        for index in ids:
            expected_V = alone.step([index])[0]
        assert logits_RV[row] == pytest.approx(expected_V, abs=1e-5)
