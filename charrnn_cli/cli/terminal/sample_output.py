"""Where samples go: a terminal, a pipe or a file, plain, shaded by surprise, or as JSON."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from charrnn_cli.cli.terminal import console
from charrnn_cli.model.samples import Sample
from charrnn_cli.storage.atomic import atomic_write

FLUSH_INTERVAL = 0.02  # seconds; smooth to the eye, and cheap in a pipe
SEPARATOR = "---"  # a line of its own between samples
# 256-colour codes from what the model foresaw to what surprised it, a bit each.
SHADES = (244, 250, 255, 229, 222, 215, 208, 202, 196)

Write = Callable[[str], None]


class TextSink:
    """Gathers what comes and writes it at intervals, made safe for a terminal and exact for a program."""

    def __init__(self, write: Write, *, to_terminal: bool, color: bool) -> None:
        self._write, self._to_terminal, self._color = write, to_terminal, color
        self._pending: list[str] = []
        self._flushed = -math.inf
        self._at_line_start = True

    def begin(self, number: int, prime: str) -> None:
        """A sample begins; a separator stands between it and the one before."""
        if number:
            self._put(("" if self._at_line_start else "\n") + f"{SEPARATOR}\n")
        self.write(prime)

    def write(self, text: str, log_probabilities: Sequence[float] = ()) -> None:
        if not text:
            return
        safe = console.safe(text, keep="\n\t") if self._to_terminal else text
        if self._color and log_probabilities:
            safe = "".join(
                shaded(character, score)
                for character, score in zip(text, log_probabilities, strict=True)
            )
        self._put(safe)
        self._at_line_start = text.endswith("\n")
        if time.monotonic() - self._flushed > FLUSH_INTERVAL:
            self._flush()

    def finish(self, *, interrupted: bool) -> None:
        """A terminal's next line begins at its start; a pipe gets nothing more than the text."""
        if (interrupted or self._to_terminal) and not self._at_line_start:
            self._put("\n")
        self._flush()

    def _put(self, text: str) -> None:
        self._pending.append(text)

    def _flush(self) -> None:
        if self._pending:
            self._write("".join(self._pending))
            self._pending.clear()
        self._flushed = time.monotonic()


def shaded(character: str, log_probability: float) -> str:
    """A character in the colour of its surprise, for a terminal."""
    if character in "\n\t":
        return character
    bits = int(-log_probability / math.log(2))
    return f"\x1b[38;5;{SHADES[min(bits, len(SHADES) - 1)]}m{console.safe(character)}\x1b[0m"


def sample_to_json(sample: Sample, facts: dict[str, Any]) -> str:
    """One line. The seed and the sample's number draw it again."""
    settings = dict(facts["settings"])
    return json.dumps(
        {
            "text": sample.text,
            "prime": facts["prime"],
            "checkpoint": facts["checkpoint"],
            "seed": settings.pop("seed"),
            "sample": sample.number,
            "stopped": sample.matcher.stopped,
            "settings": settings,
            "log_probabilities": [round(score, 6) for score in sample.log_probabilities],
        },
        ensure_ascii=False,
    )


@contextlib.contextmanager
def to_standard_output() -> Iterator[Write]:
    yield console.write


@contextlib.contextmanager
def to_file(path: Path) -> Iterator[Write]:
    """A new file that appears when it is whole. Raises AlreadyPublishedError, StorageError."""
    with atomic_write(path) as file:
        yield lambda text: _write_bytes(file.write, text)


def _write_bytes(write: Callable[[bytes], object], text: str) -> None:
    write(text.encode("utf-8", "surrogatepass"))
