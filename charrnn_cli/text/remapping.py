"""Translating a text to the ids of another vocabulary."""

import dataclasses
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.corpus_file import Ids
from charrnn_cli.text.vocab import Vocab, named_characters

# N characters · V vocabulary · B blocks · D documents

BLOCK = 1 << 12  # characters; skipped characters are counted per block
BLOCKS_PER_PIECE = 64  # read at a time


def in_vocabulary(
    corpus: Corpus,
    vocab: Vocab,
    *,
    skipped: Collection[str] = (),
    replacement: str | None = None,
) -> Corpus:
    """Return the text with the ids of `vocab`, and with the same name and digest.

    The characters of `skipped` are left out, and the text is shorter. Other characters outside
    `vocab` become `replacement`, if given; otherwise they raise UnknownCharacterError. Nothing is
    copied: ids are translated when they are read.
    """
    characters = corpus.vocab.characters
    skipped = set(characters).intersection(skipped)
    if corpus.vocab == vocab and not skipped:
        return corpus
    lacking = [each for each in characters if each not in vocab and each not in skipped]
    if lacking and replacement is None:
        raise _unknown_error(corpus.name, lacking)
    known_V = np.array([character not in skipped for character in characters], bool)
    ids_V = np.zeros(len(known_V), np.uint32)
    ids_V[known_V] = vocab.encode(
        "".join(
            character if character in vocab else replacement or ""
            for character in characters
            if character not in skipped
        )
    )
    counts_V = np.zeros(len(vocab), np.uint64)
    np.add.at(counts_V, ids_V[known_V], corpus.counts_V[known_V])
    if not skipped:
        return Corpus(
            vocab,
            counts_V,
            lambda start, stop: ids_V[corpus.read(start, stop)],
            corpus.header,
            corpus.sha256,
            corpus.starts_D,
        )
    kept = _KnownCharacters(corpus, known_V)
    return Corpus(
        vocab,
        counts_V,
        lambda start, stop: ids_V[kept.read(start, stop)],
        dataclasses.replace(corpus.header, characters=kept.count),
        corpus.sha256,
        kept.starts_D,
    )


def _unknown_error(name: str, characters: list[str]) -> UnknownCharacterError:
    named = named_characters(characters)
    return UnknownCharacterError(
        f"the text {name!r} has characters that the model's vocabulary lacks: {named}",
        hint="skip them with --unknown skip, or use a model trained on a text that has them",
    )


class _KnownCharacters:
    """A text without the characters that a vocabulary lacks, in the text's own ids.

    One pass counts the known characters before each block, so that any span can be read later.
    """

    def __init__(self, corpus: Corpus, known_V: npt.NDArray[np.bool_]) -> None:
        self._corpus, self._known_V = corpus, known_V
        starts_D = corpus.starts_D
        new_starts_D = np.zeros_like(starts_D)
        before_B: list[int] = []
        self.count = 0
        piece = BLOCK * BLOCKS_PER_PIECE
        for start in range(0, len(corpus), piece):
            stop = min(start + piece, len(corpus))
            known_N = known_V[corpus.read(start, stop)]
            before_N = self.count + np.cumsum(known_N) - known_N
            before_B += before_N[::BLOCK].tolist()
            here = slice(*np.searchsorted(starts_D, (start, stop)))
            new_starts_D[here] = before_N[starts_D[here] - start]
            self.count += int(np.count_nonzero(known_N))
        new_starts_D[starts_D >= len(corpus)] = self.count
        self.starts_D = new_starts_D
        self._before_B = np.array([*before_B, self.count])

    def read(self, start: int, stop: int) -> Ids:
        """Return the ids of the known characters from `start` to `stop`, (stop - start,)."""
        first = int(np.searchsorted(self._before_B, start, side="right")) - 1
        last = max(first, int(np.searchsorted(self._before_B, stop)))
        begin, end = (min(block * BLOCK, len(self._corpus)) for block in (first, last))
        ids = self._corpus.read(begin, end)
        skipped = int(self._before_B[first])
        return ids[self._known_V[ids]][start - skipped : stop - skipped]
