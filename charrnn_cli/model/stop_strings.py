"""Finding stop strings in a text that arrives character by character."""

from collections.abc import Iterable


class StopMatcher:
    """Passes on a text up to its first stop string; holds back only a possible start of one."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = sorted({stop for stop in stops if stop}, key=len, reverse=True)
        self._longest = len(self._stops[0]) if self._stops else 0
        self._held = ""
        self.stopped = False

    def push(self, character: str) -> str:
        """Take a character; return the text that is now known to precede any stop string."""
        if self.stopped or not self._stops:
            return "" if self.stopped else character
        held = self._held + character
        for stop in self._stops:  # if two end here, the longer one started first
            if held.endswith(stop):
                self.stopped, self._held = True, ""
                return held[: -len(stop)]
        kept = next(
            (
                length
                for length in range(min(len(held), self._longest - 1), 0, -1)
                if any(stop.startswith(held[-length:]) for stop in self._stops)
            ),
            0,
        )
        released, self._held = held[: len(held) - kept], held[len(held) - kept :]
        return released

    def rest(self) -> str:
        """End the text; return the characters held back."""
        held, self._held = self._held, ""
        return held
