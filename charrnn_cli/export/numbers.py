"""Arrays of numbers in a page, one after the other, as base64."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_cli.text.corpus_file import DTYPES

ALIGNMENT = 8  # bytes; typed arrays of JavaScript start at a multiple of their numbers' size

_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()} | {
    np.dtype("<f4"): "F32",
    np.dtype("<f2"): "F16",
    np.dtype("i1"): "I8",
}


class Numbers:
    """The arrays of a page."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        """Bytes."""
        self.tensors: dict[str, dict[str, Any]] = {}
        """Type, shape and first byte of each array, by its name."""

    def add(self, name: str, array: npt.NDArray[Any]) -> None:
        """Append an array of a type that pages read."""
        start = self.append(array)
        self.tensors[name] = {"dtype": _NAMES[array.dtype], "shape": array.shape, "start": start}

    def append(self, array: npt.NDArray[Any]) -> int:
        """Append an array without a name; return its first byte."""
        start = self.size
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        self._pieces += [data, bytes(-len(data) % ALIGNMENT)]
        self.size += len(data) + len(self._pieces[-1])
        return start

    def as_base64(self) -> str:
        """Return all arrays."""
        return base64.b64encode(b"".join(self._pieces)).decode("ascii")
