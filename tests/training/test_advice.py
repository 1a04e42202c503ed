"""The tips, executed."""

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
    """Between a tenth and ten parameters a character is the same order of magnitude."""
    advice = advise_on_size(parameters, characters)
    assert advice.kind == kind
    assert f"{parameters:,} parameters" in advice.message


@pytest.mark.parametrize(
    ("train", "val", "kind"),
    [(1.0, 1.04, "underfitting"), (1.0, 1.15, "fine"), (1.0, 1.3, "overfitting")],
)
def test_loss_advice(train: float, val: float, kind: str) -> None:
    advice = advise_on_losses(train, val, dropout=0.25, size=512)
    assert advice.kind == kind
    assert advice.change


def test_what_to_change_next() -> None:
    """More dropout against overfitting, up to a point; a larger model, or less dropout, against underfitting."""
    assert advise_on_losses(1.0, 1.5, 0.25, 512).change == {"dropout": 0.45}
    assert advise_on_losses(1.0, 1.5, 0.7, 512).change == {"size": 256}
    assert advise_on_losses(1.0, 1.0, 0.0, 512).change == {"size": 1024}
    assert advise_on_losses(1.0, 1.0, 0.1, 512).change == {"dropout": 0.0}
    assert advise_on_losses(1.0, 1.1, 0.2, 512).change == {"size": 1024, "dropout": 0.3}


def test_small_validation_texts_are_noisy() -> None:
    assert advise_on_validation(19_999) is not None
    assert advise_on_validation(20_000) is None
    assert advise_on_validation(0) is None


def test_bits() -> None:
    """ln 2 nats are one bit."""
    assert bits_per_character(math.log(2)) == 1.0
