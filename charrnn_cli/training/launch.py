"""What a launcher such as torchrun says about this process, in environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from charrnn_cli.errors import ConfigError

TIMEOUT_VARIABLE = "CHARRNN_PROCESS_TIMEOUT"
TIMEOUT = 120.0  # seconds in which another process has to answer


@dataclass(frozen=True, slots=True)
class Launch:
    """The place of this process among those that train one run."""

    rank: int
    """The number of this process, from 0."""
    size: int
    """The number of processes on all machines, at least 2."""
    local_rank: int
    """The number of this process on its machine, from 0."""
    local_size: int
    """The number of processes on this machine."""
    timeout: float = TIMEOUT
    """Seconds in which another process has to answer."""

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and shows."""
        return self.rank == 0

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Return what the environment says; None if this process trains alone.

        Raises ConfigError for variables that are absent or do not go together.
        """
        if not {"RANK", "WORLD_SIZE"} <= environment.keys():
            return None
        size = _number(environment, "WORLD_SIZE", 1, None)
        if size == 1:
            return None
        rank = _number(environment, "RANK", 0, size - 1)
        local_size = _number(environment, "LOCAL_WORLD_SIZE", 1, size, default=size)
        local_rank = _number(
            environment, "LOCAL_RANK", 0, local_size - 1, default=rank % local_size
        )
        for name in ("MASTER_ADDR", "MASTER_PORT"):
            if not environment.get(name):
                raise ConfigError(
                    f"WORLD_SIZE is {size}, but {name} is not set",
                    hint="start several processes with torchrun, or unset WORLD_SIZE",
                )
        _number(environment, "MASTER_PORT", 0, 65535)
        timeout = _number(environment, TIMEOUT_VARIABLE, 1, None, default=round(TIMEOUT))
        return cls(rank, size, local_rank, local_size, float(timeout))


def _number(
    environment: Mapping[str, str],
    name: str,
    least: int,
    most: int | None,
    *,
    default: int | None = None,
) -> int:
    """Return the number in a variable. Raises ConfigError if it is none, or out of range."""
    text = environment.get(name)
    if text is None and default is not None:
        return default
    value = int(text) if text is not None and text.isdecimal() and len(text) < 10 else -1
    if value < least or (most is not None and value > most):
        allowed = f"from {least} to {most}" if most is not None else f"at least {least}"
        raise ConfigError(
            f"the environment variable {name} must be a number {allowed}; got {text!r}",
            hint="start several processes with torchrun, or unset WORLD_SIZE",
        )
    return value
