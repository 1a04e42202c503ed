"""Draw what a real run shows on a terminal, two thirds through, as tests/benchmarks/live.svg.

    CHARRNN_HOME=/tmp/charrnn python -m tests.benchmarks.live_picture anna.txt

This takes a minute. The picture loads no fonts; it uses those of the reader's machine.
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.terminal import Terminal

COLUMNS, MOMENT = 92, 0.7  # the moment in steps done, of all steps
COMMAND = "--layers 1 --size 256 --lr 0.004 --max-steps 1500"
PART = r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+"
OPTIONS = (*COMMAND.split(), "--eval-every", "100", "--sample-every", "900", "--seed", "1")


def main() -> None:
    """Train on the text named on the command line until the moment of the picture."""
    with Terminal("train", sys.argv[1], *OPTIONS, columns=COLUMNS) as terminal:
        while share_done(written := terminal.written) < MOMENT and terminal.process.poll() is None:
            terminal.wait_briefly()
    picture = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True)
    for line in screen_lines(written[written.index(b"scale  ") - len("\x1b[1;36m") :]):
        picture.print(Text.from_ansi(line), soft_wrap=True)
    svg = picture.export_svg(title=f"charrnn train {Path(sys.argv[1]).name} {COMMAND}")
    without_fonts = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)  # else loaded from the web
    Path(__file__).with_name("live.svg").write_text(without_fonts)


def share_done(written: bytes) -> float:
    """Return the share of the steps that the newest bar shows as done."""
    found = re.findall(rb"([\d,]+)/([\d,]+)  epoch", written[-5000:]) or [(b"0", b"1")]
    done, total = (int(number.replace(b",", b"")) for number in found[-1])
    return done / total


def screen_lines(written: bytes) -> list[str]:
    """Return the lines on the screen with their colors, of a program that erases whole lines."""
    lines, row = [""], 0
    for part in re.findall(PART, written.decode(errors="ignore")):
        if part == "\n":
            row, lines = row + 1, lines + [""] * (row + 2 - len(lines))
        elif re.fullmatch(r"\x1b\[\d*A", part):
            row = max(0, row - int(part[2:-1] or 1))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part.endswith("m") or not part.startswith(("\x1b", "\r")):
            lines[row] += part
    return lines


if __name__ == "__main__":
    main()
