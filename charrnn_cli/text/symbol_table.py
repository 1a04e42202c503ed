"""Which symbols a text has: from code points, counted, to the ids of a vocabulary."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import ConfigError, TextError, UnknownCharacterError
from charrnn_cli.text.corpus import DTYPES, ids_dtype
from charrnn_cli.text.vocab import Vocab, named_character

CODE_POINTS = 0x110000
REPLACEMENT = 0xFFFD
MOST_NAMED = 10  # unseen characters in a message


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """From code points to ids."""

    vocab: Vocab
    counts: npt.NDArray[np.uint64]
    """Of each symbol, (V,)."""
    ids: npt.NDArray[np.unsignedinteger[Any]]
    """(0x110000,)"""
    dropped: npt.NDArray[np.bool_] | None
    """(0x110000,), or None where nothing is left out."""
    unseen: dict[str, int]
    """Characters that the given vocabulary did not have, with their counts; the commonest first."""


def symbol_table(
    counts: npt.NDArray[np.uint64], options: TextOptions, vocab: Vocab | None, unknown: Unknown
) -> SymbolTable:
    """The vocabulary of a text whose code points were counted, (0x110000,), or the given one.

    Raises UnknownCharacterError, ConfigError, TextError.
    """
    present = np.flatnonzero(counts)
    surrogates = present[(present >= 0xD800) & (present < 0xE000)]
    if len(surrogates):
        raise TextError(
            f"the text has U+{surrogates[0]:04X}, half of a character",
            hint="look at its --encoding",
        )
    separator = np.array(
        [ord(character) for character in options.separator], np.int64
    )  # never left out
    if vocab is not None and options.min_count > 1:
        raise ConfigError(
            "a given vocabulary leaves --min-count nothing to do", hint="leave out --min-count"
        )
    mapped = np.arange(CODE_POINTS)
    if vocab is None:
        rare = np.setdiff1d(present[counts[present] < options.min_count], separator)
        mapped[rare] = REPLACEMENT
        kept = np.unique(mapped[present])
        vocab, dropped, unseen = Vocab.from_code_points(kept.astype("<u4").tobytes()), None, {}
    else:
        known = np.frombuffer(vocab.to_code_points(), "<u4")
        strange = np.setdiff1d(present, known)
        strange = strange[np.argsort(-counts[strange].astype(np.int64), kind="stable")]
        unseen = {chr(code): int(counts[code]) for code in strange.tolist()}
        if unseen and unknown == "error":
            raise UnknownCharacterError(
                f"the text has {described_characters(unseen)} that the model never saw",
                hint="--unknown skip leaves them out; `train --unknown extend` learns them",
            )
        dropped = None
        if unknown == "skip" and np.isin(separator, strange).any():
            raise UnknownCharacterError(
                f"the model never saw the separator {options.separator!r}",
                hint="use another --separator, or none",
            )
        if unknown == "skip" and unseen:
            dropped = np.zeros(CODE_POINTS, bool)
            dropped[strange] = True
        elif unseen:
            vocab = Vocab(vocab.characters + "".join(sorted(unseen)))
    codes_V = np.frombuffer(vocab.to_code_points(), "<u4")
    ids = np.zeros(CODE_POINTS, DTYPES[ids_dtype(len(vocab))])
    ids[codes_V] = np.arange(len(vocab))
    ids = ids[mapped]
    if dropped is not None:
        counts = np.where(dropped, 0, counts)
    counts_V = np.zeros(len(vocab), np.uint64)
    np.add.at(counts_V, ids[present], counts[present])
    return SymbolTable(vocab, counts_V, ids, dropped, unseen)


def described_characters(counts: dict[str, int], number: int | None = None) -> str:
    """`3 characters, 'Ω' (U+03A9) 12x, ...`: the commonest by name; `number` where `counts` has not all of them."""
    number = len(counts) if number is None else number
    named = [
        f"{named_character(character)} {count:,}x"
        for character, count in list(counts.items())[:MOST_NAMED]
    ]
    more = f" and {number - MOST_NAMED:,} more" if number > MOST_NAMED else ""
    noun = "a character" if number == 1 else f"{number:,} characters"
    return f"{noun}, {', '.join(named)}{more},"
