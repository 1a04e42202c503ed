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
    """Return the hash of every window of `length` ids, at least 1: shape (N - length + 1,)."""
    if len(ids_N) < length:
        return np.zeros(0, np.uint64)
    ones = ids_N + np.uint64(1)
    result, covered = ones, 1
    for bit in f"{length:b}"[1:]:  # the leading bit is the window of one id
        result = result[:-covered] * _base_power(covered) + result[covered:]
        covered *= 2
        if bit == "1":
            result = result[:-1] * _base_power(1) + ones[covered:]
            covered += 1
    return result


def _base_power(exponent: int) -> np.uint64:
    return np.uint64(pow(_BASE, exponent, 1 << 64))


def filter_key(hashes: Hashes) -> npt.NDArray[np.intp]:
    """Return the upper bits of each hash, below `FILTER_SIZE`."""
    return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.intp)
