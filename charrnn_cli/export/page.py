"""A model as one HTML page, which writes text in a browser without a network.

The page has the model as JSON, and its numbers in base64. `page_files/` has the page's program.
"""

import base64
import hashlib
import html
from dataclasses import dataclass
from string import Template
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.export.exported import Exported
from charrnn_cli.export.numbers import Numbers
from charrnn_cli.export.page_parts import as_json, facts, framed, program, program_file
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.items import default_length
from charrnn_cli.model.ngram_tables import to_tables
from charrnn_cli.model.reading import (
    as_read,
    end_symbol,
    from_beginning,
    has_items,
    item_prime,
    replaces_rare,
    unwritten,
)
from charrnn_cli.model.sampling import shown_prime
from charrnn_cli.version import __version__

FORMAT = 1
MAX_BYTES = 500_000_000  # of a page; a text of JavaScript has at most 536,870,888 characters
NUM_ITEMS = 10
ENGINE = ("base64.js", "random.js", "ngrams.js", "network.js", "model.js", "writer.js")
PAGE = ("names.js", "clusters.js", "settings.js", "rivals.js", "page.js")

Array = npt.NDArray[np.float32]
Weights = Literal["i8", "f16", "f32"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class PageOptions:
    """What can be chosen of a page."""

    weights: Weights = "i8"
    """Type of the weight matrices; biases are always 32-bit floats."""
    prime: str = ""
    """What the page begins with, until something else is typed there."""
    title: str | None = None
    """None for the name of the run."""


def to_page(checkpoint: Checkpoint, data: bytes, options: PageOptions) -> Exported:
    """Return the page of a model; `data` is the file of its checkpoint.

    Raises UnknownCharacterError for the prime, and ConfigError if the page would be too large.
    """
    numbers = _Weights(options.weights)
    for name, weight in checkpoint.weights.items():
        numbers.add_weight(name, weight)
    num_weights = numbers.size
    if checkpoint.ngrams is not None:
        for name, table in to_tables(checkpoint.ngrams).items():
            numbers.add(name, table)
    sizes = {"weights": num_weights, "n-grams": numbers.size - num_weights}
    if numbers.size * 4 // 3 > MAX_BYTES:
        smaller = "leave out --weights" if options.weights != "i8" else "export a smaller model"
        raise ConfigError("the page would be larger than browsers can open", hint=smaller)
    title = options.title or checkpoint.run
    model = {
        **_description(checkpoint, options.prime),
        "sha256": hashlib.sha256(data).hexdigest(),
        "tensors": numbers.tensors,
    }
    scripts = {"engine": program(*ENGINE), "page": program(*PAGE)}
    shown_title = html.escape(title)
    body = Template(program("page.html")).substitute(
        title=shown_title,
        facts=html.escape(facts(checkpoint)),
        version=html.escape(__version__),
        model=as_json(model),
        weights=numbers.as_base64(),
        product=base64.b64encode(program_file("product.wasm")).decode("ascii"),
        **scripts,
    )
    style = program("base.css", "shades.css", "page.css")
    page = framed(shown_title, style, body, list(scripts.values()))
    shown = {name: size for name, size in sizes.items() if size}
    return Exported(page.encode("utf-8", "replace"), shown)  # a title may have half a character


class _Weights(Numbers):
    """Numbers of a page, among them weights in the type that was chosen for them."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._weights = weights

    def add_weight(self, name: str, weight: Array) -> None:
        """Append a weight in the page's type. Raises ConfigError if it does not fit."""
        if weight.ndim == 1 or self._weights == "f32":
            self.add(name, weight)
        elif self._weights == "f16":
            with np.errstate(over="ignore"):
                halves = weight.astype(np.float16)
            if not np.isfinite(halves).all():
                raise ConfigError("a weight is too large for f16", hint="use --weights f32")
            self.add(name, halves)
        else:
            numbers, scales = to_scaled_rows(weight)
            self.add(name, numbers)
            self.tensors[name]["scales"] = self.append(scales)


def to_scaled_rows(weight_RC: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Return 8-bit numbers, (R, C), and the factor of each row, (R,)."""
    scales_R = np.abs(weight_RC).max(axis=1).astype(np.float32) / np.float32(127)
    scales_R[scales_R == 0] = 1
    numbers_RC = np.clip(np.rint(weight_RC / scales_R[:, None]), -127, 127)
    return numbers_RC.astype(np.int8), scales_R


def _description(checkpoint: Checkpoint, prime: str) -> dict[str, Any]:
    """Return what a page knows of a model, except for its numbers and its title."""
    reading, end, model = checkpoint.data.reading, end_symbol(checkpoint), checkpoint.model
    items, config = has_items(checkpoint), SampleConfig()
    return {
        "format": FORMAT,
        "version": __version__,
        "config": {
            name: getattr(model, name)
            for name in ("cell", "layers", "size", "embed", "ngram", "vocabulary_size")
        },
        "vocabulary": [ord(character) for character in checkpoint.vocab.characters],
        "run": checkpoint.run,
        "step": checkpoint.step,
        "val_loss": checkpoint.val_loss,
        "text": checkpoint.data.name,
        "end": end,
        "unwritten": unwritten(checkpoint),
        "items": items,
        "between": reading.between,
        "default_prime": shown_prime(checkpoint),
        "reading": {
            "newlines": reading.newlines,
            "normalize": reading.normalize,
            "replaces_rare": replaces_rare(checkpoint),
        },
        "defaults": {
            "prime": _known(prime, checkpoint, items=items),
            "temperature": config.temperature,
            "top-k": config.top_k,
            "top-p": config.top_p,
            "min-p": config.min_p,
            "length": default_length(checkpoint) if items else config.length,
            "items": NUM_ITEMS,
        },
    }


def _known(prime: str, checkpoint: Checkpoint, *, items: bool) -> str:
    """Return a prime as it is read. Raises UnknownCharacterError, ConfigError."""
    reading, vocab = checkpoint.data.reading, checkpoint.vocab
    if items:
        known = item_prime(prime, reading, vocab)
    else:
        end = end_symbol(checkpoint) or ""
        known = from_beginning(as_read(prime, reading, vocab), checkpoint).removeprefix(end)
    vocab.encode(known)
    return known
