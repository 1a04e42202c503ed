"""A text without the characters that a vocabulary lacks."""

import numpy as np

from charrnn_cli.text.corpus import Corpus, Ids
from charrnn_cli.text.vocab import Vocab

# N characters of the text · V vocabulary · B blocks

BLOCK = 4096  # characters; a short stretch is read from one or two blocks


def without_unknown(corpus: Corpus, vocab: Vocab) -> tuple[Corpus, int]:
    """Leave out the characters that `vocab` lacks. Returns the rest, and the number left out.

    The rest is read from `corpus` block by block and never held whole. It is one document.
    """
    known_V = np.array([character in vocab for character in corpus.vocab.characters], bool)
    if known_V.all():
        return corpus, 0
    new_ids_V = (np.cumsum(known_V) - 1).astype(np.uint32)
    starts = range(0, len(corpus), BLOCK)

    def block(number: int) -> Ids:
        start = starts[number]
        ids_N = corpus.read(start, min(start + BLOCK, len(corpus)))
        kept: Ids = new_ids_V[ids_N[known_V[ids_N]]]
        return kept

    ends_B = np.cumsum([len(block(number)) for number in range(len(starts))])

    def read(start: int, stop: int) -> Ids:
        if start == stop:
            return np.zeros(0, np.uint32)
        first = int(np.searchsorted(ends_B, start, side="right"))
        last = int(np.searchsorted(ends_B, stop, side="left"))
        ids_N = np.concatenate([block(number) for number in range(first, last + 1)])
        offset = int(ends_B[first - 1]) if first else 0
        return ids_N[start - offset : stop - offset]

    characters = "".join(character for character in corpus.vocab.characters if character in vocab)
    size = int(ends_B[-1]) if len(ends_B) else 0
    counts_V = corpus.counts_V[known_V]
    metadata = {"name": corpus.name, "characters": size}
    return Corpus(Vocab(characters), counts_V, read, metadata), len(corpus) - size
