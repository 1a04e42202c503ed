"""The models among which a time limit chooses, by measured tables. Pure functions."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn_cli.architecture import ModelConfig

ARCHITECTURE = ("layers", "size", "embed", "cell")
HURRIED_STEPS = 300  # from 400 on, a higher learning rate gains nothing
FEWEST_STEPS = 100  # a larger model that does fewer hardly learns


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model, its learning rate, and from how much work on it is the best choice."""

    layers: int
    size: int
    lr: float
    least_operations: tuple[float, ...]
    """Operations of training, for texts of each of `TEXT_SIZES`; the last holds for longer ones."""

    def rate(self, steps: int) -> float:
        """Return the learning rate for a number of steps: twice as high for few."""
        return 2 * self.lr if steps < HURRIED_STEPS else self.lr

    def __str__(self) -> str:
        return f"{self.layers}x{self.size}"

    def least(self, characters: int) -> float:
        """Return the least operations for a text, interpolated between measured sizes."""
        measured = zip(TEXT_SIZES, self.least_operations, strict=True)
        for (shorter, low), (longer, high) in itertools.pairwise(measured):
            if characters < longer:
                share = math.log(max(characters, shorter) / shorter) / math.log(longer / shorter)
                return low + share * (high - low)
        return self.least_operations[-1]

    def needed_steps(self, characters: int, operations: float) -> float:
        """Return from how many steps on this model is the best choice for a text.

        `operations` are those of a step of this model.
        """
        return max(FEWEST_STEPS, self.least(characters) / operations)


TEXT_SIZES = (1.5e5, 1e6, 2e6)  # characters

CANDIDATES = (
    Candidate(1, 256, 4e-3, (0.0, 0.0, 0.0)),
    Candidate(1, 512, 4e-3, (2e14, 8e13, 3e13)),
    Candidate(2, 512, 3e-3, (1e15, 3e14, 1e14)),
    Candidate(2, 768, 2e-3, (1e16, 1.5e15, 8e14)),
)
"""From the smallest to the largest."""

FALLBACK = Candidate(1, 128, 4e-3, (0.0, 0.0, 0.0))
"""The choice where even the smallest candidate does too few steps."""


def training_operations(model: ModelConfig, positions: int) -> float:
    """Return the additions and multiplications of a training step, forward and back."""
    return 6.0 * model.multiplications * positions


def leaves_model_open(settings: Mapping[str, Any]) -> bool:
    """Return whether settings say nothing of the model."""
    return settings.keys().isdisjoint(ARCHITECTURE)


def affordable(
    operations: float, model: ModelConfig, positions: int, characters: int
) -> tuple[Candidate, int]:
    """Return the best candidate for an amount of work on a text, and the steps that it can do.

    `model` has the text's vocabulary, and `positions` are those of a step.
    """
    best = CANDIDATES[0], 0
    for candidate in CANDIDATES:
        resized = dataclasses.replace(model, layers=candidate.layers, size=candidate.size)
        each = training_operations(resized, positions)
        steps = operations / each
        if candidate != CANDIDATES[0] and steps < candidate.needed_steps(characters, each):
            break
        best = candidate, int(steps)
    return best
