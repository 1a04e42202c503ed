"""What the processes of a training tell each other outside of exchanges of tensors.

An exchange of tensors fails after a time without an answer. Where the first process alone works,
as when it encodes a text, the others wait as long as it shows that it lives.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from charrnn_cli.errors import ProcessLostError
from charrnn_cli.training.launch import Launch

BEAT = 0.5  # seconds between signs of life of the first process
POLL = 0.02  # seconds
PATIENCE_AFTER_STOP = 5.0  # seconds without a sign of life, after a signal
FAREWELL = 3.0  # seconds in which the other processes notice the end of the first

_BEATS, _END, _STOP, _LEFT, _GONE = "beats", "end", "stop", "left", "gone"


class FirstEnded(Exception):  # noqa: N818
    """The first process has ended, with a code and a message of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the first process ended with exit code {code}")
        self.code = code


class ProcessBoard:
    """A board on which the processes leave short messages, in a store of torch.distributed."""

    def __init__(
        self,
        store: Any,  # Any: the stores of torch have no types
        launch: Launch,
        signum: Callable[[], int | None],
        on_stop: Callable[[int], None],
    ) -> None:
        self._store, self._launch = store, launch
        self._signum, self._on_stop = signum, on_stop
        self._messages = self._turns = 0
        self._has_told = False

    # ---- the first process

    def beat_until(self, ended: threading.Event) -> None:
        """Show that the first process lives, and watch for signals that others have received."""
        with contextlib.suppress(RuntimeError):  # the launcher, which has the store, has ended
            while not ended.is_set():
                self._store.add(_BEATS, 1)
                self.hear_stop()
                ended.wait(BEAT)

    def hear_stop(self) -> None:
        """Report a signal that another process has received, if there is one."""
        with contextlib.suppress(RuntimeError):
            if self._store.check([_STOP]):
                self._on_stop(int(self._store.get(_STOP)))

    def post(self, message: dict[str, Any]) -> None:
        """Leave a message for all other processes."""
        self._set(f"message/{self._messages}", json.dumps(message))
        self._messages += 1

    def end(self, code: int, *, is_lost: bool) -> None:
        """Tell the others that the first process ends, and let them go first.

        It does not wait for them if one `is_lost`.
        """
        with contextlib.suppress(RuntimeError):
            self._store.set(_END, str(code))
            until = time.monotonic() + (0 if is_lost else FAREWELL)
            others = self._launch.size - 1
            while self._store.add(_LEFT, 0) < others and time.monotonic() < until:
                time.sleep(POLL)
            self._store.set(_GONE, "")

    # ---- the other processes

    def read(self) -> dict[str, Any]:
        """Wait for the next message of the first process. Raises FirstEnded, ProcessLostError."""
        text = self._wait_for(f"message/{self._messages}")
        self._messages += 1
        return cast("dict[str, Any]", json.loads(text))

    def tell_stop(self) -> None:
        """Tell the first process which signal this one has received, if any."""
        signum = self._signum()
        if signum is not None and not self._has_told and not self._launch.is_first:
            self._has_told = True
            self._set(_STOP, str(signum))

    def wait_for_end(self) -> int:
        """Wait for the end of the first process, and return its exit code."""
        try:
            self._wait_for(_END)
        except FirstEnded as end:
            return end.code
        raise AssertionError

    def check_first(self, seconds: float) -> None:
        """Raise FirstEnded if the first process has ended, or does within some seconds."""
        if self._launch.is_first:
            return
        until = time.monotonic() + seconds
        with contextlib.suppress(RuntimeError):
            while not self._store.check([_END]):
                if time.monotonic() > until:
                    return
                time.sleep(POLL)
            raise FirstEnded(int(self._store.get(_END)))

    def leave(self) -> None:
        """Leave after the first process has told its end, which it waits for."""
        with contextlib.suppress(RuntimeError):
            self._store.add(_LEFT, 1)
            until = time.monotonic() + 1
            while not self._store.check([_GONE]) and time.monotonic() < until:
                time.sleep(POLL)

    # ---- all processes

    def wait_for_turn(self) -> None:
        """Wait until the first process gets here. Raises FirstEnded, ProcessLostError."""
        self._turns += 1
        turn = f"turn/{self._turns}"
        if self._launch.is_first:
            self._set(turn, "")
        else:
            self._wait_for(turn)

    def _set(self, key: str, text: str) -> None:
        try:
            self._store.set(key, text)
        except RuntimeError as error:
            raise lost() from error

    def _wait_for(self, key: str) -> str:
        """Wait for a text of the first process as long as that lives."""
        beats, seen, checked = -1, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            try:
                if self._store.check([_END]) and key != _END:
                    raise FirstEnded(int(self._store.get(_END)))
                if self._store.check([key]):
                    text: str = self._store.get(key).decode()
                    if key == _END:
                        raise FirstEnded(int(text))
                    return text
                if now - checked > BEAT:
                    checked, before = now, beats
                    beats = self._store.add(_BEATS, 0)
                    seen = now if beats != before else seen
            except RuntimeError as error:
                raise lost() from error
            self.tell_stop()
            patience = self._launch.timeout
            if self._signum() is not None:
                patience = min(patience, PATIENCE_AFTER_STOP)
            if now - seen > patience:
                raise lost()
            time.sleep(POLL)


def lost() -> ProcessLostError:
    """Return the error of a process that does not get an answer."""
    return ProcessLostError(
        "another process of this training has ended, or does not answer",
        hint="run the same command again with --run NAME --resume-if-exists",
    )
