"""Which model is the best choice for an amount of work."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.training.candidates import (
    CANDIDATES,
    FEWEST_STEPS,
    TEXT_SIZES,
    affordable,
    leaves_model_open,
    training_operations,
)

MODEL = ModelConfig(vocabulary_size=83, ngram=9)
POSITIONS = 32 * 64


def test_candidates_ascend() -> None:
    """They are in the order of their size, and each needs more work than the one before."""
    for smaller, larger in itertools.pairwise(CANDIDATES):
        assert smaller.layers * smaller.size < larger.layers * larger.size
        pairs = zip(smaller.least_operations, larger.least_operations, strict=True)
        assert all(less < more for less, more in pairs)
    assert not any(CANDIDATES[0].least_operations)


@given(st.integers(1, 10**9))
def test_the_table_is_interpolated(characters: int) -> None:
    """Between measured sizes of text, the least work lies between theirs."""
    for each in CANDIDATES[1:]:
        least = each.least(characters)
        assert min(each.least_operations) <= least * (1 + 1e-9)
        assert least <= max(each.least_operations) * (1 + 1e-9)
        for size, measured in zip(TEXT_SIZES, each.least_operations, strict=True):
            assert each.least(int(size)) == pytest.approx(measured)


@given(st.floats(1e9, 1e18), st.floats(1.0, 100.0), st.integers(1_000, 10**8))
def test_more_work_never_means_a_smaller_model(
    operations: float, factor: float, characters: int
) -> None:
    """The choice grows with the work, and does not do fewer than 100 steps where it could."""
    best, steps = affordable(operations, MODEL, POSITIONS, characters)
    more, _ = affordable(factor * operations, MODEL, POSITIONS, characters)
    assert CANDIDATES.index(more) >= CANDIDATES.index(best)
    assert steps >= FEWEST_STEPS or best == CANDIDATES[0]


def test_operations_of_a_step() -> None:
    """Six for each weight of a matrix and each position: two forward, four going back."""
    one_hot = ModelConfig(vocabulary_size=10, layers=1, size=8, embed=0)
    assert training_operations(one_hot, 1) == 6 * (4 * 8 * 8 + 10 * 8)
    both = ModelConfig(vocabulary_size=10, layers=2, size=8, embed=6, ngram=3)
    products = 4 * 8 * (6 + 8) + 4 * 8 * (8 + 8) + 10 * 8 + 10 * (10 + 6)
    assert training_operations(both, 100) == 600 * products


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_time": 60.0, "lr": 0.1, "batch_size": 8, "dropout": 0.5}, True),
        ({"layers": 2}, False),
        ({"size": 512}, False),
        ({"embed": 64}, False),
        ({"cell": "gru"}, False),
    ],
    ids=str,
)
def test_what_leaves_the_model_open(settings: dict[str, object], expected: bool) -> None:
    """Every setting of the architecture chooses the model."""
    assert leaves_model_open(settings) == expected
