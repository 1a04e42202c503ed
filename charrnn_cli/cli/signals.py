"""Signals: the first requests a stop and is acknowledged at once; the second exits."""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from charrnn_cli.cli.terminal import console
from charrnn_cli.errors import InterruptionError
from charrnn_cli.storage.temporary import discard_temporaries

# Seconds within which signals count as one request: timeout(1) signals a process and then its
# group, so one request arrives twice.
ONE_REQUEST = 0.3

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def _say_stopping() -> None:
    console.say("", "stopping")


class StopRequest:
    """Whether a signal has requested a stop; call the object to find out.

    A thread listens, so that a long computation does not delay the acknowledgment.
    """

    def __init__(self, acknowledge: Callable[[], None] = _say_stopping) -> None:
        self._acknowledge = acknowledge
        self.signum: int | None = None

    def __call__(self) -> bool:
        return self.signum is not None

    def check(self) -> None:
        """Raise InterruptionError after a signal; for work that has nothing to save."""
        if self.signum is not None:
            raise InterruptionError("interrupted", signum=self.signum)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals within the block; one that is ignored, as under nohup, stays ignored."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        taken = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, lambda *_: None) for number in taken}
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._listen, args=(reader, set(taken)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in previous.items():
                # After a stop, everything is saved, so a late signal must not change the exit code.
                signal.signal(number, signal.SIG_IGN if self.signum is not None else handler)
            os.close(writer)
            thread.join()
            os.close(reader)

    def _listen(self, reader: int, numbers: set[int]) -> None:
        asked = -math.inf
        while received := os.read(reader, 64):
            for number in received:
                if number not in numbers:
                    continue
                if self.signum is None:
                    self.signum, asked = number, time.monotonic()
                    self._acknowledge()
                elif time.monotonic() - asked > ONE_REQUEST:
                    discard_temporaries()
                    os._exit(128 + number)
