"""The CPU cores that this process may use."""

import os


def available_cores() -> int:
    """Return the number of cores, without those that the system withholds from this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
