"""The prime of a sample: read, and made of characters that the model knows."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import TextError
from charrnn_cli.text.similar_characters import closest_text

if TYPE_CHECKING:
    from charrnn_cli.text.vocab import Vocab


def read_prime(prime: str | None, prime_file: str | None, options: TextOptions) -> str | None:
    if prime_file is None:
        return prime
    if prime_file != "-":
        from charrnn_cli.text.decoding import read_text

        return read_text(Path(prime_file), options)
    try:
        return (
            sys.stdin.buffer.read()
            .decode(options.encoding)
            .removeprefix("\ufeff")
            .replace("\r\n", "\n")
        )
    except UnicodeDecodeError as error:
        where = f"the prime on standard input is not valid {options.encoding}: byte {error.start:,}"
        raise TextError(where, hint="name its encoding, for example --encoding latin-1") from error


def known_prime(text: str, vocab: "Vocab", unknown: str) -> str:
    """The text as the model can read it. Raises UnknownCharacterError."""
    if unknown == "closest":
        text = closest_text(text, vocab)
    elif unknown == "skip":
        text = "".join(character for character in text if character in vocab)
    vocab.encode(text)
    return text
