"""Hashes of all windows of a text: polynomials modulo 2^64 (Karp and Rabin 1987).

All windows are hashed together, by doubling: the hash of a + b ids is h_a · B^b + h_b.
"""

import numpy as np
import numpy.typing as npt

# N characters

_BASE = 0x9E3779B97F4A7C15  # any large odd number
_FILTER_BITS = 16
FILTER_SIZE = 1 << _FILTER_BITS

Hashes = npt.NDArray[np.uint64]


def window_hashes(ids_N: Hashes, length: int) -> Hashes:
    """Return the hash of every window of `length` ids, shape (N - length + 1,)."""
    if len(ids_N) < length:
        return np.zeros(0, np.uint64)
    power = ids_N + np.uint64(1)  # of windows of 1, 2, 4, ... ids
    result: Hashes | None = None
    covered, size = 0, 1
    while True:
        if length & size:
            if result is None:
                result = power[: len(ids_N) - size + 1]
            else:
                shifted = power[covered:]
                result = result[: len(shifted)] * _base_power(size) + shifted
            covered += size
        if covered == length:
            return result if result is not None else power
        power = power[:-size] * _base_power(size) + power[size:]
        size *= 2


def _base_power(exponent: int) -> np.uint64:
    return np.uint64(pow(_BASE, exponent, 1 << 64))


def filter_key(hashes: Hashes) -> npt.NDArray[np.intp]:
    """Return the upper bits of each hash, below `FILTER_SIZE`."""
    return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.intp)
