"""The prime and stop strings of a sample: read, and fitted to the characters of a model."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.shell import shell_word
from charrnn_cli.storage.source import STANDARD_INPUT, is_pipe
from charrnn_cli.text.character_names import named_character
from charrnn_cli.text.escapes import escape
from charrnn_cli.text.normal_forms import normalize
from charrnn_cli.text.similar_characters import closest_text, replacements
from charrnn_cli.text.vocab import named_characters

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.text.vocab import Vocab


@dataclass(slots=True)
class GivenPrime:
    """The prime that was typed or is in a file, for models that may read files differently."""

    typed: str | None
    file: Path | None
    _stream: bytes | None = None
    """Content of standard input or a pipe, which can be read once."""

    def read(self, options: TextOptions) -> str | None:
        """Return the prime; None if not given. Raises TextError."""
        if self.file is None:
            return self.typed
        from charrnn_cli.text.decoding import decode_bytes, read_text

        is_input = self.file == STANDARD_INPUT
        if not is_input and not is_pipe(self.file):
            return read_text(self.file, options)
        if self._stream is None:
            from charrnn_cli.text.standard_input import read_pipe

            self._stream = sys.stdin.buffer.read() if is_input else read_pipe(self.file)
        return decode_bytes(self._stream, options, "standard input" if is_input else str(self.file))


def known_prime(text: str, checkpoint: "Checkpoint", unknown: Unknown) -> str:
    """Return a prime as the model reads it, with characters that it lacks replaced or left out.

    Raises UnknownCharacterError, with a hint that names --unknown.
    """
    from charrnn_cli.model.reading import as_read
    from charrnn_cli.text.decoding import read_typed

    vocab, options = checkpoint.vocab, checkpoint.data.reading
    if unknown == "closest":
        text = closest_text(read_typed(text, options), vocab)
    if unknown == "skip":
        text = "".join(each for each in read_typed(text, options) if each in vocab)
    text = as_read(text, options, vocab)
    try:
        vocab.encode(text)
    except UnknownCharacterError as error:
        raise UnknownCharacterError(error.message, hint=_hint(text, vocab)) from None
    return text


def known_stops(stops: list[str], checkpoint: "Checkpoint", unknown: Unknown) -> list[str]:
    """Return the stop strings as the model reads them.

    With `closest`, characters that it lacks are replaced.
    Raises UnknownCharacterError for one that can never occur.
    """
    from charrnn_cli.text.decoding import read_typed

    vocab = checkpoint.vocab
    stops = [read_typed(stop, checkpoint.data.reading) for stop in stops]
    if unknown == "closest":
        stops = [closest_text(stop, vocab) for stop in stops]
    for stop in stops:
        missing = [character for character in dict.fromkeys(stop) if character not in vocab]
        if missing:
            hint = _closest_hint(stop, vocab) or f"leave out --stop {shell_word(escape(stop))}"
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
    replaced = list(dict.fromkeys(replacements(text, vocab)))[:3]
    shown = [
        f"{_shown(old, same=same)} becomes {_shown(new, same=same)}"
        for old, new in replaced
        for same in [normalize(old, "NFC") == normalize(new, "NFC")]
    ]
    return f"with --unknown closest, {', '.join(shown)}"


def _shown(text: str, *, same: bool) -> str:
    """Quote a text; code points distinguish it from one that looks the same."""
    return named_character(text) if same else repr(text)
