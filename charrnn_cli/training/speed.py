"""Noticing that a run has become much slower than it was."""

from dataclasses import dataclass

WINDOW = 30.0  # seconds of training: shorter slumps pass by themselves
SLUMP = 0.5  # of the highest speed so far


@dataclass(slots=True)
class SpeedWatch:
    """The speed of training in stretches of half a minute, without evaluations and saves."""

    best: float = 0.0
    """Highest speed since the last slump, characters per second."""
    _seconds: float = 0.0
    _characters: int = 0

    def add(self, seconds: float, characters: int) -> float | None:
        """Count a step; return the speed of a stretch that is half as fast as an earlier one.

        The next slump is measured against that speed.
        """
        self._seconds += seconds
        self._characters += characters
        if self._seconds < WINDOW:
            return None
        speed = self._characters / self._seconds
        self._seconds, self._characters = 0.0, 0
        if speed < SLUMP * self.best:
            self.best = speed
            return speed
        self.best = max(self.best, speed)
        return None
