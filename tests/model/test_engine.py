"""The two engines are one model."""

import numpy as np
import pytest
import torch

from charrnn_cli.config import Cell, ModelConfig
from charrnn_cli.model import engine as inference
from charrnn_cli.model.engine import Engine
from charrnn_cli.training.network import CharRNN


@pytest.mark.parametrize("embed", [0, 64])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_numpy_and_torch_agree(cell: Cell, layers: int, embed: int) -> None:
    """Logits over 200 characters to 1e-4, for every cell, depth and input; and both biases count.

    Matrices stay near their beginning: a tanh network of larger ones is chaotic, and doubles any rounding in a step.
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
    engine = Engine(config, model.export())
    actual_TV = np.array([engine.step([int(index)])[0].copy() for index in ids_T])
    assert np.abs(actual_TV - expected_TV).max() < 1e-4
    engine.reset()
    assert (engine.step([int(ids_T[0])])[0] == actual_TV[0]).all()
    assert config.num_parameters == sum(parameter.numel() for parameter in model.parameters())


def test_feeding_is_stepping() -> None:
    config = ModelConfig(vocabulary_size=5, layers=2, size=8, embed=4)
    model = CharRNN(config)
    model.initialize(1, "glorot")
    one, other = Engine(config, model.export()), Engine(config, model.export())
    assert one.feed([]) is None
    fed = one.feed([1, 2, 3])
    assert fed is not None
    for index in (1, 2, 3):
        stepped = other.step([index])
    assert (fed == stepped).all()


@pytest.mark.parametrize("embed", [0, 4])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_rows_are_texts_of_their_own(
    monkeypatch: pytest.MonkeyPatch, cell: Cell, embed: int
) -> None:
    """Several rows step as each would alone, from what the one before them had read; also without an input table."""
    config = ModelConfig(vocabulary_size=9, cell=cell, layers=2, size=8, embed=embed)
    model = CharRNN(config)
    model.initialize(1, "orthogonal")
    weights = model.export()
    ids_TR = np.random.Generator(np.random.PCG64(1)).integers(0, 9, (20, 3))
    first = Engine(config, weights)
    first.feed([4, 2])
    monkeypatch.setattr(inference, "TABLE_BYTES", 0)
    rows = Engine(config, weights)
    rows.feed([4, 2])
    rows = rows.repeat(3)
    together_TRV = np.array([rows.step(ids_R).copy() for ids_R in ids_TR])
    for row in range(3):
        alone = first.repeat(1)
        alone_TV = [alone.step([index])[0].copy() for index in ids_TR[:, row].tolist()]
        assert together_TRV[:, row] == pytest.approx(np.array(alone_TV), abs=1e-5)
