"""What the sizes and losses of a run say, as advice: the field's rules of thumb, executed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from charrnn_cli.config import GATES, ModelConfig

# char-rnn's README: parameters and characters should be of about the same order of magnitude.
UNDERFIT_RATIO = 0.1
OVERFIT_RATIO = 10
NOISY_VALIDATION = 20_000  # characters
GAP_SMALL, GAP_LARGE = 0.05, 0.25  # nats between train and val loss

DROPOUT_STEP, MAX_DROPOUT = 0.2, 0.7

COSTLY_OUTPUT = 0.25  # share of the work
RARE = 5  # occurrences, below which a character is hardly learned

AdviceKind = Literal["fine", "underfitting", "overfitting", "noisy", "costly"]


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence for a person, and its kind for a program."""

    kind: AdviceKind
    message: str
    change: dict[str, float] = field(default_factory=dict)
    """Settings to try next, by their names in the configurations."""


def advise_on_size(num_parameters: int, num_characters: int) -> Advice:
    """Parameters against characters of training text."""
    ratio = num_parameters / num_characters
    each = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
    figure = f"{num_parameters:,} parameters for {num_characters:,} characters ({each} a character)"
    if ratio < UNDERFIT_RATIO:
        return Advice(
            "underfitting",
            f"{figure}: small for this text; a larger --size or more --layers learns more",
        )
    if ratio > OVERFIT_RATIO:
        return Advice(
            "overfitting",
            f"{figure}: large for this text; raise --dropout, or use a smaller --size",
        )
    return Advice("fine", f"{figure}: the same order of magnitude, as it should be")


def advise_on_validation(val_characters: int) -> Advice | None:
    """A small validation text gives a loss that scatters."""
    if 0 < val_characters < NOISY_VALIDATION:
        figure = f"only {val_characters:,} characters to validate on"
        return Advice("noisy", f"{figure}: differences of a few hundredths are noise")
    return None


def advise_on_vocabulary(model: ModelConfig, counts: Sequence[int]) -> Advice | None:
    """What a large vocabulary costs: the output layer's share of the multiplications, and what rare symbols make of it.

    `counts` are of each symbol in the text.
    """
    output = model.vocabulary_size * model.size
    recurrent = (
        GATES[model.cell]
        * model.size
        * sum(
            model.size + (model.input_size(layer) if layer or model.embed else 0)
            for layer in range(model.layers)
        )
    )
    share = output / (output + recurrent)
    if share < COSTLY_OUTPUT:
        return None
    figure = f"{model.vocabulary_size:,} different characters: the output layer is {share:.0%} of the work"
    kept = sum(count >= RARE for count in counts)
    if kept > 0.9 * len(counts):
        return Advice("costly", figure)
    return Advice(
        "costly", f"{figure}; with --min-count {RARE} it would be {kept + 1:,} characters"
    )


def advise_on_losses(train_loss: float, val_loss: float, dropout: float, size: int) -> Advice:
    """The verdict after training, from losses in nats a character, both without dropout, and what to change next."""
    gap = round(val_loss - train_loss, 4) + 0.0
    figures = f"train {train_loss:.3f}, val {val_loss:.3f}, a gap of {gap:.2f}"
    if gap > GAP_LARGE:
        if dropout < MAX_DROPOUT:
            change: dict[str, float] = {
                "dropout": min(MAX_DROPOUT, round(dropout + DROPOUT_STEP, 2))
            }
        else:
            change = {"size": max(1, size // 2)}
        return Advice(
            "overfitting", f"{figures}: it knows this text better than its language", change
        )
    if gap < GAP_SMALL:
        change = (
            {"dropout": max(0.0, round(dropout - DROPOUT_STEP, 2))}
            if dropout > 0
            else {"size": 2 * size}
        )
        return Advice(
            "underfitting",
            f"{figures}: no overfitting; a larger model or more steps would learn more",
            change,
        )
    change = {"size": 2 * size, "dropout": min(MAX_DROPOUT, round(dropout + DROPOUT_STEP / 2, 2))}
    return Advice(
        "fine", f"{figures}: healthy; a lower loss takes a larger model with more dropout", change
    )
