"""Dropout whose masks are a function of (seed, step, layer), so that a resumed run draws the same ones."""

import math

import numpy as np
import torch
from torch import Tensor

LEVELS = 256  # a byte a unit: 40 times cheaper than bernoulli_, and exact for 0.25 and 0.5


class DropoutMasks:
    """Zeroes a share of a layer's output and scales the rest, so that its mean stays.

    The share is rounded to a multiple of 1/256.
    """

    def __init__(self, dropout: float, seed: int, batch_size: int) -> None:
        self._threshold = min(round(dropout * LEVELS), LEVELS - 1)
        self._scale = LEVELS / (LEVELS - self._threshold)
        self._seed = seed
        self._batch_size = batch_size
        self.step = 0
        self.rows = slice(None)
        """The rows of the batch that the output holds; a part of them has its part of the whole batch's mask."""

    def __bool__(self) -> bool:
        return self._threshold > 0

    def __call__(self, layer: int, output_TBH: Tensor) -> Tensor:
        length, _, size = output_TBH.shape
        kept_TBH = self._kept(layer, (length, self._batch_size, size), output_TBH.device)[:, self.rows]
        return output_TBH * kept_TBH.to(output_TBH.dtype).mul_(self._scale)

    def _kept(self, layer: int, shape: tuple[int, int, int], device: torch.device) -> Tensor:
        if device.type == "cpu":
            number = math.prod(shape)
            raw = np.random.PCG64([self._seed, self.step, layer]).random_raw((number + 7) // 8)
            return torch.from_numpy(raw.view(np.uint8)[:number]).view(shape) >= self._threshold
        # On an accelerator the bytes are drawn where they are used; they differ from the CPU's.
        seed = int(np.random.PCG64([self._seed, self.step, layer]).random_raw()) >> 1
        generator = torch.Generator(device).manual_seed(seed)
        drawn = torch.empty(shape, dtype=torch.uint8, device=device).random_(generator=generator)
        return drawn >= self._threshold


def automatic_dropout(passes: float) -> float:
    """From the passes over the text: 0 up to 2, rising to 0.25 at 10 and to 0.5 at 40 and beyond."""
    return round(float(np.interp(passes, [2, 10, 40], [0, 0.25, 0.5])) * LEVELS) / LEVELS
