"""A pseudo-terminal that runs the program."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from typing import Self

from tests.helpers import TIMEOUT

LINES = 40

# Takes standard input as the terminal of its session, and becomes the program. Between fork and
# exec of a process with several threads, Python code may wait for a lock for ever.
_ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """`charrnn` on a terminal of its own: `written` is its output so far, `type` sends it input."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 80,
        env: Mapping[str, str] | None = None,
        program: tuple[str, ...] = ("-m", "charrnn_cli"),
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLUMNS": str(columns),
            **(env or {}),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-Sc", _ON_TERMINAL, sys.executable, *program, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self.written = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, text: str) -> None:
        """Send the text as if it was typed."""
        os.write(self.master, text.encode())

    def press(self, key: str, shown: str) -> None:
        """Press a key until the text appears; the program may not wait for keys yet."""
        end, deadline = len(self.written), time.monotonic() + TIMEOUT
        while shown.encode() not in self.written[end:]:
            assert time.monotonic() < deadline, self.written
            self.type(key)
            assert self._read(), self.written

    def wait_for(self, text: str, after: int = 0) -> int:
        """Read until the text appears after that many bytes of output; return where it ends."""
        deadline = time.monotonic() + TIMEOUT
        while (found := self.written.find(text.encode(), after)) < 0:
            assert time.monotonic() < deadline, self.written
            assert self._read(), self.written
        return found + len(text.encode())

    def wait_briefly(self) -> None:
        """Read what is written within a moment."""
        self._read()

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Read until the condition holds; the program must not end before."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, self.written
            assert self._read(), self.written

    def wait(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self.process.wait(TIMEOUT)

    def _read(self) -> bool:
        try:
            ready, _, _ = select.select([self.master], [], [], 0.2)
            piece = os.read(self.master, 1 << 16) if ready else b""
        except OSError:  # the last process on this terminal has ended
            return False
        self.written += piece
        return bool(piece) or self.process.poll() is None


def on_screen(written: bytes) -> list[str]:
    """Split the output into lines and remove its escape sequences."""
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", written).decode()
    return re.split(r"[\r\n]+", plain)
