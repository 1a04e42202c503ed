"""Dropout masks as a function of (seed, step, layer), so that a resumed run repeats them."""

import math

import numpy as np
import torch
from torch import Tensor

from charrnn_cli.seeds import derive_seed
from charrnn_cli.training.device import torch_generator
from charrnn_cli.training.recipe import DROPOUT_LEVELS

# T time · B batch rows · H hidden size


class DropoutMasks:
    """Inverted dropout (Srivastava et al. 2014): zero some units, and scale the others up.

    The dropped fraction is rounded to a multiple of 1/256.
    """

    def __init__(self, dropout: float, seed: int) -> None:
        self._threshold = min(round(dropout * DROPOUT_LEVELS), DROPOUT_LEVELS - 1)
        self._scale = DROPOUT_LEVELS / (DROPOUT_LEVELS - self._threshold)
        self._seed = seed
        self.step = 0
        self.num_rows = 0
        """Rows of the step's batch, B."""
        self.rows = slice(None)
        """The batch's rows in the next output; splitting a batch does not change its masks."""

    def __bool__(self) -> bool:
        return self._threshold > 0

    def __call__(self, layer: int, output_TBH: Tensor) -> Tensor:
        """Apply a layer's mask of this step to its output (T, B, H)."""
        length, _, size = output_TBH.shape
        shape = (length, self.num_rows, size)
        kept_TBH = self._kept(layer, shape, output_TBH.device)[:, self.rows]
        return output_TBH * kept_TBH.to(output_TBH.dtype).mul_(self._scale)

    def _kept(self, layer: int, shape: tuple[int, int, int], device: torch.device) -> Tensor:
        words = derive_seed("dropout", self._seed, self.step, layer)
        if device.type == "cpu":
            number = math.prod(shape)
            raw = np.random.PCG64(words).random_raw((number + 7) // 8)
            return torch.from_numpy(raw.view(np.uint8)[:number]).view(shape) >= self._threshold
        # An accelerator generates its own bytes, which differ from the CPU's.
        generator = torch_generator(device, words)
        drawn = torch.empty(shape, dtype=torch.uint8, device=device).random_(generator=generator)
        return drawn >= self._threshold
