"""Parsers for option values."""

import re
from collections.abc import Callable
from typing import TypeVar

from charrnn_cli.errors import ConfigError

Number = TypeVar("Number", int, float)

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds per unit of a duration, the largest unit first."""
_PARTS = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit} *)?" for unit in UNITS))
_CLOCK = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")
_UNCLEAR = re.compile(r"(\d+):([0-5]?\d)")
_FORMS_HINT = "use a form such as 90s, 20m, 1h30m, 1d12h or 1:30:00"


def parse_duration(text: str | float) -> float:
    """Convert `90`, `90s`, `20m`, `1h30m`, `1d12h` or `1:30:00` to seconds. Raises ConfigError."""
    typed = str(text).strip().lower()  # a TOML file may contain a number
    try:
        return float(typed)
    except ValueError:
        pass
    if clock := _CLOCK.fullmatch(typed):
        return sum(
            float(part) * UNITS[unit] for part, unit in zip(clock.groups(), "hms", strict=True)
        )
    if unclear := _UNCLEAR.fullmatch(typed):
        first, second = unclear.groups()
        raise ConfigError(
            f"{text!r} may mean hours and minutes, or minutes and seconds",
            hint=f"use {first}h{second}m or {first}m{second}s",
        )
    parts = _PARTS.fullmatch(typed)
    if not parts or not any(parts.groups()):
        raise ConfigError(f"{text!r} is not a duration", hint=_FORMS_HINT)
    return sum(
        float(part or 0) * UNITS[unit] for part, unit in zip(parts.groups(), UNITS, strict=True)
    )


def parse_temperatures(text: str | float) -> tuple[float, ...]:
    """Convert `0.8` or `0.5,0.8,1.2` to numbers. Raises ConfigError."""
    try:
        temperatures = tuple(float(part) for part in str(text).split(","))
    except ValueError as error:
        problem = "temperature must be a number, or numbers with commas between"
        raise ConfigError(f"{problem}; got {text!r}") from error
    for index, temperature in enumerate(temperatures):
        if temperature in temperatures[:index]:
            raise ConfigError(
                f"temperature {temperature:g} is given twice", hint="leave out one of them"
            )
    return temperatures


def parse_dropout(text: str | float) -> float | str:
    """Return a probability or `auto`. Raises ConfigError."""
    return _or_auto(text, float, "dropout must be a number or auto")


def parse_ngram(text: str | int) -> int | str:
    """Return an order of n-grams or `auto`. Raises ConfigError."""
    # A TOML file may contain a fraction, or infinity.
    return _or_auto(text, lambda typed: int(str(typed)), "ngram must be an integer or auto")


def _or_auto(
    text: str | float, convert: Callable[[str | float], Number], problem: str
) -> Number | str:
    if text == "auto":
        return "auto"
    try:
        return convert(text)
    except ValueError as error:
        raise ConfigError(f"{problem}; got {text!r}") from error
