"""LSTMs with padded inputs."""

import pytest
import torch
from torch import nn

from charrnn_cli.training.padded_lstm import is_faster_padded, padded_lstm


@pytest.mark.parametrize("has_state", [False, True])
@pytest.mark.parametrize("width", [5, 64, 128, 130])
def test_padding_changes_no_number(width: int, has_state: bool) -> None:
    """A padded layer has the outputs, the state and all gradients of the layer itself."""
    generator = torch.Generator().manual_seed(1)
    layer = nn.LSTM(width, 16)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5, generator=generator)
    inputs_TBI = torch.randn(7, 3, width, generator=generator).requires_grad_()
    state = None
    if has_state:
        hidden_1BH, cell_1BH = torch.randn(2, 1, 3, 16, generator=generator).unbind()
        state = (hidden_1BH, cell_1BH)
    found = []
    for output_TBH, (hidden_1BH, cell_1BH) in (
        layer(inputs_TBI, state),
        padded_lstm(layer, inputs_TBI, state),
    ):
        loss = output_TBH.square().sum() + hidden_1BH.sum() + cell_1BH.sum()
        gradients = torch.autograd.grad(loss, [inputs_TBI, *layer.parameters()])
        found.append([output_TBH, hidden_1BH, cell_1BH, *gradients])
    for plain, padded in zip(*found, strict=True):
        assert padded.shape == plain.shape
        assert torch.allclose(padded, plain, rtol=1e-5, atol=1e-5)


def test_a_cpu_pads_nothing() -> None:
    """Inputs on a CPU stay as they are, with and without autocast."""
    layer, inputs_TBI = nn.LSTM(64, 128), torch.zeros(2, 1, 64)
    assert not is_faster_padded(layer, inputs_TBI)
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_faster_padded(layer, inputs_TBI)
