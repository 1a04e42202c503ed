"""Checked dataclasses: types, ranges, and a way to and from plain JSON."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self

from charrnn_cli.errors import ConfigError


class Settings:
    """Shared by the configurations: checked types, and a way to and from plain JSON."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raises ConfigError, which tells all that is wrong at once."""
        problems = []
        for name, hint in type_hints(type(self)).items():
            value = getattr(self, name)
            if type(value) is int and float in _choices(hint):
                value = float(value)
                object.__setattr__(self, name, value)
            problems.append(_type_problem(name, value, hint))
        found = [
            problem for problem in (problems if any(problems) else self._problems()) if problem
        ]
        if found:
            raise ConfigError("; ".join(found))

    def _problems(self) -> list[str | None]:
        """What is wrong with values of the right types; None where nothing is."""
        return []

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]  # subclasses are dataclasses

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Raises ConfigError where a field is unknown, missing, mistyped or out of range."""
        unknown = sorted(set(raw) - set(type_hints(cls)))
        if unknown:
            raise ConfigError(f"unknown setting {unknown[0]!r}")
        try:
            return cls(**raw)
        except TypeError as error:
            raise ConfigError(f"incomplete settings: {error}") from error


def type_hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@cache
def _choices(hint: Any) -> tuple[Any, ...]:
    """A hint's members: types, or the literal values it admits."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        return tuple(choice for part in typing.get_args(hint) for choice in _choices(part))
    return typing.get_args(hint) if origin is Literal else (hint,)


def _type_problem(name: str, value: object, hint: Any) -> str | None:
    choices = _choices(hint)
    if type(value) is str and str not in choices:
        if value not in choices:
            names = ", ".join(choice for choice in choices if isinstance(choice, str))
            return f"{name.replace('_', ' ')} must be one of {names}; got {value!r}"
    elif type(value) not in choices:
        return f"{name.replace('_', ' ')} has the wrong type: {value!r}"
    return None


def range_problem(name: str, value: float | None, low: float, high: float = math.inf) -> str | None:
    if value is None or (low <= value <= high and math.isfinite(value)):
        return None
    bounds = f"at least {low:,}" if high == math.inf else f"from {low:,} to {high:,}"
    return f"{name} must be {bounds}; got {value}"
