"""The model in torch: shapes, initial weights, loss."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import Initialization
from charrnn_cli.training.network import CharRNN


@pytest.mark.parametrize("initialization", ["orthogonal", "glorot"])
@pytest.mark.parametrize("embed", [0, 64])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_fresh_model_knows_nothing(
    cell: Cell, embed: int, initialization: Initialization
) -> None:
    """The loss of a fresh model is ln V within 5 %."""
    config = ModelConfig(vocabulary_size=83, cell=cell, layers=2, size=256, embed=embed)
    model = CharRNN(config)
    model.initialize(3, initialization)
    ids_TB = torch.randint(83, (101, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits_TBV, _ = model(ids_TB[:-1])
    loss = functional.cross_entropy(logits_TBV.flatten(0, 1), ids_TB[1:].flatten()).item()
    assert loss == pytest.approx(math.log(83), rel=0.05)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_fresh_model_of_a_text_knows_its_symbols(cell: Cell) -> None:
    """With the symbols' frequencies, the loss of a fresh model is their entropy within 5 %."""
    frequencies_V: npt.NDArray[np.float64] = 1 / np.arange(1, 84)
    frequencies_V /= frequencies_V.sum()
    model = CharRNN(ModelConfig(vocabulary_size=83, cell=cell, layers=2, size=256))
    model.initialize(3, "orthogonal", frequencies_V)
    ids_TB = torch.from_numpy(
        np.random.Generator(np.random.PCG64(0)).choice(83, (201, 20), p=frequencies_V)
    )
    with torch.no_grad():
        logits_TBV, _ = model(ids_TB[:-1])
    loss = functional.cross_entropy(logits_TBV.flatten(0, 1), ids_TB[1:].flatten()).item()
    assert loss == pytest.approx(-(frequencies_V * np.log(frequencies_V)).sum(), rel=0.05)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_state_carries_everything(cell: Cell) -> None:
    """Two windows that share their state give the logits of one window of both."""
    model = CharRNN(ModelConfig(vocabulary_size=11, cell=cell, layers=2, size=16, embed=0))
    model.initialize(1, "orthogonal")
    ids_TB = torch.randint(11, (20, 3), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, _ = model(ids_TB)
        first, state = model(ids_TB[:12])
        second, _ = model(ids_TB[12:], state)
    assert torch.allclose(whole, torch.cat([first, second]), atol=1e-6)


def test_tensors_have_their_documented_names_and_shapes() -> None:
    """The model's parameters are those of `tensor_shapes`, with and without an embedding."""
    for embed in (0, 5):
        config = ModelConfig(vocabulary_size=7, cell="gru", layers=3, size=4, embed=embed)
        shapes = {name: tuple(tensor.shape) for name, tensor in CharRNN(config).named_parameters()}
        assert shapes == config.tensor_shapes()


def test_weights_are_a_function_of_the_seed() -> None:
    """Weights depend on the seed alone, not on draws from torch's global generator."""

    def weights(seed: int) -> np.ndarray:
        model = CharRNN(ModelConfig(vocabulary_size=7, size=8, embed=3))
        model.initialize(seed, "orthogonal")
        return np.concatenate([array.ravel() for array in model.export().values()])

    first = weights(1)
    torch.rand(3)
    assert (weights(1) == first).all()
    assert not (weights(2) == first).all()


def test_initial_weights() -> None:
    """Forget gates start at bias 1, other biases at 0, and recurrent matrices are orthogonal."""
    model = CharRNN(ModelConfig(vocabulary_size=7, layers=2, size=8, embed=3))
    model.initialize(1, "orthogonal")
    weights = model.export()
    for layer in (0, 1):
        assert weights[f"layers.{layer}.bias_ih_l0"].tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
        assert not weights[f"layers.{layer}.bias_hh_l0"].any()
        for gate in np.split(weights[f"layers.{layer}.weight_hh_l0"], 4):
            assert np.allclose(gate @ gate.T, np.eye(8), atol=1e-5)


def test_load_is_the_inverse_of_export() -> None:
    """A model that loads another's export has its tensors."""
    config = ModelConfig(vocabulary_size=7, size=8, embed=3)
    one, other = CharRNN(config), CharRNN(config)
    one.initialize(1, "glorot")
    other.initialize(2, "glorot")
    other.load(one.export())
    assert all(
        (a == b).all() for a, b in zip(one.export().values(), other.export().values(), strict=True)
    )
