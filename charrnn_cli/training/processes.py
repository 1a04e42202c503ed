"""The processes that train a run together; here, a single one, which needs nobody's answer."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from charrnn_cli.training.cores import available_cores
from charrnn_cli.training.network import RecurrentState
from charrnn_cli.training.window import WHOLE, Share
from charrnn_cli.training.wishes import Wishes, no_wishes

# B batch rows


class Processes:
    """One process: all rows are its own, and its sums are the sums.

    With another `share`, it computes its part of each batch as one of several processes does, but
    adds up nothing; for timing.
    """

    def __init__(self, share: Share = WHOLE, local_size: int = 1) -> None:
        self.share, self.local_size = share, local_size
        self.ask: Callable[[], Wishes] = no_wishes
        """What this process wants; called once per step."""
        self.agreed = Wishes()
        """What any process wanted in the last step."""

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to agree with."""
        return True

    @property
    def is_first(self) -> bool:
        """Whether this process writes and shows."""
        return self.share.rank == 0

    @property
    def threads(self) -> int:
        """The cores for each of the processes of this machine."""
        return max(1, available_cores() // self.local_size)

    def device(self, name: str) -> torch.device:
        """Return the device of this process, given the name of the first one's."""
        return torch.device(name)

    def add_up(
        self, loss: Tensor, gradients: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the sums over all processes, each of which computed its rows."""
        return loss, gradients

    def total(self, *numbers: float) -> Sequence[float]:
        """Return the sum of each number over all processes."""
        return numbers

    def all_rows(self, state: RecurrentState, num_rows: int) -> RecurrentState:
        """Return the recurrent state of all B rows of a step, of which each process has some."""
        return state

    def time_sum(self, parameters: int, device: torch.device) -> float:
        """Return how many seconds it takes to add up the gradients of a number of parameters.

        All processes call it at the same time.
        """
        return 0.0

    def wait_for_all(self) -> None:
        """Wait, however long, until all processes are ready for the first step."""

    def wait_for_first(self) -> None:
        """Wait, however long, until the first process has done what it alone does."""


def own_rows(state: RecurrentState, share: Share) -> RecurrentState:
    """Return the rows of a share from the recurrent state of all rows."""
    if share == WHOLE:
        return state
    return [tuple(tensor[:, share.of(tensor.shape[1])] for tensor in layer) for layer in state]
