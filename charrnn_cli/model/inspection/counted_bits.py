"""What a model's n-grams alone expect at each character of a text."""

import numpy as np
import numpy.typing as npt

from charrnn_cli.model.inspection.trace import Trace
from charrnn_cli.model.ngram_reader import FLOOR
from charrnn_cli.model.ngrams import START, NgramModel

# N characters · K highest order · R characters at a time

AT_A_TIME = 2_000  # characters
FIVEGRAM = 5

Floats = npt.NDArray[np.float32]


def ngram_bits(trace: Trace, ngrams: NgramModel, order: int | None = None) -> Floats:
    """Return the surprise of n-grams at each character in bits, (N,); NaN as in the trace.

    `order` limits their length; by default, they are the longest that were counted.
    """
    size, known = len(trace.ids), ngrams.order - 1
    shown = known if order is None else min(order - 1, known)
    places_N = np.arange(size)
    firsts_N = trace.starts[np.searchsorted(trace.starts, places_N, side="right") - 1]
    bits_N = np.full(size, np.nan, np.float32)
    scored = np.flatnonzero(trace.is_scored)
    for at in range(0, len(scored), AT_A_TIME):
        places_R = scored[at : at + AT_A_TIME]
        # The end of a document is predicted from that document, where the next one starts.
        firsts_R = firsts_N[places_R - 1]
        contexts_RK = np.full((len(places_R), known), START, np.int32)
        for back in range(known):
            before_R = places_R - 1 - back
            is_known_R = before_R >= firsts_R
            contexts_RK[is_known_R, back] = trace.ids[before_R[is_known_R]]
        q_RV = ngrams.distributions(contexts_RK, np.full(len(places_R), shown))
        q_R = q_RV[np.arange(len(places_R)), trace.ids[places_R]]
        bits_N[places_R] = -np.log2(np.maximum(q_R, FLOOR))
    return bits_N
