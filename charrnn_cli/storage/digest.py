"""SHA-256 beside other work."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

SMALL = 1 << 16  # bytes that are hashed sooner than handed over: 30 µs


class BackgroundDigest:
    """SHA-256 of a stream: a large piece is hashed on another core while the caller goes on to the next.

    hashlib lets other threads run meanwhile. Only `bytes` are handed over, since nobody can change them later.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def update(self, data: bytes | memoryview) -> None:
        self._wait()
        if isinstance(data, bytes) and len(data) >= SMALL:
            self._pool = self._pool or ThreadPoolExecutor(1, "digest")
            self._last = self._pool.submit(self._digest.update, data)
        else:
            self._digest.update(data)

    def hexdigest(self) -> str:
        """Of all so far."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
            self._last = None
