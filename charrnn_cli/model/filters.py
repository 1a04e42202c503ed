"""Temperature, filters and the draw: pure functions on logits, along the last axis."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import FileFormatError

# R rows · V vocabulary · K kept characters; every filter takes (V,), (R, V) or more

Logits = npt.NDArray[np.float64]
"""A logit of -inf marks a character that was filtered out."""
Floats = npt.NDArray[np.floating[Any]]
Number = TypeVar("Number", bound=np.floating[Any])
Ids = npt.NDArray[np.intp]

FEW_ROWS = 16  # that Python searches faster than numpy compares all


def filter_logits(
    logits: Floats, config: SampleConfig, unwritten: int | None = None
) -> tuple[Logits, Ids | None]:
    """Apply temperature, top-k, top-p and min-p, in this order; temperature 0 is top-k of 1.

    The id `unwritten` is left out before that. Return the logits that top-k keeps, some of them
    masked by later filters, and their ids as `keep_top_k` does.
    """
    ids: Ids | None = None
    if unwritten is not None:
        logits = logits.copy()
        logits[..., unwritten] = -np.inf
    if config.temperature == 0:
        logits, ids = keep_top_k(logits, 1)
        return logits.astype(np.float64), ids
    if config.temperature != 1:
        logits = apply_temperature(logits.astype(np.float64), config.temperature)
    if config.top_k:
        logits, ids = keep_top_k(logits, config.top_k)
    kept = logits.astype(np.float64)
    if config.top_p < 1:
        kept = keep_top_p(kept, config.top_p)
    if config.min_p > 0:
        kept = keep_min_p(kept, config.min_p)
    return kept, ids


def apply_temperature(logits: Logits, temperature: float) -> Logits:
    """Divide by the temperature, after moving the largest logit to 0 so that none overflows."""
    with np.errstate(over="ignore"):  # -1 / 1e-320 is -inf, as intended
        scaled = logits - _largest(logits)
        scaled /= temperature
    return scaled


def keep_top_k(logits: Floats, k: int) -> tuple[Floats, Ids | None]:
    """Return the k largest logits (Fan et al. 2018) and their ids, both in the order of the ids.

    Ties go to lower ids, and NaN is larger than any number. The ids are None if all are kept.
    """
    size = logits.shape[-1]
    if k >= size:
        return logits, None
    if k == 1:
        return _largest(logits), logits.argmax(axis=-1, keepdims=True)
    partitioned = logits.copy()
    partitioned.partition(size - k, axis=-1)
    kept = logits < partitioned[..., size - k, None]
    np.logical_not(kept, out=kept)
    flat_ids = kept.ravel().nonzero()[0]
    shape = (*logits.shape[:-1], k)
    if len(flat_ids) == math.prod(shape):
        return logits.take(flat_ids).reshape(shape), (flat_ids % size).reshape(shape)
    # A row has ties at the limit. Sorted backwards, the largest and NaN come first.
    order = np.argsort(logits[..., ::-1], axis=-1, kind="stable")[..., : size - k - 1 : -1]
    ids = np.sort(size - 1 - order, axis=-1)
    return np.take_along_axis(logits, ids, axis=-1), ids


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


def draw(logits_RK: Logits, uniform_R: Sequence[float], ids_RK: Ids | None = None) -> list[int]:
    """Draw one id per row: each row's inverse cumulative distribution at its number in [0, 1).

    `uniform_R` has R numbers; without `ids_RK`, the ids are 0 to K - 1. All values are float64, so
    that other programs can repeat the draw.
    Raises FileFormatError if a row has no probabilities, because the model's numbers overflowed.
    """
    cumulative_RK = logits_RK - _largest(logits_RK)
    np.exp(cumulative_RK, out=cumulative_RK)
    np.add.accumulate(cumulative_RK, axis=-1, out=cumulative_RK)
    if len(cumulative_RK) > FEW_ROWS:
        chosen_R = _all_first_above(cumulative_RK, np.asarray(uniform_R))
        if ids_RK is not None:
            chosen_R = ids_RK[np.arange(len(chosen_R)), chosen_R]
        chosen: list[int] = chosen_R.tolist()
        return chosen
    drawn_R = [
        _first_above(cumulative_RK[row], uniform)  # iterating over an array costs 2 us more
        for row, uniform in enumerate(uniform_R)
    ]
    if ids_RK is None:
        return drawn_R
    return [int(ids_RK[row, position]) for row, position in enumerate(drawn_R)]


def overflow_error() -> FileFormatError:
    """Return the error for a model whose predictions are not numbers."""
    return FileFormatError(
        "the model's weights are so large that its predictions overflow",
        hint="use an earlier checkpoint, or train again with a smaller --lr",
    )


def _first_above(cumulative_K: Logits, uniform: float) -> int:
    total = cumulative_K[-1]
    target = uniform * total
    if math.isnan(target):
        raise overflow_error()
    if target >= total:  # the product was rounded up to the sum
        target = np.nextafter(total, 0)
    return bisect_right(cumulative_K, target)


def _all_first_above(cumulative_RK: Logits, uniform_R: npt.NDArray[np.float64]) -> Ids:
    """Return what `_first_above` returns for each row."""
    total_R = cumulative_RK[:, -1]
    target_R = uniform_R * total_R
    if np.isnan(target_R).any():
        raise overflow_error()
    np.minimum(target_R, np.nextafter(total_R, 0), out=target_R)
    first_R: Ids = np.count_nonzero(cumulative_RK <= target_R[:, None], axis=1)
    return first_R


def _largest(logits: npt.NDArray[Number]) -> npt.NDArray[Number]:
    if logits.size == logits.shape[-1]:  # one row: cheaper than a reduction
        return logits[..., logits.argmax(), None]
    largest: npt.NDArray[Number] = np.maximum.reduce(logits, axis=-1, keepdims=True)
    return largest
