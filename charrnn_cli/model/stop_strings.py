"""Stop strings: where a text that arrives character by character ends."""

from collections.abc import Iterable


class StopMatcher:
    """Lets a text pass up to the first stop string, which itself does not; holds back only what may begin one."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = sorted({stop for stop in stops if stop}, key=len, reverse=True)
        self._longest = len(self._stops[0]) if self._stops else 0
        self._held = ""
        self.stopped = False

    def push(self, character: str) -> str:
        """What is certain to stand before any stop string, now that this character came; nothing once stopped."""
        if self.stopped or not self._stops:
            return "" if self.stopped else character
        held = self._held + character
        for stop in self._stops:  # of two that end here the longer began first
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
        """What was held back and, the text being over, begins no stop string."""
        held, self._held = self._held, ""
        return held
