"""Temperature, filters and the draw: pure functions on logits, along the last axis."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import FileFormatError

# R rows · V vocabulary; every function takes (V,), (R, V) or more

Logits = npt.NDArray[np.float64]
"""A logit of -inf marks a character that was filtered out."""


def filter_logits(logits: npt.NDArray[np.floating[Any]], config: SampleConfig) -> Logits:
    """Apply temperature, top-k, top-p and min-p, in this order; temperature 0 is top-k of 1."""
    kept = logits.astype(np.float64)
    if config.temperature == 0:
        return keep_top_k(kept, 1)
    if config.temperature != 1:
        kept = apply_temperature(kept, config.temperature)
    if config.top_k:
        kept = keep_top_k(kept, config.top_k)
    if config.top_p < 1:
        kept = keep_top_p(kept, config.top_p)
    if config.min_p > 0:
        kept = keep_min_p(kept, config.min_p)
    return kept


def apply_temperature(logits: Logits, temperature: float) -> Logits:
    """Divide by the temperature, after moving the largest logit to 0 so that none overflows."""
    with np.errstate(over="ignore"):  # -1 / 1e-320 is -inf, as intended
        scaled: Logits = (logits - _largest(logits)) / temperature
    return scaled


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Mask all but the k largest logits (Fan et al. 2018); ties go to lower ids."""
    size = logits.shape[-1]
    if k >= size:
        return logits
    least = np.partition(logits, size - k, axis=-1)[..., size - k, None]
    out = logits < least
    if out.size - np.count_nonzero(out) > k * (logits.size // size):  # a row with ties at the limit
        above, ties = logits > least, logits == least
        room = k - np.count_nonzero(above, axis=-1, keepdims=True)
        out = ~(above | (ties & (np.cumsum(ties, axis=-1) <= room)))
    kept = logits.copy()
    kept[out] = -np.inf
    return kept


def keep_top_p(logits: Logits, p: float) -> Logits:
    """Keep the smallest set of most likely characters with a total probability of p or more.

    This is nucleus sampling (Holtzman et al. 2020).
    """
    order = np.argsort(-logits, axis=-1, kind="stable")
    sorted_probabilities = np.take_along_axis(softmax(logits), order, axis=-1)
    sum_before = np.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
    kept = np.empty(logits.shape, bool)
    np.put_along_axis(kept, order, sum_before < p, axis=-1)
    kept[logits == -np.inf] = False
    return np.where(kept, logits, -np.inf)


def keep_min_p(logits: Logits, p: float) -> Logits:
    """Mask characters less than p times as likely as the most likely one (Nguyen et al. 2024)."""
    return np.where(logits >= _largest(logits) + math.log(p), logits, -np.inf)


def softmax(logits: Logits) -> Logits:
    """Return exp(x) / Σ exp(x), without overflow."""
    weights: Logits = np.exp(logits - _largest(logits))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def log_softmax(logits: npt.NDArray[np.floating[Any]]) -> Logits:
    """Return x - log Σ exp(x): log-probabilities in nats."""
    shifted = logits.astype(np.float64)
    shifted -= _largest(shifted)
    log_probabilities: Logits = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_probabilities


def draw(logits_RV: Logits, uniform_R: Sequence[float]) -> list[int]:
    """Draw one id per row: each row's inverse cumulative distribution at its number in [0, 1).

    `uniform_R` has R numbers. All values are float64, so that other programs can repeat the draw.
    Raises FileFormatError if a row has no probabilities, because the model's numbers overflowed.
    """
    cumulative_RV = np.exp(logits_RV - _largest(logits_RV)).cumsum(axis=-1)
    return [
        _first_above(cumulative_V, uniform * cumulative_V[-1])
        for cumulative_V, uniform in zip(cumulative_RV, uniform_R, strict=True)
    ]


def overflow_error() -> FileFormatError:
    """Return the error for a model whose predictions are not numbers."""
    return FileFormatError(
        "the model's weights are so large that its predictions overflow",
        hint="use an earlier checkpoint, or train again with a smaller --lr",
    )


def _first_above(cumulative_V: Logits, target: np.float64) -> int:
    if np.isnan(target):
        raise overflow_error()
    if target >= cumulative_V[-1]:  # the product was rounded up to the sum
        target = np.nextafter(cumulative_V[-1], 0)
    return int(cumulative_V.searchsorted(target, side="right"))


def _largest(logits: Logits) -> Logits:
    largest: Logits = np.maximum.reduce(logits, axis=-1, keepdims=True)
    return largest
