"""Announcements of the parts of a run's preparation that take seconds."""

from collections.abc import Callable

Announce = Callable[[str, float], None]
"""Called before a part with its name, such as "counting n-grams", and the seconds it may take."""


def not_announced(name: str, seconds: float) -> None:
    """Announce nothing."""
