"""The options of a report. Imports no numpy, whose threads a command sets first."""

from dataclasses import dataclass

LENGTH = 200  # characters: a sixth of a second of a model of 2x512
SEED = 1  # fixed, so that the same runs have the same page


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportOptions:
    """What can be chosen of a report."""

    prime: str | None = None
    """None for the default prime of each model."""
    seed: int = SEED
    length: int | None = None
    """Characters of a sample; None for 200 or, of an item, four times the longest of the list."""
