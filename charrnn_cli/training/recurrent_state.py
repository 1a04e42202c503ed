"""The recurrent state among the tensors of a snapshot, and the shapes of all of them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.training.network import RecurrentState

# B batch rows


def state_tensors(state: RecurrentState) -> dict[str, Tensor]:
    """Return the tensors of a state by name, each (1, B, H)."""
    return {
        f"state.{layer}.{number}": tensor
        for layer, tensors in enumerate(state)
        for number, tensor in enumerate(tensors)
    }


def state_of(
    tensors: Mapping[str, npt.NDArray[np.float32]], model: ModelConfig, device: torch.device
) -> RecurrentState | None:
    """Return the state in the tensors of a snapshot, on a device; None if they have none."""
    if "state.0.0" not in tensors:
        return None
    return [
        tuple(
            torch.from_numpy(tensors[f"state.{layer}.{number}"].copy()).to(device)
            for number in range(tensors_per_layer(model))
        )
        for layer in range(model.layers)
    ]


def tensors_per_layer(model: ModelConfig) -> int:
    """Return how many tensors a layer's state has."""
    return 2 if model.cell == "lstm" else 1


def snapshot_shapes(
    model: ModelConfig, config: TrainConfig, num_rows: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a `Trainer.snapshot`, to check a file before it is used.

    `num_rows` are those of the step before it.
    """
    kinds = ["exp_avg", "exp_avg_sq", *(["raw"] if config.ema else [])]
    weights = model.tensor_shapes()
    shapes = {f"{kind}.{name}": shape for kind in kinds for name, shape in weights.items()}
    for layer in range(model.layers):
        for number in range(tensors_per_layer(model)):
            shapes[f"state.{layer}.{number}"] = (1, num_rows, model.size)
    return shapes
