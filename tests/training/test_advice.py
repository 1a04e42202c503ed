"""Advice on sizes and losses."""

import math

import pytest

from charrnn_cli.training.advice import advise_on_losses, advise_on_size, advise_on_validation
from charrnn_cli.units import bits_per_character


@pytest.mark.parametrize(
    ("parameters", "characters", "kind"),
    [
        (99, 1000, "underfitting"),
        (100, 1000, "fine"),
        (10_000, 1000, "fine"),
        (10_001, 1000, "overfitting"),
    ],
)
def test_size_advice(parameters: int, characters: int, kind: str) -> None:
    """From a tenth to ten parameters per character, model and text match."""
    advice = advise_on_size(parameters, characters)
    assert advice.kind == kind
    assert f"{parameters:,} parameters" in advice.message


@pytest.mark.parametrize(
    ("train", "val", "kind"),
    [(1.0, 1.04, "underfitting"), (1.0, 1.15, "fine"), (1.0, 1.3, "overfitting")],
)
def test_loss_advice(train: float, val: float, kind: str) -> None:
    """The gap between the losses decides the verdict, which always names a change."""
    advice = advise_on_losses(train, val, dropout=0.25, size=512)
    assert advice.kind == kind
    assert advice.change


def test_the_gap_has_no_negative_zero() -> None:
    """A validation loss a little below the training loss is a gap of 0.00."""
    for gap, shown in ((0.0, "0.00"), (-0.001, "0.00"), (-0.00001, "0.00"), (-0.02, "-0.02")):
        message = advise_on_losses(1.0, 1.0 + gap, dropout=0.0, size=8).message
        assert f"gap {shown}: " in message


def test_what_to_change_next() -> None:
    """Overfitting asks for more dropout, then a smaller model; underfitting for the opposite."""
    assert advise_on_losses(1.0, 1.5, 0.25, 512).change == {"dropout": 0.45}
    assert advise_on_losses(1.0, 1.5, 0.7, 512).change == {"size": 256}
    assert advise_on_losses(1.0, 1.0, 0.0, 512).change == {"size": 1024}
    assert advise_on_losses(1.0, 1.0, 0.1, 512).change == {"dropout": 0.0}
    assert advise_on_losses(1.0, 1.1, 0.2, 512).change == {"size": 1024, "dropout": 0.3}


def test_small_validation_texts_are_noisy() -> None:
    """A validation text under 20,000 characters gets a warning; none does not."""
    assert advise_on_validation(19_999) is not None
    assert advise_on_validation(20_000) is None
    assert advise_on_validation(0) is None


def test_bits() -> None:
    """A loss of ln 2 nats is one bit."""
    assert bits_per_character(math.log(2)) == 1.0
