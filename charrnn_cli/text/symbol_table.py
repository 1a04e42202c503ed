"""Mapping the code points of a text to the ids of its own vocabulary, or of a given one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import ConfigError, TextError, UnknownCharacterError
from charrnn_cli.text.character_names import named_character
from charrnn_cli.text.corpus_file import DTYPES, Ids, ids_dtype
from charrnn_cli.text.pieces import Piece
from charrnn_cli.text.vocab import Vocab

# V vocabulary

CODE_POINTS = 0x110000
REPLACEMENT = 0xFFFD
MAX_NAMED = 10  # unseen characters in a message

Counts = npt.NDArray[np.uint64]
CodePoints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """The encoding of each code point of a text."""

    vocab: Vocab
    counts: Counts
    """Number of occurrences of each symbol in the encoded text, (V,)."""
    ids: Ids
    """The id of each code point, (0x110000,)."""
    skipped: npt.NDArray[np.bool_] | None
    """Mask (0x110000,) of the code points that are left out; None if all are kept."""
    unseen: dict[str, int]
    """Counts of the characters that a given vocabulary lacks, the most frequent first."""


def symbol_table(
    counts: Counts,
    options: TextOptions,
    vocab: Vocab | None,
    unknown: Unknown,
    end: str = "",
) -> SymbolTable:
    """Build the table for a text whose code points occur `counts` times, (0x110000,).

    The text gets its own vocabulary, or `vocab`; `unknown` says how to treat characters that
    `vocab` lacks. The separator, and `end`, the end symbol of documents, are never replaced or left
    out. Raises UnknownCharacterError, ConfigError, TextError.
    """
    surrogates = np.flatnonzero(counts[0xD800:0xE000])
    if len(surrogates):
        raise TextError(
            f"the text contains an unpaired surrogate, U+{0xD800 + surrogates[0]:04X}",
            hint="check --encoding",
        )
    if vocab is None:
        return _table_of_text(counts, options, end)
    return _table_of_vocabulary(counts, options, vocab, unknown, end)


def _table_of_text(counts: Counts, options: TextOptions, end: str) -> SymbolTable:
    """Take every character of the text, in order; rare ones become U+FFFD."""
    present = np.flatnonzero(counts)
    rare = present[counts[present] < options.min_count]
    symbols = np.arange(CODE_POINTS)
    symbols[np.setdiff1d(rare, code_points(options.separator + end))] = REPLACEMENT
    vocab = Vocab.from_code_points(np.unique(symbols[present]).astype("<u4").tobytes())
    ids = _ids(vocab)[symbols]
    return SymbolTable(vocab, _symbol_counts(counts, ids, vocab), ids, None, {})


def _table_of_vocabulary(
    counts: Counts, options: TextOptions, vocab: Vocab, unknown: Unknown, end: str
) -> SymbolTable:
    """Use the ids of a vocabulary; `unknown` says how to treat characters that it lacks."""
    if end not in vocab.characters and unknown != "extend":
        raise UnknownCharacterError(
            f"the vocabulary lacks the end of an item, {named_character(end)}",
            hint="use a model trained with these --documents, or train a new one",
        )
    missing = np.setdiff1d(np.flatnonzero(counts), code_points(vocab.characters))
    missing = missing[np.argsort(-counts[missing].astype(np.int64), kind="stable")]
    never = code_points(options.separator + end)
    replaced = _replaced(missing[~np.isin(missing, never)], counts, options, vocab, unknown)
    others = missing[~np.isin(missing, replaced)]
    unseen = _named_counts(missing, counts)
    skipped = None
    match unknown:
        case "error":
            if len(others):
                raise UnknownCharacterError(
                    f"the vocabulary lacks {described_characters(_named_counts(others, counts))}",
                    hint="leave them out with --unknown skip",
                )
        case "skip":
            if np.isin(code_points(options.separator), others).any():
                raise UnknownCharacterError(
                    f"the vocabulary lacks the separator {options.separator!r}",
                    hint="use another --separator, or none",
                )
            if len(others):
                skipped = np.zeros(CODE_POINTS, bool)
                skipped[others] = True
                counts = np.where(skipped, 0, counts)
        case "extend":
            new = {REPLACEMENT} if len(replaced) and chr(REPLACEMENT) not in vocab else set()
            new.update(others.tolist())
            vocab = Vocab(vocab.characters + "".join(map(chr, sorted(new))))
        case _:
            raise ConfigError(f"unknown must be one of error, skip, extend; got {unknown!r}")
    ids = _ids(vocab)
    if len(replaced):
        ids[replaced] = ids[REPLACEMENT]
    return SymbolTable(vocab, _symbol_counts(counts, ids, vocab), ids, skipped, unseen)


def _replaced(
    missing: CodePoints, counts: Counts, options: TextOptions, vocab: Vocab, unknown: Unknown
) -> CodePoints:
    """Return the code points, of those `missing` in a vocabulary, that become U+FFFD.

    All of them are rare in the text of the vocabulary, but not in a text that extends it.
    """
    if options.min_count == 1 or unknown == "skip":
        return missing[:0]
    if unknown == "extend":
        return missing[counts[missing] < options.min_count]
    if chr(REPLACEMENT) not in vocab:
        raise ConfigError(
            "--min-count needs a vocabulary with U+FFFD, the replacement of rare characters",
            hint="leave out --min-count",
        )
    return missing


def _named_counts(codes: CodePoints, counts: Counts) -> dict[str, int]:
    return {chr(code): int(counts[code]) for code in codes.tolist()}


def _ids(vocab: Vocab) -> Ids:
    """Return the id of each code point, (0x110000,); 0 if the vocabulary lacks it."""
    ids: Ids = np.zeros(CODE_POINTS, DTYPES[ids_dtype(len(vocab))])
    ids[code_points(vocab.characters)] = np.arange(len(vocab))
    return ids


def _symbol_counts(counts: Counts, ids: Ids, vocab: Vocab) -> Counts:
    present = np.flatnonzero(counts)
    counts_V = np.zeros(len(vocab), np.uint64)
    np.add.at(counts_V, ids[present], counts[present])
    return counts_V


def code_points(piece: Piece) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return the code points of a piece, (characters,): 1 byte each in ASCII, otherwise 4."""
    if isinstance(piece, bytes):
        return np.frombuffer(piece, np.uint8)
    return np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")


def described_characters(counts: dict[str, int], number: int | None = None) -> str:
    """Name the most frequent characters: `3 characters: 'Ω' (U+03A9) 12x, ...`.

    `number` is the total number of characters, if `counts` does not hold all of them.
    """
    number = len(counts) if number is None else number
    named = [
        f"{named_character(character)} {count:,}x"
        for character, count in list(counts.items())[:MAX_NAMED]
    ]
    more = f" and {number - MAX_NAMED:,} more" if number > MAX_NAMED else ""
    noun = "1 character" if number == 1 else f"{number:,} characters"
    return f"{noun}: {', '.join(named)}{more}"
