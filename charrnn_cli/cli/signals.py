"""Signals: the first requests a stop and is acknowledged at once; the second exits."""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.error_output import print_stop
from charrnn_cli.cli.terminal.outlet import hurry
from charrnn_cli.errors import InterruptionError
from charrnn_cli.storage.temporary import discard_temporaries

# Seconds within which signals count as one request: timeout(1) signals a process and then its
# group, so one request arrives twice.
ONE_REQUEST = 0.3

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
]
# Above its limit of CPU time, a process gets this signal every second until it has ended.
_REPEATED = getattr(signal, "SIGXCPU", None)


def _taken() -> list[int]:
    """Return the signals to handle; one that is ignored, as under nohup, stays ignored."""
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def is_second(number: int, asked: float) -> bool:
    """Whether a signal is a new request, after the one at `asked`, and not a repetition."""
    return number != _REPEATED and time.monotonic() - asked > ONE_REQUEST


def _exit_at_once(number: int) -> None:
    console.show_cursor()
    discard_temporaries()
    os._exit(128 + number)


@contextlib.contextmanager
def exiting_on_signals() -> Iterator[None]:
    """Run a whole program, which a signal ends by an exception, so that nothing unfinished stays.

    A second signal exits at once. Once the block has ended, signals no longer change the exit code.
    """
    taken, exiting = _taken(), _Exiting()
    for number in taken:
        signal.signal(number, exiting.handle)
    code = 1
    try:
        yield
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else code
        raise
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_IGN)
        if exiting.signum is not None:
            code = 128 + exiting.signum
            console.end_echo(exiting.signum)
            print_stop(f"stopped by {signal.Signals(exiting.signum).name}", None, code)
        if exiting.signum is not None or console.is_busy():
            discard_temporaries()  # those whose removal a signal interrupted
            os._exit(code)  # flushing a blocked stream would wait


class _Exiting:
    """The handler of signals outside `StopRequest.listening`."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._asked = -math.inf

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise SystemExit at the first signal, which no `except Exception` catches."""
        if self.signum is None:
            self.signum, self._asked = number, time.monotonic()
            hurry(number)
            raise SystemExit(128 + number)
        if is_second(number, self._asked):
            _exit_at_once(number)


def _say_stopping() -> None:
    console.say("", "stopping")


class StopRequest:
    """Whether a signal has requested a stop; call the object to find out.

    A thread listens, so that a long computation does not delay the acknowledgment.
    """

    def __init__(self, acknowledge: Callable[[], None] = _say_stopping) -> None:
        self.acknowledge = acknowledge
        self.signum: int | None = None
        self._is_listening = False

    def __call__(self) -> bool:
        return self.signum is not None

    def request(self, number: int) -> None:
        """Request a stop, as if this process had received a signal."""
        if self.signum is None:
            self.signum = number
            hurry(number)
            self.acknowledge()

    def check(self) -> None:
        """Raise InterruptionError after a signal; for work that has nothing to save."""
        if self.signum is not None:
            raise InterruptionError(signum=self.signum)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals within the block; one that is ignored, as under nohup, stays ignored.

        A block within another one changes nothing.
        """
        if self._is_listening:
            yield
            return
        self._is_listening = True
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        taken = _taken()
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        previous = {number: signal.signal(number, lambda *_: None) for number in taken}
        thread = threading.Thread(target=self._listen, args=(reader, set(taken)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_listening = False
            for number, handler in previous.items():
                # After a stop, everything is saved, so a late signal must not change the exit code.
                signal.signal(number, signal.SIG_IGN if self.signum is not None else handler)
            signal.set_wakeup_fd(before)
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
                    asked = time.monotonic()
                    self.request(number)
                elif is_second(number, asked):
                    _exit_at_once(number)
