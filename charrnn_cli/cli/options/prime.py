"""The prime and stop strings of a sample: read, and fitted to the characters of a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.shell import shell_word
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.text.similar_characters import closest, closest_text
from charrnn_cli.text.vocab import named_characters

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


def known_stops(stops: list[str], vocab: "Vocab", unknown: Unknown) -> list[str]:
    """Return the stop strings, in which `closest` replaces characters that the model lacks.

    Raises UnknownCharacterError for one that can never occur.
    """
    if unknown == "closest":
        stops = [closest_text(stop, vocab) for stop in stops]
    for stop in stops:
        missing = [character for character in dict.fromkeys(stop) if character not in vocab]
        if missing:
            hint = _closest_hint(stop, vocab) or f"leave out --stop {shell_word(stop)}"
            raise UnknownCharacterError(
                f"the stop string {stop!r} can never occur: "
                f"the vocabulary lacks {named_characters(missing)}",
                hint=hint,
            )
    return stops


def _hint(text: str, vocab: "Vocab") -> str:
    others = f"use only its {len(vocab)} characters, or leave others out with --unknown skip"
    return _closest_hint(text, vocab) or others


def _closest_hint(text: str, vocab: "Vocab") -> str | None:
    """Say what --unknown closest does with a text; None unless it replaces all that is unknown."""
    if any(character not in vocab for character in closest_text(text, vocab)):
        return None
    unknown = [character for character in dict.fromkeys(text) if character not in vocab]
    likes = [(character, closest(character, vocab)) for character in unknown]
    known = [f"{character!r} becomes {like!r}" for character, like in likes if like is not None][:3]
    return f"with --unknown closest, {', '.join(known)}" if known else "use --unknown closest"
