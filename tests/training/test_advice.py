"""Advice on a text."""

import math

from charrnn_cli.training.advice import advise_on_validation
from charrnn_cli.units import bits_per_character, nats_per_character


def test_small_validation_texts_are_noisy() -> None:
    """A validation text under 20,000 characters gets a warning; none does not."""
    assert advise_on_validation(19_999) is not None
    assert advise_on_validation(20_000) is None
    assert advise_on_validation(0) is None


def test_bits() -> None:
    """A loss of ln 2 nats is one bit."""
    assert bits_per_character(math.log(2)) == 1.0
    assert nats_per_character(1.0) == math.log(2)
