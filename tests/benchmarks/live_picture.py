"""Draw what a real run shows on a terminal, two thirds through, as tests/benchmarks/live.svg.

    CHARRNN_HOME=/tmp/charrnn python -m tests.benchmarks.live_picture anna.txt

This takes a minute and a half. The picture loads no fonts; it uses those of the reader's machine.
"""

import io
import re
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.terminal import Terminal

COLUMNS, SHOWN_LINES = 92, 22  # of the screen
OPTIONS = ("--max-time", "2m", "--eval-every", "100", "--sample-every", "900", "--seed", "1")
MOMENT = 80.0  # seconds


def main() -> None:
    """Train on the text named on the command line until the moment of the picture."""
    began = time.monotonic()
    with Terminal("train", sys.argv[1], *OPTIONS, columns=COLUMNS) as terminal:
        while time.monotonic() - began < MOMENT and terminal.process.poll() is None:
            terminal.wait_briefly()
        terminal.type("\x03")
        written = terminal.written.decode(errors="ignore")
    picture = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True)
    for line in screen_lines(written)[-SHOWN_LINES:]:
        picture.print(Text.from_ansi(line), soft_wrap=True)
    svg = picture.export_svg(title=f"charrnn train {Path(sys.argv[1]).name} --max-time 2m")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)  # they would be loaded from the web
    Path(__file__).with_name("live.svg").write_text(svg)


def screen_lines(written: str) -> list[str]:
    """Return the lines on the screen with their colors, of a program that erases whole lines."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif re.fullmatch(r"\x1b\[\d*A", part):
            row = max(0, row - int(part[2:-1] or 1))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part.endswith("m") or not part.startswith(("\x1b", "\r")):
            lines[row] += part
    while lines and not lines[-1]:
        lines.pop()
    return lines


if __name__ == "__main__":
    main()
