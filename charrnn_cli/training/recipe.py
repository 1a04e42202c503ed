"""Automatic settings, chosen from the text and the plan. Pure functions."""

import dataclasses
import math
from collections.abc import Collection

from charrnn_cli.architecture import ModelConfig, automatic_ngram

# One random byte per unit is 40 times cheaper than bernoulli_, and exact for 0.25 and 0.5.
DROPOUT_LEVELS = 256

# Going on from a checkpoint: below a number of characters, learning rate, dropout and epochs.
_WARM = (
    (600_000, 1e-3, 0.5, 8),
    (math.inf, 1e-3, 0.25, 3),
)
SHORT_TEXT = 500_000  # characters
SHORT_TEXT_DECAY = 0.5  # weight decay; more than this was not better
_LONG = 1_000_000  # characters; shorter texts need more dropout


def completed(model: ModelConfig, automatic: Collection[str], vocabulary_size: int) -> ModelConfig:
    """Return a model for a text; its automatic settings depend on the size of the vocabulary."""
    embed = automatic_embed(vocabulary_size) if "embed" in automatic else model.embed
    ngram = automatic_ngram(vocabulary_size) if "ngram" in automatic else model.ngram
    return dataclasses.replace(model, vocabulary_size=vocabulary_size, embed=embed, ngram=ngram)


def automatic_embed(vocabulary_size: int) -> int:
    """Return the width of the embedding: 64 up to 512 symbols, then about 4·√V, at most 512.

    The square root is this project's choice; its factor gives 64 at 256 symbols. Widths are
    multiples of 64, which suit matrix products.
    """
    if vocabulary_size <= 512:
        return 64
    return min(512, 64 * round(4 * math.sqrt(vocabulary_size) / 64))


def warm_settings(given: Collection[str], characters: int) -> dict[str, float]:
    """Return settings to go on from a checkpoint's weights, for a number of characters.

    They are those that are not given; a number of steps replaces the number of epochs. Measured on
    texts of 20 kB to 1 MB with the built-in model: longer training, or at a higher rate, overfits.
    """
    row = next((row for row in _WARM if characters < row[0]), _WARM[-1])
    settings = dict(zip(("lr", "dropout", "epochs"), row[1:], strict=True))
    if "max_steps" in given:
        del settings["epochs"]
    return {name: value for name, value in settings.items() if name not in given}


def limited_settings(
    given: Collection[str], characters: int, *, is_list: bool = False
) -> dict[str, float]:
    """Return settings for a run from random weights with a time limit, those that are not given.

    More epochs than these overfit a short text, and hardly lower the loss on a longer one, or on a
    list, whose items share less with each other than the sentences of a text.
    """
    is_short = characters < SHORT_TEXT and not is_list
    settings = {"epochs": 16, "weight_decay": SHORT_TEXT_DECAY} if is_short else {"epochs": 40}
    if "max_steps" in given:
        del settings["epochs"]
    return {name: value for name, value in settings.items() if name not in given}


def automatic_dropout(passes: float, characters: int) -> float:
    """Return the dropout for a number of passes over a text.

    For a million characters and more, it is 0 up to 2 passes, 0.25 at 10, 0.5 from 40 on, linear in
    between; a multiple of 1/256. A pass over a shorter text of N characters counts as √(10⁶ / N).
    """
    passes *= math.sqrt(max(1.0, _LONG / max(characters, 1)))
    (start, low), (stop, high) = ((2, 0.0), (10, 0.25)) if passes < 10 else ((10, 0.25), (40, 0.5))
    progress = min(max((passes - start) / (stop - start), 0.0), 1.0)
    return round((low + progress * (high - low)) * DROPOUT_LEVELS) / DROPOUT_LEVELS
