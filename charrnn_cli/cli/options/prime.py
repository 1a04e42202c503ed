"""The prime of a sample: read from an option, a file or standard input, and fitted to a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.storage.source import STANDARD_INPUT, is_pipe
from charrnn_cli.text.similar_characters import closest, closest_text

if TYPE_CHECKING:
    from charrnn_cli.text.vocab import Vocab


def read_prime(prime: str | None, prime_file: Path | None, options: TextOptions) -> str | None:
    """Return the prime, typed or read from a file; None if not given. Raises TextError."""
    if prime_file is None:
        return prime
    from charrnn_cli.text.decoding import decode_bytes, read_text

    if prime_file == STANDARD_INPUT:
        return decode_bytes(sys.stdin.buffer.read(), options, "standard input")
    if is_pipe(prime_file):
        from charrnn_cli.text.standard_input import read_pipe

        return decode_bytes(read_pipe(prime_file), options, str(prime_file))
    return read_text(prime_file, options)


def known_prime(text: str, vocab: "Vocab", unknown: Unknown) -> str:
    """Replace or skip characters that the model lacks.

    Raises UnknownCharacterError, with a hint that names --unknown.
    """
    if unknown == "closest":
        text = closest_text(text, vocab)
    elif unknown == "skip":
        text = "".join(character for character in text if character in vocab)
    try:
        vocab.encode(text)
    except UnknownCharacterError as error:
        raise UnknownCharacterError(error.message, hint=_hint(text, vocab)) from None
    return text


def _hint(text: str, vocab: "Vocab") -> str:
    unknown = [character for character in dict.fromkeys(text) if character not in vocab]
    likes = [(character, closest(character, vocab)) for character in unknown]
    known = [f"{character!r} becomes {like!r}" for character, like in likes if like is not None][:3]
    if known:
        return f"with --unknown closest, {', '.join(known)}"
    return f"use only its {len(vocab)} characters, or leave others out with --unknown skip"
