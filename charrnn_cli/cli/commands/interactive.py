"""Taking turns with a model: what is typed goes on the text, and the model goes on from there."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.sample_output import TextSink
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.model.samples import Sample
from charrnn_cli.model.stop_strings import StopMatcher

if TYPE_CHECKING:
    from charrnn_cli.model.sampling import Writer

PROMPT = "> "
HELP = "Enter alone goes on, \\n in a line is a new line, Ctrl-C stops the text, Ctrl-D leaves"


def converse(writer: "Writer", length: int, stops: list[str], unknown: str, *, color: bool) -> None:
    """Read a line, write `length` characters, and so on to the end of the input; the state is kept throughout."""
    from charrnn_cli.cli.options.prime import known_prime

    by_hand = sys.stdin.isatty() and sys.stdout.isatty()
    if by_hand:
        with contextlib.suppress(ImportError):  # editing and history where the platform has them
            import readline  # noqa: F401
        console.say("", HELP)
    with _Interrupt() as interrupt:
        for line in _lines(interrupt, by_hand=by_hand):
            try:
                writer.read(known_prime(line.replace("\\n", "\n"), writer.vocab, unknown))
            except UnknownCharacterError as error:
                console.print_error(error.message, error.hint)
                continue
            sink = TextSink(console.write, to_terminal=sys.stdout.isatty(), color=color)
            sample = Sample(0, StopMatcher(stops), kept=False)
            for drawn in writer.write(length):
                sink.write(*sample.update(drawn, 0))
                if sample.matcher.stopped or interrupt.take():
                    break
            sink.write(*sample.end())
            sink.finish(interrupted=True)


def _lines(interrupt: "_Interrupt", *, by_hand: bool) -> Iterator[str]:
    while True:
        try:
            with interrupt.raising():
                line = input(PROMPT) if by_hand else sys.stdin.readline()
        except KeyboardInterrupt:  # the line is dropped, as a shell does
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
    """Ctrl-C: in the middle of a text only a request, so that the state stays whole; while waiting an exception."""

    def __init__(self) -> None:
        self._asked = self._raises = False

    def __enter__(self) -> "_Interrupt":
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._raises:
            raise KeyboardInterrupt

    def take(self) -> bool:
        """Whether it was asked for since the last time."""
        asked, self._asked = self._asked, False
        return asked

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        self._raises = True
        try:
            yield
        finally:
            self._raises = self._asked = False
