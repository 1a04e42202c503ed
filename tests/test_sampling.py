"""Drawing characters: exact filters, honest frequencies."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import ConfigError, UnknownCharacterError
from charrnn_cli.sampling import (
    apply_temperature,
    draw,
    filter_logits,
    generate,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    softmax,
    uniforms,
)
from tests.conftest import make_checkpoint

LOGITS = stn.arrays(np.float64, st.integers(1, 30), elements=st.floats(-30, 30))


def kept(logits_V: np.ndarray) -> list[int]:
    return np.flatnonzero(logits_V > -np.inf).tolist()


@given(LOGITS, st.integers(1, 40))
def test_top_k_keeps_exactly_k(logits_V: np.ndarray, k: int) -> None:
    """Also when values tie, and all when k is larger; none of the rest is larger than one that stays."""
    filtered = keep_top_k(logits_V, k)
    assert len(kept(filtered)) == min(k, len(logits_V))
    rest = np.delete(logits_V, kept(filtered))
    assert not len(rest) or rest.max() <= logits_V[kept(filtered)].min()


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits_V: np.ndarray, p: float) -> None:
    filtered = kept(keep_top_p(logits_V, p))
    probabilities = softmax(logits_V)
    assert probabilities[filtered].sum() >= p - 1e-9
    assert probabilities[filtered].sum() - probabilities[filtered].min() <= p + 1e-9


@given(LOGITS, st.floats(0.01, 1))
def test_min_p_keeps_what_is_likely_enough(logits_V: np.ndarray, p: float) -> None:
    probabilities = softmax(logits_V)
    clear = np.abs(probabilities / probabilities.max() - p) > 1e-9
    expected = probabilities >= p * probabilities.max()
    assert ((keep_min_p(logits_V, p) > -np.inf) == expected)[clear].all()


def test_a_tiny_temperature_is_greedy_and_finite() -> None:
    """No temperature above 0 overflows."""
    scaled = apply_temperature(np.array([1.0, 3.0, 2.0]), 1e-320)
    assert draw(scaled, 0.999) == 1


def test_the_order_of_filters() -> None:
    """Temperature comes first: it changes what top-p keeps."""
    logits = np.array([2.0, 1.0, 0.0])
    assert kept(filter_logits(logits, SampleConfig(temperature=0.1, top_k=0, top_p=0.9))) == [0]
    assert kept(filter_logits(logits, SampleConfig(temperature=10, top_k=0, top_p=0.9))) == [0, 1, 2]


@given(LOGITS, st.floats(0, 1, exclude_max=True))
def test_only_what_was_kept_is_drawn(logits_V: np.ndarray, uniform: float) -> None:
    filtered = keep_top_k(logits_V, 3)
    assert draw(filtered, uniform) in kept(filtered)


def test_draws_are_the_inverse_of_the_cumulative_distribution() -> None:
    logits = np.log(np.array([0.25, 0.5, 0.25]))
    assert [draw(logits, uniform) for uniform in (0, 0.2499, 0.2501, 0.7499, 0.7501, 1 - 2**-53)] == [0, 0, 1, 1, 2, 2]


def test_uniforms_are_pcg64s() -> None:
    """The raw stream is guaranteed for ever; these are its first numbers."""
    stream = uniforms(42)
    expected = np.random.Generator(np.random.PCG64(42)).random(3).tolist()
    assert [next(stream) for _ in range(3)] == expected


def test_greedy_is_top_1() -> None:
    """Temperature 0 and top-k 1 choose the same characters."""
    checkpoint = make_checkpoint()
    cold = "".join(generate(checkpoint, "a", length=60, temperature=0))
    assert cold == "".join(generate(checkpoint, "a", length=60, top_k=1))


def test_the_seed_decides() -> None:
    checkpoint = make_checkpoint(scale=0.1)
    texts = ["".join(generate(checkpoint, "a", length=200, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert [len(text) for text in texts] == [200] * 3


def test_generate_checks_before_it_draws() -> None:
    """An unknown character and mixed settings are errors at the call, not at the first character."""
    checkpoint = make_checkpoint()
    with pytest.raises(UnknownCharacterError):
        generate(checkpoint, "Ω")
    with pytest.raises(ConfigError):
        generate(checkpoint, "a", SampleConfig(), length=3)


def test_the_default_prime() -> None:
    """A newline where it is known, else the text's commonest character."""
    assert make_checkpoint().default_prime == "\n"
    assert make_checkpoint(characters="ab cdefgh").default_prime == " "


def test_probabilities_sum_to_one() -> None:
    assert math.fsum(softmax(np.array([1000.0, 1000.0, -1000.0]))) == pytest.approx(1)
