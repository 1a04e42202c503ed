"""Advice on sizes and losses."""

import math

import pytest

from charrnn_cli.training.advice import advise_on_losses, advise_on_size, advise_on_validation
from charrnn_cli.units import bits_per_character


@pytest.mark.parametrize(
    ("parameters", "characters", "verdict"),
    [
        (99, 1000, "small for this text; "),
        (100, 1000, "a good match"),
        (10_000, 1000, "a good match"),
        (10_001, 1000, "large for this text; "),
    ],
)
def test_size_advice(parameters: int, characters: int, verdict: str) -> None:
    """From a tenth to ten parameters per character, model and text match."""
    figures, _, rest = advise_on_size(parameters, characters).message.partition("): ")
    assert figures.startswith(f"{parameters:,} parameters for {characters:,} characters (")
    assert rest.startswith(verdict)


@pytest.mark.parametrize(
    ("train", "val", "verdict"),
    [
        (1.0, 1.04, "gap 0.04: no overfitting; "),
        (1.0, 1.15, "gap 0.15: healthy; "),
        (1.0, 1.3, "gap 0.30: the model memorizes"),
    ],
)
def test_loss_advice(train: float, val: float, verdict: str) -> None:
    """The gap between the losses decides the verdict, which always names a change."""
    advice = advise_on_losses(train, val, dropout=0.25, size=512)
    assert advice.message.startswith(f"train {train:.3f}, val {val:.3f}, {verdict}")
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
