"""What the sizes and losses of a run say, as advice: the field's rules of thumb, executed."""

import math
from dataclasses import dataclass, field
from typing import Literal

# char-rnn's README: parameters and characters should be of about the same order of magnitude.
UNDERFIT_RATIO = 0.1
OVERFIT_RATIO = 10
NOISY_VALIDATION = 20_000  # characters
GAP_SMALL, GAP_LARGE = 0.05, 0.25  # nats between train and val loss

DROPOUT_STEP, MAX_DROPOUT = 0.2, 0.7

AdviceKind = Literal["fine", "underfitting", "overfitting", "noisy"]


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence for a person, and its kind for a program."""

    kind: AdviceKind
    message: str
    change: dict[str, float] = field(default_factory=dict)
    """Settings to try next, by their names in the configurations."""


def bits_per_character(nats: float) -> float:
    """bpc = nats / ln 2."""
    return nats / math.log(2)


def advise_on_size(num_parameters: int, num_characters: int) -> Advice:
    """Parameters against characters of training text."""
    ratio = num_parameters / num_characters
    figure = f"{num_parameters:,} parameters for {num_characters:,} characters ({ratio:.2g} a character)"
    if ratio < UNDERFIT_RATIO:
        return Advice("underfitting", f"{figure}: small for this text; a larger --size or more --layers learns more")
    if ratio > OVERFIT_RATIO:
        return Advice("overfitting", f"{figure}: large for this text; raise --dropout, or use a smaller --size")
    return Advice("fine", f"{figure}: the same order of magnitude, as it should be")


def advise_on_validation(val_characters: int) -> Advice | None:
    """A small validation text gives a loss that scatters."""
    if 0 < val_characters < NOISY_VALIDATION:
        figure = f"only {val_characters:,} characters to validate on"
        return Advice("noisy", f"{figure}: differences of a few hundredths are noise")
    return None


def advise_on_losses(train_loss: float, val_loss: float, dropout: float, size: int) -> Advice:
    """The verdict after training, from losses in nats a character, both without dropout, and what to change next."""
    gap = val_loss - train_loss
    figures = f"train {train_loss:.3f}, val {val_loss:.3f}, a gap of {gap:.2f}"
    if gap > GAP_LARGE:
        if dropout < MAX_DROPOUT:
            change: dict[str, float] = {"dropout": min(MAX_DROPOUT, round(dropout + DROPOUT_STEP, 2))}
        else:
            change = {"size": max(1, size // 2)}
        return Advice("overfitting", f"{figures}: it knows this text better than its language", change)
    if gap < GAP_SMALL:
        change = {"dropout": max(0.0, round(dropout - DROPOUT_STEP, 2))} if dropout > 0 else {"size": 2 * size}
        return Advice("underfitting", f"{figures}: no overfitting, so there is room to learn more, or longer", change)
    change = {"size": 2 * size, "dropout": min(MAX_DROPOUT, round(dropout + DROPOUT_STEP / 2, 2))}
    return Advice("fine", f"{figures}: healthy; a lower loss takes a larger model with more dropout", change)
