"""`charrnn sample --interactive`: take turns with a model, which remembers earlier lines."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from charrnn_cli.cli.signals import is_second
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.error_output import print_error
from charrnn_cli.cli.terminal.sample_output import TextStream
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.model.samples import draw_samples

if TYPE_CHECKING:
    from charrnn_cli.model.sampling import Writer

PROMPT = "> "
HELP = "Enter: generate; \\n: line break; Ctrl-C: stop generating; Ctrl-D: exit"


def converse(
    writer: "Writer", fit: Callable[[str], str], length: int, stops: list[str], *, color: bool
) -> None:
    """Read lines until the input ends, and generate `length` characters after each.

    `fit` returns a line as the model reads it, or raises UnknownCharacterError. The model's state
    is carried from line to line.
    """
    by_hand = sys.stdin.isatty() and sys.stdout.isatty()
    if by_hand:
        with contextlib.suppress(ImportError):  # line editing and history, if available
            import readline  # noqa: F401
        console.say("", HELP)
    with _Interrupt() as interrupt:
        for line in _lines(interrupt, by_hand=by_hand):
            try:
                writer.read(fit(line.replace("\\n", "\n")), interrupt.check)
            except UnknownCharacterError as error:
                print_error(error.message, error.hint, error.exit_code)
                continue
            except KeyboardInterrupt:
                console.write_line()
                continue
            stream = TextStream(console.write_styled, to_terminal=sys.stdout.isatty(), color=color)
            for piece in draw_samples(writer, length, 1, stops, interrupt.take):
                stream.write(piece.text, piece.log_probabilities)
            stream.finish()


def _lines(interrupt: "_Interrupt", *, by_hand: bool) -> Iterator[str]:
    while True:
        try:
            with interrupt.raising():
                line = input(PROMPT) if by_hand else sys.stdin.readline()
        except KeyboardInterrupt:  # discard the line, as a shell does
            console.write_line()
            continue
        except EOFError:
            console.write_line()
            return
        if not by_hand:
            if not line:
                return
            line = line.removesuffix("\n")
        yield line


class _Interrupt:
    """Ctrl-C: a request while text is read or generated, and an exception otherwise.

    A request leaves the model's state consistent. A second one that finds the first unanswered,
    because nobody reads standard output, is an exception, too.
    """

    def __init__(self) -> None:
        self._raises = False
        self._asked: float | None = None
        """When Ctrl-C was pressed that is still unanswered, on `time.monotonic`'s clock."""

    def __enter__(self) -> "_Interrupt":
        self._previous = signal.getsignal(signal.SIGINT)
        if self._previous is not signal.SIG_IGN:  # as in a background job
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raises or (self._asked is not None and is_second(number, self._asked)):
            self._raises = False  # once: another one may come while the exception is handled
            raise KeyboardInterrupt
        self._asked = time.monotonic() if self._asked is None else self._asked

    def take(self) -> bool:
        """Return whether Ctrl-C was pressed since the last call."""
        requested, self._asked = self._asked is not None, None
        return requested

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed since the last call."""
        if self.take():
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at Ctrl-C within this block."""
        self._raises = True
        try:
            yield
        finally:
            self._raises, self._asked = False, None
