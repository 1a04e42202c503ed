"""Which documents of a list are held out for validation: a function of each one's own text.

The same item is never on both sides, every run has the same split of a list, and a list that has
grown keeps it.
"""

from collections.abc import Iterator
from hashlib import blake2b
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import TextError
from charrnn_cli.text.corpus import CHUNK_CHARACTERS, Corpus

# D documents

Hashes = npt.NDArray[np.uint64]

_known_hashes = WeakKeyDictionary[Corpus, Hashes]()


def item_hash(text: str) -> int:
    """Return the first 8 bytes of the text's BLAKE2b digest, in UTF-8, as a number."""
    return int.from_bytes(blake2b(text.encode()).digest()[:8])


def document_hashes(corpus: Corpus) -> Hashes:
    """Return the `item_hash` of each document without its end symbol, (D,).

    They are computed once per corpus, which takes a second for 1.5 million items. Raises as
    `Corpus.read` does.
    """
    if corpus not in _known_hashes:
        hashes = [np.frombuffer(digests, ">u8").astype(np.uint64) for digests in _digests(corpus)]
        _known_hashes[corpus] = np.concatenate(hashes)
    return _known_hashes[corpus]


def _digests(corpus: Corpus) -> Iterator[bytes]:
    """Yield the joined first 8 bytes of the digests of documents, for a piece of the text each."""
    end = corpus.header.end
    code_points_V = np.frombuffer(corpus.vocab.to_code_points(), "<u4")
    digest = blake2b()  # of a document that began in an earlier piece
    for start in range(1, len(corpus), CHUNK_CHARACTERS):
        ids = corpus.read(start, min(start + CHUNK_CHARACTERS, len(corpus)))
        first, *others = code_points_V[ids].tobytes().decode("utf-32-le").split(end)
        digest.update(first.encode())
        if not others:
            continue
        *whole, rest = others
        found = [digest, *(blake2b(text.encode()) for text in whole)]
        yield b"".join(each.digest()[:8] for each in found)
        digest = blake2b(rest.encode())


def held_out_documents(hashes_D: Hashes, fraction: float) -> npt.NDArray[np.bool_]:
    """Return the mask (D,) of documents to hold out: those whose hash is below the fraction.

    At least one is held out, and at least one is not. Raises TextError if all are equal.
    """
    lowest, highest = hashes_D.min(), hashes_D.max()
    if lowest == highest:
        raise TextError(
            "validation needs at least 2 different documents",
            hint="train without validation: --val-fraction 0",
        )
    # A float of 53 bits is compared exactly with the upper bits of the hash.
    shares_D = (hashes_D >> np.uint64(11)) * 2.0**-53
    mask_D: npt.NDArray[np.bool_] = (shares_D < fraction) & (hashes_D != highest)
    return mask_D if mask_D.any() else hashes_D == lowest
