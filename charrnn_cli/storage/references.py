"""How references are written: `RUN`, `RUN@best`, `RUN@1200`, or a path."""

import os

from charrnn_cli.storage.runs import SUFFIX


def is_path(reference: str) -> bool:
    """Return whether a reference is a path: it has a path separator or ends in .safetensors."""
    return "/" in reference or os.sep in reference or reference.endswith(SUFFIX)


def names_checkpoint(reference: str) -> bool:
    """Return whether a reference names one checkpoint; otherwise it is the name of a run."""
    return is_path(reference) or "@" in reference or reference in ("best", "latest")


def is_digits(which: str) -> bool:
    """Return whether the part of a reference after the @ is the number of a step."""
    return which.isascii() and which.isdigit()


def names_step(digits: str, step: int) -> bool:
    """Return whether digits, of which there may be thousands, are the number of a step."""
    return (digits.lstrip("0") or "0") == str(step)
