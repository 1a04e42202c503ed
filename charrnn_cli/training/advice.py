"""Advice on a run, from its sizes and losses, by common rules of thumb. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from charrnn_cli.architecture import ModelConfig

# char-rnn's README: parameters and characters should have the same order of magnitude.
UNDERFIT_RATIO = 0.1
OVERFIT_RATIO = 10
FEW_STEPS, FEW_PASSES = 50, 0.2
NOISY_VALIDATION = 20_000  # characters
COPIED_VALIDATION = 0.1  # fraction; novels have 0, and texts with a license in each file a little
GAP_SMALL, GAP_LARGE = 0.05, 0.25  # nats between train and val loss

DROPOUT_STEP, MAX_DROPOUT = 0.2, 0.7

COSTLY_OUTPUT = 0.25  # fraction of the multiplications
WELL_SEEN = 5  # occurrences; a rarer character is hardly learned


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence for the user, and what to change."""

    message: str
    change: dict[str, float] = field(default_factory=dict)
    """Settings to try next, by name."""


def advise_on_size(num_parameters: int, num_characters: int) -> Advice:
    """Compare the parameters with the characters of training text."""
    ratio = num_parameters / num_characters
    each = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
    figure = (
        f"{num_parameters:,} parameters for {num_characters:,} characters ({each} per character)"
    )
    if ratio < UNDERFIT_RATIO:
        return Advice(
            f"{figure}: small for this text; a larger --size or more --layers would learn more",
        )
    if ratio > OVERFIT_RATIO:
        return Advice(
            f"{figure}: large for this text; raise --dropout, or use a smaller --size",
        )
    return Advice(f"{figure}: a good match for this text")


def advise_on_plan(steps: int, passes: float, seconds_per_step: float) -> Advice | None:
    """Warn of a plan under which a model cannot learn a text."""
    if steps < FEW_STEPS:
        figure = "1 step is" if steps == 1 else f"{steps} steps are"
        problem, enough, what = (
            f"{figure} too few to learn much",
            2 * FEW_STEPS,
            f"{2 * FEW_STEPS} steps take",
        )
    elif passes < FEW_PASSES:
        problem = f"{passes:.2g} epochs leave most of this text unread"
        enough, what = math.ceil(steps / passes), "an epoch takes"
    else:
        return None
    minutes = max(1, math.ceil(enough * seconds_per_step / 60))
    return Advice(f"{problem}; here, {what} up to {minutes:,} min, less with a smaller --size")


def advise_on_validation(val_characters: int) -> Advice | None:
    """Warn if the validation text is so short that its loss is noisy."""
    if 0 < val_characters < NOISY_VALIDATION:
        figure = f"the validation text has only {val_characters:,} characters"
        return Advice(f"{figure}: loss differences of a few hundredths are noise")
    return None


def warn_of_overlap(fraction: float) -> Advice | None:
    """Warn if a fraction of the validation text stands in the training text word for word."""
    if fraction < COPIED_VALIDATION:
        return None
    figure = f"about {fraction:.0%} of the validation text also stands in the training text"
    return Advice(f"{figure}: val loss will be too low; remove the copies from the text")


def advise_on_vocabulary(model: ModelConfig, counts: Sequence[int]) -> Advice | None:
    """Report the cost of a large vocabulary, and how to remove its rare characters.

    `counts` are the occurrences of each character in the text.
    """
    output = model.vocabulary_size * model.size
    fraction = output / model.multiplications
    if fraction < COSTLY_OUTPUT:
        return None
    cost = (
        f"{model.vocabulary_size:,} distinct characters: "
        f"the output layer takes {fraction:.0%} of the computation"
    )
    kept = sum(count >= WELL_SEEN for count in counts)
    if kept > 0.9 * len(counts):
        return Advice(cost)
    smaller = f"--min-count {WELL_SEEN} would leave {kept + 1:,} characters"
    return Advice(f"{cost}; {smaller}")


def advise_on_losses(train_loss: float, val_loss: float, dropout: float, size: int) -> Advice:
    """Judge a finished run, and suggest what to change next.

    Both losses are in nats per character, measured without dropout.
    """
    gap = round(val_loss - train_loss, 4)
    figures = f"train {train_loss:.3f}, val {val_loss:.3f}, gap {gap:z.2f}"  # z: never -0.00
    more = min(MAX_DROPOUT, round(dropout + DROPOUT_STEP, 2))
    less = max(0.0, round(dropout - DROPOUT_STEP, 2))
    if gap > GAP_LARGE:
        return Advice(
            f"{figures}: the model memorizes this text",
            {"dropout": more} if dropout < MAX_DROPOUT else {"size": max(1, size // 2)},
        )
    if gap < GAP_SMALL:
        return Advice(
            f"{figures}: no overfitting; a larger model or more steps would learn more",
            {"dropout": less} if dropout > 0 else {"size": 2 * size},
        )
    half = min(MAX_DROPOUT, round(dropout + DROPOUT_STEP / 2, 2))
    return Advice(
        f"{figures}: healthy; for a lower loss, use a larger model with more dropout",
        {"size": 2 * size, "dropout": half},
    )
