"""The time of day, as logs record it."""

import time
from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time as `utc_time` writes it."""
    return utc_time(time.time())


def utc_time(seconds: float) -> str:
    """Return a Unix time in ISO 8601, in UTC and whole seconds: `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
