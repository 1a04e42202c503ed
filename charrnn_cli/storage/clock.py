"""The time of day, as logs record it."""

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time in ISO 8601, in UTC and whole seconds: `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
