"""Filters and draws, for one row and for several."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from charrnn_cli.config import SampleConfig
from charrnn_cli.model.filters import (
    FEW_ROWS,
    Logits,
    apply_temperature,
    draw,
    filter_logits,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    log_softmax,
    softmax,
)
from charrnn_cli.model.sampling import uniforms

if TYPE_CHECKING:
    from collections.abc import Callable

LOGITS = stn.arrays(np.float64, st.integers(1, 30), elements=st.floats(-30, 30))


def draw_one(logits_V: np.ndarray, uniform: float) -> int:
    return draw(logits_V[None], [uniform])[0]


def kept(logits_V: np.ndarray) -> list[int]:
    return np.flatnonzero(logits_V > -np.inf).tolist()


def top_k_ids(logits_V: np.ndarray, k: int) -> list[int]:
    """Return the ids of the kept logits, after a check that these are the logits of the ids."""
    kept_K, ids_K = keep_top_k(logits_V, k)
    ids = list(range(len(logits_V))) if ids_K is None else ids_K.tolist()
    assert np.array_equal(kept_K, logits_V[ids], equal_nan=True)
    return ids


@given(LOGITS, st.integers(1, 40))
def test_top_k_keeps_exactly_k(logits_V: np.ndarray, k: int) -> None:
    """Exactly k logits stay, ties or not, and none that was removed is larger than one of them."""
    ids = top_k_ids(logits_V, k)
    assert len(ids) == min(k, len(logits_V))
    rest = np.delete(logits_V, ids)
    assert not len(rest) or rest.max() <= logits_V[ids].min()


@given(
    stn.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(2, 9)),
        elements=st.sampled_from([-np.inf, -1, 0, 1, np.inf, np.nan]),
    ),
    st.integers(1, 9),
)
def test_top_k_never_hides_an_overflow(logits_RV: np.ndarray, k: int) -> None:
    """A row with NaN keeps one, whatever is equal or infinite beside it and in other rows."""
    kept_RK, ids_RK = keep_top_k(logits_RV, k)
    assert kept_RK.shape == (len(logits_RV), min(k, logits_RV.shape[1]))
    assert (np.isnan(kept_RK).any(axis=-1) == np.isnan(logits_RV).any(axis=-1)).all()
    if ids_RK is not None:
        expected_RK = np.take_along_axis(logits_RV, ids_RK, axis=-1)
        assert np.array_equal(kept_RK, expected_RK, equal_nan=True)


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits_V: np.ndarray, p: float) -> None:
    """The kept probabilities sum to p or more, and to less without the smallest of them."""
    filtered = kept(keep_top_p(logits_V, p))
    probabilities = softmax(logits_V)
    assert probabilities[filtered].sum() >= p - 1e-9
    assert probabilities[filtered].sum() - probabilities[filtered].min() <= p + 1e-9


@given(LOGITS, st.floats(0.01, 1))
def test_min_p_keeps_what_is_likely_enough(logits_V: np.ndarray, p: float) -> None:
    """A character stays if its probability is p times the largest or more."""
    probabilities = softmax(logits_V)
    clear = np.abs(probabilities / probabilities.max() - p) > 1e-9
    expected = probabilities >= p * probabilities.max()
    assert ((keep_min_p(logits_V, p) > -np.inf) == expected)[clear].all()


def test_a_tiny_temperature_is_greedy_and_finite() -> None:
    """A temperature close to 0 does not overflow, and draws the likeliest character."""
    for logits in ([1.0, 3.0, 2.0], [-700.0, -1.0, -1e9]):
        scaled = apply_temperature(np.array(logits), 1e-320)
        assert not np.isnan(scaled).any()
        assert scaled.max() == 0
        assert softmax(scaled).tolist() == [0, 1, 0]
        assert draw_one(scaled, 0.999) == 1


def test_the_order_of_filters() -> None:
    """Temperature comes first, so it changes what top-p keeps."""
    logits = np.array([2.0, 1.0, 0.0])
    for temperature, expected in ((0.1, [0]), (10, [0, 1, 2])):
        config = SampleConfig(temperature=temperature, top_k=0, top_p=0.9)
        assert kept(filter_logits(logits, config)[0]) == expected


@given(LOGITS, st.integers(1, 30), st.floats(0.1, 1))
def test_later_filters_see_what_top_k_kept(logits_V: np.ndarray, k: int, p: float) -> None:
    """Min-p after top-k masks what it would if the other characters were impossible."""
    masked_V = np.full_like(logits_V, -np.inf)
    masked_V[top_k_ids(logits_V, k)] = logits_V[top_k_ids(logits_V, k)]
    without_top_k = SampleConfig(top_k=0, min_p=p)
    expected_V = filter_logits(masked_V, without_top_k)[0]
    kept_K, ids_K = filter_logits(logits_V, replace(without_top_k, top_k=k))
    ids = np.arange(len(logits_V)) if ids_K is None else ids_K
    assert ids[kept(kept_K)].tolist() == kept(expected_V)


@given(LOGITS, st.floats(0, 1, exclude_max=True))
def test_only_what_was_kept_is_drawn(logits_V: np.ndarray, uniform: float) -> None:
    """A character that was filtered out is never drawn."""
    kept_RK, ids_RK = keep_top_k(logits_V[None], 3)
    chosen = draw(kept_RK.astype(np.float64), [uniform], ids_RK)[0]
    assert chosen in top_k_ids(logits_V, 3)
    filtered = keep_min_p(logits_V, 0.5)
    assert draw_one(filtered, uniform) in kept(filtered)


def test_draws_are_the_inverse_of_the_cumulative_distribution() -> None:
    """A number just below a cumulative probability draws that character, one above it the next."""
    logits = np.log(np.array([0.25, 0.5, 0.25]))
    assert [
        draw_one(logits, uniform) for uniform in (0, 0.2499, 0.2501, 0.7499, 0.7501, 1 - 2**-53)
    ] == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]


def test_probabilities_sum_to_one() -> None:
    """Large logits do not overflow."""
    assert math.fsum(softmax(np.array([1000.0, 1000.0, -1000.0]))) == pytest.approx(1)


@given(
    stn.arrays(
        np.float64, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.integers(-3, 3)
    )
)
def test_rows_are_filtered_each_for_itself(logits_RV: np.ndarray) -> None:
    """Every function treats each row alone; logits are integers, so that many are equal."""
    functions: list[Callable[[Logits], Logits]] = [
        lambda logits: np.array(keep_top_k(logits, 3)[0]),
        lambda logits: np.array(keep_top_k(logits, 3)[1]),
        lambda logits: keep_top_p(logits, 0.7),
        lambda logits: keep_min_p(logits, 0.3),
        lambda logits: apply_temperature(logits, 0.5),
        lambda logits: np.array(filter_logits(logits, SampleConfig(temperature=0))[1]),
        log_softmax,
    ]
    for function in functions:
        assert (function(logits_RV) == [function(row_V) for row_V in logits_RV]).all()


@given(LOGITS)
def test_ties_are_kept_by_their_ids(logits_V: np.ndarray) -> None:
    """Of equal logits, those with lower ids stay."""
    rounded = np.round(logits_V / 10)
    expected = np.sort(np.argsort(-rounded, kind="stable")[:4])
    assert top_k_ids(rounded, 4) == expected.tolist()
    assert top_k_ids(rounded, 1) == [np.argsort(-rounded, kind="stable")[0]]


def test_log_softmax_is_the_logarithm() -> None:
    """`log_softmax` equals the logarithm of `softmax`, also where that underflows."""
    logits = np.array([[1000.0, 1000.0, -1000.0], [0.0, 1.0, 2.0]])
    with np.errstate(divide="ignore"):
        assert log_softmax(logits)[1] == pytest.approx(np.log(softmax(logits))[1])
    assert log_softmax(logits)[0, 2] == pytest.approx(-2000 - math.log(2))


CRITICAL = 45.0  # chi-square with 9 degrees of freedom: correct code exceeds it once in 1e6 runs


def chi_square(settings: dict[str, float], expected_V: np.ndarray, draws: int = 200_000) -> float:
    """Compare the frequencies of draws from LIKELY; infinite if an impossible one was drawn."""
    config = SampleConfig.from_json({"top_k": 0, **settings})
    logits_RV = np.repeat(np.log(LIKELY)[None], 1000, axis=0)
    filtered_RK, ids_RK = filter_logits(logits_RV, config)
    stream = uniforms(7)
    counts_V = np.zeros(len(LIKELY))
    for _ in range(draws // 1000):
        chosen = draw(filtered_RK, [next(stream) for _ in range(1000)], ids_RK)
        counts_V += np.bincount(chosen, minlength=len(LIKELY))
    possible = expected_V > 0
    if counts_V[~possible].any():
        return math.inf
    mean_V = draws * expected_V[possible] / expected_V.sum()
    return float(((counts_V[possible] - mean_V) ** 2 / mean_V).sum())


LIKELY = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.07, 0.05, 0.03, 0.015, 0.005])


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({}, LIKELY),
        ({"temperature": 0.5}, LIKELY**2),
        ({"temperature": 2.0}, LIKELY**0.5),
        ({"top_k": 3}, LIKELY * (LIKELY >= 0.15)),
        ({"top_p": 0.7}, LIKELY * (LIKELY >= 0.1)),
        ({"min_p": 0.2}, LIKELY * (LIKELY >= 0.06)),
        (
            {"temperature": 2.0, "top_k": 6, "top_p": 0.8, "min_p": 0.6},
            LIKELY**0.5 * (LIKELY >= 0.15),
        ),
        ({"temperature": 0}, LIKELY * (LIKELY == 0.3)),
    ],
)
def test_frequencies_are_the_probabilities(settings: dict[str, float], weights: np.ndarray) -> None:
    """200,000 draws per filter fit its distribution by chi-square, and no other filter's."""
    assert chi_square(settings, weights) < CRITICAL
    if settings:
        assert chi_square({}, weights) > CRITICAL


@given(rows=st.integers(FEW_ROWS + 1, 40), size=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_many_rows_are_drawn_as_each_alone(rows: int, size: int, seed: int) -> None:
    """Many rows get the same characters as single ones, also at the bounds of probabilities."""
    generator = np.random.Generator(np.random.PCG64(seed))
    logits_RK = generator.integers(-2, 2, (rows, size)).astype(np.float64)
    logits_RK[generator.random((rows, size)) < 0.2] = -np.inf
    logits_RK[:, generator.integers(size)] = 0.0
    uniforms = (generator.integers(0, 8, rows) / 8).tolist()
    ids_RK = np.sort(generator.integers(0, 99, (rows, size)), axis=1)
    for ids in (None, ids_RK):
        alone = [
            draw(logits_RK[row : row + 1], [uniform], None if ids is None else ids[row : row + 1])
            for row, uniform in enumerate(uniforms)
        ]
        assert draw(logits_RK, uniforms, ids) == [each for (each,) in alone]
