"""Units that follow a feature of the text, found by themselves and tested against chance.

For each feature, the unit with the highest correlation is chosen on the odd stretches of the text.
It is reported with its correlation on the even ones, and only if that exceeds what any unit reaches
there with the feature shifted against the text.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.inspection.features import Feature
from charrnn_cli.model.inspection.trace import Activations

# N characters · M characters of half of the text · F features · H units · S shifts

STRETCH = 1_000  # characters; shorter in a text of less than eight stretches
LEAST = 0.2  # correlation that is reported
SHIFTS = 100
BLOCK = 128  # units that are compared at a time: 10 MB for 20,000 characters
SLOW_LAG = 64  # characters
SLOWEST = 5
LEAST_SPREAD = 0.01  # standard deviation of a unit that does something

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit that follows a feature."""

    feature: str
    layer: int
    unit: int
    part: str
    """As in `Activations`."""
    r: float
    """Correlation on the stretches on which the unit was chosen."""
    r_held_out: float
    """Correlation on the other stretches."""
    r_chance: float
    """The highest correlation of any unit with the shifted feature on the other stretches."""


@dataclass(frozen=True, slots=True)
class SlowUnit:
    """A unit that changes slowly."""

    layer: int
    unit: int
    part: str
    characters: int
    """Distance at which the correlation of its activation with itself falls below 1 / e."""


def find_units(activations: Sequence[Activations], features: Sequence[Feature]) -> list[FoundUnit]:
    """Return the units that follow features, at most one per feature, the best first."""
    size = len(activations[0].values)
    is_odd_N = _is_odd(size)
    varying = [
        feature
        for feature in features
        if all(np.ptp(feature.values[half_N]) > 0 for half_N in (is_odd_N, ~is_odd_N))
    ]
    if not varying:
        return []
    values_NF = np.stack([feature.values for feature in varying], axis=1)
    best = [FoundUnit(feature.name, 0, 0, "h", 0.0, 0.0, 0.0) for feature in varying]
    odd_MF, even_MF = (standardized(values_NF[half_N]) for half_N in (is_odd_N, ~is_odd_N))
    for part, first, values_NH in _blocks(activations):
        odd_FH = correlations(odd_MF, standardized(values_NH[is_odd_N]))
        even_FH = correlations(even_MF, standardized(values_NH[~is_odd_N]))
        for index, unit in enumerate(np.abs(odd_FH).argmax(axis=1).tolist()):
            r, held_out = float(odd_FH[index, unit]), float(even_FH[index, unit])
            if abs(r) > abs(best[index].r):
                name = varying[index].name
                best[index] = FoundUnit(name, part.layer, first + unit, part.part, r, held_out, 0.0)
    likely = [index for index, found in enumerate(best) if _is_likely(found)]
    chances = _chances(activations, values_NF[:, likely], ~is_odd_N)
    told = [
        replace(found, r_chance=chance)
        for found, chance in zip((best[index] for index in likely), chances, strict=True)
        if abs(found.r_held_out) > chance
    ]
    return sorted(told, key=lambda found: -abs(found.r_held_out))


def slowest_units(activations: Sequence[Activations]) -> list[SlowUnit]:
    """Return the units that remember longest: those that resemble themselves after 64 characters.

    A unit that hardly changes at all is left out.
    """
    size = len(activations[0].values)
    if size <= 2 * SLOW_LAG:
        return []
    slow: list[tuple[float, SlowUnit]] = []
    for part, first, raw_NH in _blocks(activations):
        values_NH = raw_NH.astype(np.float32)
        is_live_H = values_NH.std(axis=0) > LEAST_SPREAD
        values_NH = standardized(values_NH)
        products_H = np.einsum("nh,nh->h", values_NH[:-SLOW_LAG], values_NH[SLOW_LAG:])
        again_H = np.where(is_live_H, products_H / (size - SLOW_LAG), -1)
        for unit in np.argsort(-again_H)[:SLOWEST].tolist():
            if again_H[unit] > 0:
                time = _memory(values_NH[:, unit])
                slow.append(
                    (float(again_H[unit]), SlowUnit(part.layer, first + unit, part.part, time))
                )
    slow.sort(key=lambda each: (-each[1].characters, -each[0]))
    return [unit for _, unit in slow[:SLOWEST]]


def standardized(values_NK: npt.NDArray[np.floating]) -> Floats:
    """Return columns with mean 0 and variance 1; a constant column becomes 0."""
    values: Floats = values_NK.astype(np.float32)
    values -= values.mean(axis=0)
    deviations_K = np.sqrt(np.einsum("nk,nk->k", values, values) / max(1, len(values)))
    values /= np.where(deviations_K > 0, deviations_K, np.inf)
    return values


def correlations(features_MF: Floats, units_MH: Floats) -> Floats:
    """Return the correlations of standardized columns, (F, H)."""
    r_FH: Floats = features_MF.T @ units_MH
    r_FH /= np.float32(max(1, len(units_MH)))
    return r_FH


def _is_odd(size: int) -> Mask:
    stretch = min(STRETCH, max(1, size // 8))
    mask_N: Mask = np.arange(size) // stretch % 2 == 0  # the first stretch is odd
    return mask_N


def _blocks(
    activations: Sequence[Activations],
) -> Iterator[tuple[Activations, int, npt.NDArray[np.float16]]]:
    """Yield some units of a part at a time: the part, the first unit, and their activations."""
    for part in activations:
        for first in range(0, part.values.shape[1], BLOCK):
            yield part, first, part.values[:, first : first + BLOCK]


def _is_likely(found: FoundUnit) -> bool:
    return abs(found.r_held_out) > LEAST and math.copysign(1, found.r) == math.copysign(
        1, found.r_held_out
    )


def _chances(activations: Sequence[Activations], values_NF: Floats, half_N: Mask) -> list[float]:
    """Return the highest correlation of any unit with each shifted feature."""
    chances_F = np.zeros(values_NF.shape[1])
    if not len(chances_F):
        return []
    for _, _, values_NH in _blocks(activations):
        units_MH = standardized(values_NH[half_N])
        for index, shifted_MS in enumerate(_shifted(values_NF, half_N)):
            highest = float(np.abs(correlations(shifted_MS, units_MH)).max())
            chances_F[index] = max(chances_F[index], highest)
    chances: list[float] = chances_F.tolist()
    return chances


def _shifted(values_NF: Floats, half_N: Mask) -> Iterator[Floats]:
    """Yield each feature at the places of `half_N`, shifted by an eighth of the text or more."""
    size = len(values_NF)
    shifts_S = np.linspace(size / 8, 7 * size / 8, SHIFTS).astype(np.intp)
    places_MS = (np.flatnonzero(half_N)[:, None] + shifts_S) % size
    for values_N in values_NF.T:
        yield standardized(values_N[places_MS])


def _memory(values_N: Floats) -> int:
    """Return the lag at which a standardized sequence's autocorrelation falls below 1 / e."""
    size = len(values_N)
    spectrum = np.fft.rfft(values_N, 2 * size)
    sums_N = np.fft.irfft(np.abs(spectrum) ** 2)[:size]
    r_N = sums_N / (size - np.arange(size))
    below_N = r_N < 1 / math.e
    return int(below_N.argmax()) if below_N.any() else size
