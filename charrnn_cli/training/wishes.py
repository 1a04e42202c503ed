"""What the processes of a training agree on in each step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a process wants to do after the present step, or what all have agreed on."""

    stop: bool = False
    """A signal has arrived."""
    late: bool = False
    """One more step would leave too little time to finish."""
    save: bool = False
    """The resume file is old."""
    replan: bool = False
    """The plan has to be fitted to a slower machine."""


def no_wishes() -> Wishes:
    return Wishes()
