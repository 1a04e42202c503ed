"""Writes to a standard stream that a signal ends, even if nobody reads the stream."""

import queue
import select
import signal
import threading
from collections.abc import Callable
from typing import TextIO

from charrnn_cli.errors import InterruptionError

PATIENCE = 1.0  # seconds that a write may still take after a signal
LOOK_EVERY = 0.05  # seconds


class _Signal:
    """The first signal that asked the program to stop."""

    number: int | None = None


def hurry(number: int) -> None:
    """After the signal `number`, give up every write that takes longer than PATIENCE."""
    if _Signal.number is None:
        _Signal.number = number


def put(stream: TextIO, data: bytes) -> None:
    """Write all of it and flush, also to a stream that another process has made non-blocking.

    Raises OSError.
    """
    rest = memoryview(data)
    while True:
        try:
            # Nothing is written too, because flushing alone forgets an earlier error.
            written = stream.buffer.write(rest)
            if written is None:  # an unbuffered stream without room
                select.select([], [stream], [])
                continue
            rest = rest[written:]
            if not rest:
                stream.flush()
                return
        except BlockingIOError as error:
            rest = rest[error.characters_written :]
            select.select([], [stream], [])


class _Write:
    """A write in progress, and what it raised."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._write = write
        self.done = threading.Event()
        self.error: BaseException | None = None

    def perform(self) -> None:
        try:
            self._write()
        except BaseException as error:  # raised again where the write was asked for
            self.error = error
        self.done.set()


class Outlet:
    """A standard stream and the thread that writes to it.

    A write to a full pipe or to a stopped terminal may never return. The stream cannot be made
    non-blocking, because other processes share it. So a thread of its own writes, and the caller
    waits for the thread: about 20 microseconds per write.
    """

    def __init__(self) -> None:
        self._writes: queue.SimpleQueue[_Write] = queue.SimpleQueue()
        self._starting = threading.RLock()  # a signal's handler may write, too
        self._thread: threading.Thread | None = None
        self._newest: _Write | None = None
        self._blocked = False

    def run(self, write: Callable[[], object], patience: float = PATIENCE) -> None:
        """Call `write`, which writes to the stream, and raise what it raises.

        Raises InterruptionError if the stream is blocked `patience` seconds after a signal.
        """
        if self._blocked:
            raise self._given_up()
        self._start()
        self._newest = waiting = _Write(write)
        self._writes.put(waiting)
        try:
            while _Signal.number is None and not waiting.done.wait(LOOK_EVERY):
                pass
        finally:  # also if the handler of a signal raises
            self._blocked = not waiting.done.wait(patience)
        if self._blocked:
            raise self._given_up()
        if waiting.error is not None:
            raise waiting.error

    @property
    def is_busy(self) -> bool:
        """Whether a write is in progress, for which the exit of the interpreter would wait."""
        return self._newest is not None and not self._newest.done.is_set()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._perform, daemon=True)
                self._thread.start()

    def _perform(self) -> None:
        while True:
            self._writes.get().perform()

    def _given_up(self) -> InterruptionError:
        return InterruptionError(signum=_Signal.number or signal.SIGINT)
