"""Parsers for option values."""

import re

from charrnn_cli.errors import ConfigError

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str | float) -> float:
    """Convert `90`, `90s`, `20m` or `1h30m` to seconds. Raises ConfigError."""
    match = _DURATION.fullmatch(str(text).strip().lower())  # a TOML file may contain a number
    if not match or not any(match.groups()):
        raise ConfigError(
            f"{text!r} is not a duration", hint="use a form such as 90s, 20m or 1h30m"
        )
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def parse_dropout(text: str | float) -> float | str:
    """Return a probability or `auto`. Raises ConfigError."""
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"dropout must be a number or auto; got {text!r}") from error
