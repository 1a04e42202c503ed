"""The prime of a sample: read from an option, a file or standard input, and fitted to a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.text.similar_characters import closest_text

if TYPE_CHECKING:
    from charrnn_cli.text.vocab import Vocab


def read_prime(prime: str | None, prime_file: Path | None, options: TextOptions) -> str | None:
    """Return the prime, typed or read from a file; None if not given. Raises TextError."""
    if prime_file is None:
        return prime
    from charrnn_cli.text.decoding import decode_bytes, read_text

    if prime_file == STANDARD_INPUT:
        return decode_bytes(sys.stdin.buffer.read(), options, "standard input")
    return read_text(prime_file, options)


def known_prime(text: str, vocab: "Vocab", unknown: Unknown) -> str:
    """Replace or skip characters that the model lacks. Raises UnknownCharacterError."""
    if unknown == "closest":
        text = closest_text(text, vocab)
    elif unknown == "skip":
        text = "".join(character for character in text if character in vocab)
    vocab.encode(text)
    return text
