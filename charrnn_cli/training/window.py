"""The inputs and targets of one step, and whatever provides them for every step."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

# B batch rows · T time


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a batch's rows that one of several processes trains; by default, all."""

    rank: int = 0
    """The number of the process."""
    size: int = 1
    """The number of processes."""

    def of(self, num_rows: int) -> slice:
        """Return the rows of this process among those of a step; none if they are too few."""
        return slice(num_rows * self.rank // self.size, num_rows * (self.rank + 1) // self.size)

    def count(self, num_rows: int) -> int:
        """Return how many of the rows of a step this process has."""
        return num_rows * (self.rank + 1) // self.size - num_rows * self.rank // self.size


WHOLE = Share()


@dataclass(frozen=True, slots=True)
class Window:
    """The inputs and targets of one step."""

    inputs: npt.NDArray[np.int64]
    """Ids, (T, B)."""
    targets: npt.NDArray[np.int64]
    """The character after each input, (T, B); IGNORED after the end of a document."""
    reset_rows: npt.NDArray[np.bool_]
    """Mask (B,) of rows whose state is reset before this window."""
    count: int
    """Targets of the step that are not IGNORED, those of other processes included."""


class Windows(Protocol):
    """The window of each step, which depends only on the step."""

    per_epoch: int
    """Windows in one pass over the text."""
    seq_len: int
    """Characters per row of a window; the last window of a row may have fewer."""

    def at(self, step: int, share: Share = WHOLE) -> Window:
        """Return the rows of a share in the window of a step, counted from 0 over all epochs."""

    def positions(self, step: int, share: Share = WHOLE) -> npt.NDArray[np.int64]:
        """Return where each target of a step is in the text, (T, B); -1 if it is IGNORED."""

    def reset_rows(self, step: int) -> npt.NDArray[np.bool_]:
        """Return the mask (B,) of rows that start from the zero state."""

    def num_rows(self, step: int) -> int:
        """Return the number of rows of a step, B."""
