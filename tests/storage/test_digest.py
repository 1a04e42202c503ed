"""Digests computed in the background."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.storage.digest import SMALL, BackgroundDigest

SIZES = st.sampled_from([0, 1, 100, SMALL - 1, SMALL, 3 * SMALL])


@given(st.lists(st.tuples(SIZES, st.binary(min_size=1, max_size=4))))
def test_background_digest_is_sha256(pieces: list[tuple[int, bytes]]) -> None:
    """The digest is right at any time, for pieces of any size and for buffers that change later."""
    background, plain = BackgroundDigest(), hashlib.sha256()
    for size, seed in pieces:
        data = (seed * (1 + size // len(seed)))[:size]
        background.update(data)
        buffer = bytearray(data)
        background.update(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
        plain.update(data * 2)
        assert background.hexdigest() == plain.hexdigest()
