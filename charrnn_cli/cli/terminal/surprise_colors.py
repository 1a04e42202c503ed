"""Characters colored by their surprise, for a terminal."""

import math
from collections.abc import Sequence

from charrnn_cli.cli.terminal.safe_text import safe
from charrnn_cli.text.clusters import combines

# 256-color codes from expected to surprising characters, one bit each: gray, slate, blue, teal,
# green, olive, orange, red, magenta. All have nearly the same luminance, so that each has a
# contrast of at least 3.9 both on black and on white, where 4.6 is possible; the hue alone varies.
SHADES = (243, 66, 31, 30, 28, 64, 130, 196, 164)

_RESET = "\x1b[0m"


class SurpriseColors:
    """Colors text that arrives in pieces.

    A base character and the marks that combine with it have one color, that of the most surprising
    of them: an escape sequence between them would keep the terminal from combining them.
    """

    def __init__(self) -> None:
        self._cluster, self._surprise = "", 0.0  # bits

    def add(self, text: str, log_probabilities: Sequence[float]) -> str:
        """Return the colored text up to the last base character, which may still get marks."""
        shown = []
        for character, score in zip(text, log_probabilities, strict=True):
            bits = -score / math.log(2)
            if combines(self._cluster, character):
                self._cluster += character
                self._surprise = max(self._surprise, bits)
            else:
                shown.append(self.finish())
                self._cluster, self._surprise = character, bits
        return "".join(shown)

    def finish(self) -> str:
        """Return the rest of the colored text."""
        text, bits = self._cluster, self._surprise
        self._cluster = ""
        return text if not text or text in "\n\t" else _colored(safe(text), bits)


def _colored(text: str, bits: float) -> str:
    shade = SHADES[int(min(max(0.0, bits), len(SHADES) - 1))]  # may be infinite before
    return f"\x1b[38;5;{shade}m{text}{_RESET}"


def legend(*, colored: bool) -> str:
    """Return a line that says which color means how many bits."""
    if not colored:
        return (
            f"one color per bit of surprise, from gray (0) to magenta ({len(SHADES) - 1} or more)"
        )
    shown = " ".join(_colored(f"{bits}", bits) for bits in range(len(SHADES)))
    return f"bits of surprise: {shown} or more"
