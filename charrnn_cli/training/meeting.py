"""How the processes of a launch find each other in a store that may hold older messages.

A launcher that restarts its processes gives them the store of those that have ended.
"""

import json
import os
import time
from typing import Any

from charrnn_cli.training.launch import Launch

POLL = 0.02  # seconds

_WELCOME = "welcome"


def meet(store: Any, launch: Launch) -> str:  # Any: the stores of torch have no types
    """Wait for all processes, and return a name that only these have agreed on.

    Each leaves a random word. The first process proposes a name together with the words that it
    has read; a process whose own word is among them accepts it; the name holds once all have.
    Raises TimeoutError.
    """
    word, until = os.urandom(8).hex(), time.monotonic() + launch.timeout
    proposed: list[str] = []
    while time.monotonic() < until:
        if launch.is_first:
            words = _words(store, launch.size)
            if len(words) == launch.size - 1 and words != proposed[1:]:
                proposed = [os.urandom(8).hex(), *words]
                store.set(_WELCOME, json.dumps(proposed))
            if proposed and store.add(f"accepted/{proposed[0]}", 0) == launch.size - 1:
                store.set(f"agreed/{proposed[0]}", "")
                return proposed[0]
        else:
            store.set(f"word/{launch.rank}", word)
            if store.check([_WELCOME]):
                before, proposed = proposed, json.loads(store.get(_WELCOME))
                if word in proposed[1:]:
                    if proposed != before:
                        store.add(f"accepted/{proposed[0]}", 1)
                    if store.check([f"agreed/{proposed[0]}"]):
                        return proposed[0]
        time.sleep(POLL)
    raise TimeoutError


def _words(store: Any, size: int) -> list[str]:
    """Return the words of the other processes that have left one, or of earlier ones."""
    keys = [f"word/{rank}" for rank in range(1, size)]
    return [store.get(key).decode() for key in keys if store.check([key])]
