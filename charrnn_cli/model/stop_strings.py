"""Finding stop strings in a text that arrives character by character (Aho and Corasick 1975).

The work per character does not grow with the number or the length of the stop strings.
"""

from collections import deque
from collections.abc import Iterable


class StopStrings:
    """The beginnings of stop strings as numbered states; 0 is the empty one."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._next: dict[tuple[int, str], int] = {}
        self.lengths = [0]
        """Characters of each state."""
        self._fallback = [0]  # the longest other state that a state ends with
        self.found = [0]
        """Length of the longest stop string that each state ends with; 0 if there is none."""
        children: list[list[tuple[str, int]]] = [[]]
        for stop in stops:
            state = 0
            for character in stop:
                child = self._next.get((state, character))
                if child is None:
                    child = self._next[state, character] = len(self.lengths)
                    self.lengths.append(self.lengths[state] + 1)
                    self._fallback.append(0)
                    self.found.append(0)
                    children.append([])
                    children[state].append((character, child))
                state = child
            self.found[state] = self.lengths[state]
        waiting = deque([0])
        while waiting:  # shorter states first
            state = waiting.popleft()
            for character, child in children[state]:
                if state:
                    self._fallback[child] = self.after(self._fallback[state], character)
                self.found[child] = self.found[child] or self.found[self._fallback[child]]
                waiting.append(child)

    def after(self, state: int, character: str) -> int:
        """Return the longest state that a text ends with, from that before its last character."""
        while (found := self._next.get((state, character))) is None and state:
            state = self._fallback[state]
        return found or 0


class StopMatcher:
    """Passes on a text up to its first stop string; holds back only a possible start of one."""

    def __init__(self, stops: StopStrings) -> None:
        self._stops = stops
        self._state = 0
        self._held: deque[str] = deque()
        self.stopped = False

    def push(self, character: str) -> str:
        """Take a character; return the text that is now known to precede any stop string."""
        if self.stopped:
            return ""
        self._state = self._stops.after(self._state, character)
        stop = self._stops.found[self._state]  # if two end here, the longer one started first
        kept = stop or self._stops.lengths[self._state]
        if not (kept or self._held):
            return character
        self._held.append(character)
        released = "".join(self._held.popleft() for _ in range(len(self._held) - kept))
        if stop:
            self.stopped = True
            self._held.clear()
        return released

    def rest(self) -> str:
        """End the text; return the characters held back."""
        held = "".join(self._held)
        self._held.clear()
        return held
