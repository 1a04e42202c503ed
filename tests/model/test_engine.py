"""The numpy engine, against PyTorch."""

import numpy as np
import pytest
import torch

from charrnn_cli.config import Cell, ModelConfig
from charrnn_cli.model import engine
from charrnn_cli.model.engine import Engine
from charrnn_cli.training.network import CharRNN


@pytest.mark.parametrize("embed", [0, 64])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_numpy_and_torch_agree(cell: Cell, layers: int, embed: int) -> None:
    """Logits over 200 characters are equal to 1e-4, for every cell, depth and input.

    Biases are large, so that both count. Matrices stay near their initial values, because with
    larger ones a tanh network is chaotic and doubles any rounding error in a step.
    """
    config = ModelConfig(vocabulary_size=61, cell=cell, layers=layers, size=96, embed=embed)
    model = CharRNN(config)
    model.initialize(7, "orthogonal")
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.1 if parameter.dim() == 1 else 0.01)
    ids_T = np.random.Generator(np.random.PCG64(9)).integers(0, 61, 200)
    with torch.no_grad():
        expected_TV = model(torch.from_numpy(ids_T)[:, None])[0][:, 0].numpy()
    numpy_model = Engine(config, model.export())
    actual_TV = np.array([numpy_model.step([int(index)])[0].copy() for index in ids_T])
    assert np.abs(actual_TV - expected_TV).max() < 1e-4
    assert config.num_parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("embed", [0, 4])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_rows_are_texts_of_their_own(
    monkeypatch: pytest.MonkeyPatch, cell: Cell, embed: int
) -> None:
    """Rows continue from what one row has read, and step as each would alone, table or not."""
    config = ModelConfig(vocabulary_size=9, cell=cell, layers=2, size=8, embed=embed)
    model = CharRNN(config)
    model.initialize(1, "orthogonal")
    weights = model.export()
    ids_TR = np.random.Generator(np.random.PCG64(1)).integers(0, 9, (20, 3))
    first = Engine(config, weights)
    monkeypatch.setattr(engine, "TABLE_BYTES", 0)
    without_table = Engine(config, weights)
    for index in (4, 2):
        first.step([index])
        without_table.step([index])
    rows = without_table.repeat(3)
    together_TRV = np.array([rows.step(ids_R).copy() for ids_R in ids_TR])
    for row in range(3):
        alone = first.repeat(1)
        alone_TV = [alone.step([index])[0].copy() for index in ids_TR[:, row].tolist()]
        assert together_TRV[:, row] == pytest.approx(np.array(alone_TV), abs=1e-5)
