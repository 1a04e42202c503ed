"""A text as one document between end symbols."""

from dataclasses import replace

import numpy as np

from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.corpus_file import Ids
from charrnn_cli.text.items import end_error


def between_ends(corpus: Corpus, end: str) -> Corpus:
    """Return a text without end symbols as one document; its vocabulary has the end symbol.

    Nothing is copied. Raises TextError if the text contains the end symbol.
    """
    (end_id,) = corpus.vocab.encode(end)
    if corpus.counts_V[end_id]:
        raise end_error(f"the text {corpus.name!r}", "a document")
    counts_V = corpus.counts_V.copy()
    counts_V[end_id] = 2
    length = len(corpus)

    def read(start: int, stop: int) -> Ids:
        first, last = (min(max(place - 1, 0), length) for place in (start, stop))
        ids = corpus.read(first, last)
        before = int(start == 0 and stop > 0)
        after = stop - start - len(ids) - before
        return np.pad(ids, (before, after), constant_values=end_id)

    header = replace(corpus.header, characters=length + 2, documents=1, end=end)
    return Corpus(corpus.vocab, counts_V, read, header, corpus.sha256)
