"""Parts that all pages share: files of `page_files/`, and a line that describes a model."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.storage.opening import read_small
from charrnn_cli.units import bits_per_character
from charrnn_cli.version import __version__

_MAX_FILE = 1 << 20  # bytes


def program(*names: str) -> str:
    """Return files of `page_files/`, joined."""
    return "\n".join(program_file(name).decode("utf-8") for name in names)


def program_file(name: str) -> bytes:
    """Return the content of a file of `page_files/`."""
    path = resources.files("charrnn_cli") / "export" / "page_files" / name
    return read_small(Path(str(path)), _MAX_FILE)


def policy_digest(text: str) -> str:
    """Return the source of a Content-Security-Policy that allows exactly this script or style."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def as_json(value: Any) -> str:
    """Return a value as the content of a script element."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")


def framed(title: str, style: str, body: str, scripts: Sequence[str] = ()) -> str:
    """Return a page that needs no network, and runs only the scripts in its body, if any.

    The title and the body are HTML.
    """
    digests = " ".join(map(policy_digest, scripts))
    return Template(program("frame.html")).substitute(
        title=title,
        version=html.escape(__version__),
        style=style,
        style_digest=policy_digest(style),
        script_policy=f"script-src {digests} 'wasm-unsafe-eval'; " if scripts else "",
        body=body.removesuffix("\n"),
    )


def facts(checkpoint: Checkpoint) -> str:
    """Describe a model in one line."""
    model, data = checkpoint.model, checkpoint.data
    parts = [
        f"{model.cell.upper()} {model.layers}x{model.size}",
        f"{_rounded(model.num_parameters)} weights",
        f"trained on {_rounded(data.characters)} characters of {data.name}",
    ]
    if model.ngram:
        parts.insert(2, f"n-grams of {model.ngram}")
    if checkpoint.val_loss is not None:
        parts.append(f"{bits_per_character(checkpoint.val_loss):.2f} bits per character")
    return " · ".join(parts)


def _rounded(number: int) -> str:
    """Write a number in words of two or three digits: `1.2 million`."""
    for size, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if number >= size:
            return f"{number / size:.{1 if number < 100 * size else 0}f} {name}"
    return f"{number:,}"
