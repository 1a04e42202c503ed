"""SHA-256, computed in the background."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

SMALL = 1 << 16  # bytes; fewer are hashed in less than the 30 µs that another thread costs


class BackgroundDigest:
    """SHA-256 of a stream, computed on another core while the caller prepares the next piece.

    hashlib releases the interpreter lock. Only large `bytes` go to another thread, because they
    cannot change later. Other buffers, such as the arrays of a checkpoint, are hashed immediately:
    nothing else is computed while they are written; hashing 13 MB takes 20 ms, and a thread saved
    nothing.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def update(self, data: bytes | memoryview) -> None:
        """Add a piece. A buffer other than `bytes` may be changed after the call."""
        self._wait()
        if isinstance(data, bytes) and len(data) >= SMALL:
            self._pool = self._pool or ThreadPoolExecutor(1, "digest")
            self._last = self._pool.submit(self._digest.update, data)
        else:
            self._digest.update(data)

    def hexdigest(self) -> str:
        """Return the digest of all data so far."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
            self._last = None
