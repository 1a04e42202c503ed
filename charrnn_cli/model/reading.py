"""How a model reads texts, primes and stop strings: as its training text was read."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from charrnn_cli.config import END_OF_DOCUMENT, UNMARKED, TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.decoding import read_typed
from charrnn_cli.text.encoding_choice import preferring_utf8
from charrnn_cli.text.remapping import in_vocabulary
from charrnn_cli.text.symbol_table import REPLACEMENT
from charrnn_cli.text.vocab import Vocab

_REPLACEMENT = chr(REPLACEMENT)


def reading_options(checkpoint: Checkpoint, given: Mapping[str, Any] | None = None) -> TextOptions:
    """Return the options with which texts are read for a model.

    They are those of its training text, except for the options `given` by name. A recorded encoding
    applies to files that are not valid UTF-8. Raises ConfigError, TextError.
    """
    return options_for(checkpoint.data.reading, checkpoint.vocab, given)


def without_unknown_end(options: TextOptions, checkpoint: Checkpoint, texts: Path) -> TextOptions:
    """Return options with which the files of a directory have no end symbol that a model lacks."""
    has_ends = options.documents == "files" and end_symbol(checkpoint) is None
    return (
        options.replaced({"documents": UNMARKED}) if has_ends and os.path.isdir(texts) else options
    )


def options_for(
    recorded: TextOptions, vocab: Vocab, given: Mapping[str, Any] | None = None
) -> TextOptions:
    """Return the options for texts that get the vocabulary of a text read with `recorded`.

    See `reading_options`.
    """
    rare = {} if _replaces_rare(recorded, vocab) else {"min_count": 1}
    return preferring_utf8(recorded).replaced({**rare, **(given or {})})


def as_read(text: str, options: TextOptions, vocab: Vocab) -> str:
    """Return a typed text, such as a prime, as it would be read with these options for a model.

    Line ends and Unicode are normalized, and rare characters become U+FFFD.
    """
    read = read_typed(text, options)
    if not _replaces_rare(options, vocab):
        return read
    return "".join(each if each in vocab else _REPLACEMENT for each in read)


def end_symbol(checkpoint: Checkpoint) -> str | None:
    """Return the symbol that ends documents and stands before the first; None without one."""
    end = checkpoint.data.end
    return end if end and end in checkpoint.vocab else None


def unwritten(checkpoint: Checkpoint) -> str | None:
    """Return a symbol of the vocabulary that a model never writes; None without one.

    The vocabulary of a model that went on from a model of documents has their end symbol, which is
    no character of its text.
    """
    is_taken_over = checkpoint.data.init_from is not None and END_OF_DOCUMENT in checkpoint.vocab
    return END_OF_DOCUMENT if is_taken_over and end_symbol(checkpoint) != END_OF_DOCUMENT else None


def unwritten_id(checkpoint: Checkpoint) -> int | None:
    """Return the id of the symbol that a model never writes; None without one."""
    symbol = unwritten(checkpoint)
    return None if symbol is None else checkpoint.vocab.encode(symbol)[0]


def has_items(checkpoint: Checkpoint) -> bool:
    """Return whether a model was trained on the items of a list."""
    return end_symbol(checkpoint) is not None and checkpoint.data.reading.has_items


def from_beginning(prime: str, checkpoint: Checkpoint) -> str:
    """Return a prime with the end symbol before it, if documents have one: it begins a document."""
    end = end_symbol(checkpoint)
    return prime if end is None else end + prime.removeprefix(end)


def item_prime(text: str, options: TextOptions, vocab: Vocab) -> str:
    """Return the beginning of items as `as_read` does, without end symbols around it.

    Raises ConfigError if one is inside.
    """
    read = as_read(text, options, vocab).strip(options.end)
    if options.end in read:
        raise ConfigError(
            "the prime is more than one item", hint="use only the beginning of one item"
        )
    return read


def in_model_vocabulary(
    corpus: Corpus, checkpoint: Checkpoint, skipped: Collection[str] = ()
) -> Corpus:
    """Return a text in the ids of a model; characters that were rare in its text become U+FFFD.

    The characters of `skipped` are left out. Raises UnknownCharacterError for others that the model
    lacks.
    """
    replacement = _REPLACEMENT if replaces_rare(checkpoint) else None
    return in_vocabulary(corpus, checkpoint.vocab, skipped=skipped, replacement=replacement)


def num_replaced(text: str, read: str) -> int:
    """Return the number of characters of a typed text that became U+FFFD when it was read."""
    return read.count(_REPLACEMENT) - text.count(_REPLACEMENT)


def replaces_rare(checkpoint: Checkpoint) -> bool:
    """Return whether a model reads characters that it lacks as U+FFFD."""
    return _replaces_rare(checkpoint.data.reading, checkpoint.vocab)


def _replaces_rare(options: TextOptions, vocab: Vocab) -> bool:
    return options.min_count > 1 and _REPLACEMENT in vocab
