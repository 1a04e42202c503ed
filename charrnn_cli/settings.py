"""Checked dataclasses: a setting's default, range and help in one place, and plain JSON."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self

from charrnn_cli.errors import ConfigError

_KEY = "about"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a setting means, and which numbers it accepts."""

    help: str
    """The sentence for `--help`."""
    group: str = ""
    """The panel of `--help`."""
    label: str = ""
    """The name in errors; by default the field's name in words."""
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    """Exclusive lower bound."""
    below: float = math.inf
    """Exclusive upper bound."""
    metavar: str | None = None
    """The value in `--help`; by default the choices or the type."""
    shown: str | None = None
    """The default in `--help`, where None stands for a decision that is made later."""

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a number, or None; other values have no range."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        if (
            math.isfinite(value)
            and self.low <= value <= self.high
            and self.above < value < self.below
        ):
            return None
        return f"{self.label} must be {self._bounds()}; got {value}"

    def _bounds(self) -> str:
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"from {self.low:,} to {self.high:,}"
        bounds = (
            ("at least", self.low),
            ("above", self.above),
            ("at most", self.high),
            ("below", self.below),
        )
        found = [f"{words} {bound:,}" for words, bound in bounds if math.isfinite(bound)]
        return " and ".join(found) or "finite"


def setting(default: Any, help: str, group: str = "", **about: Any) -> Any:  # noqa: A002
    """Declare a dataclass field with its default; the other arguments are those of `About`."""
    return dataclasses.field(default=default, metadata=required(help, group, **about))


def required(help: str, group: str = "", **about: Any) -> dict[str, Any]:  # noqa: A002
    """Return the metadata of a field without a default, for `dataclasses.field`."""
    return {_KEY: About(help=help, group=group, **about)}


class Settings:
    """Base of the configurations: fields with checked types and ranges, to and from plain JSON."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raises ConfigError with every problem at once."""
        problems = []
        for name, hint in field_types(type(self)).items():
            value = getattr(self, name)
            if type(value) is int and float in choices(hint):
                value = float(value)
                object.__setattr__(self, name, value)
            problems.append(_type_problem(name, value, hint))
        if not any(problems):
            problems = [
                about(type(self), name).problem(getattr(self, name))
                for name in field_types(type(self))
            ]
            problems += self._problems()
        found = [problem for problem in problems if problem]
        if found:
            raise ConfigError("; ".join(found))

    def _problems(self) -> list[str | None]:
        """Return what is wrong with several settings together; a None is no problem."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the settings by name, as plain values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]  # subclasses are dataclasses

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the settings from plain values.

        Raises ConfigError if one is unknown, missing, mistyped or out of range.
        """
        unknown = sorted(set(raw) - set(field_types(cls)))
        if unknown:
            raise ConfigError(f"unknown setting {unknown[0]!r}")
        try:
            return cls(**raw)
        except TypeError as error:
            raise ConfigError(f"incomplete settings: {error}") from error


@cache
def field_types(cls: type) -> dict[str, Any]:
    """Return the type of each setting of a class, by name."""
    return {field.name: field.type for field in dataclasses.fields(cls)}


@cache
def about(cls: type, name: str) -> About:
    """Return what a class declares about one of its settings."""
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    found: About = field.metadata.get(_KEY) or About(help="")
    return found if found.label else dataclasses.replace(found, label=name.replace("_", " "))


def default_of(cls: type, name: str) -> Any:
    """Return a setting's default; it must have one."""
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    return field.default


def option_name(name: str) -> str:
    """Return the command-line option of a setting: `--max-steps` for `max_steps`."""
    return "--" + name.replace("_", "-")


@cache
def choices(hint: Any) -> tuple[Any, ...]:
    """Return the members of a type: types, or the values that a Literal admits."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        return tuple(choice for part in typing.get_args(hint) for choice in choices(part))
    return typing.get_args(hint) if origin is Literal else (hint,)


def _type_problem(name: str, value: object, hint: Any) -> str | None:
    label, accepted = name.replace("_", " "), choices(hint)
    if type(value) is str and str not in accepted:
        if value not in accepted:
            names = ", ".join(choice for choice in accepted if isinstance(choice, str))
            return f"{label} must be one of {names}; got {value!r}"
    elif type(value) not in accepted:
        return f"{label} has the wrong type: {value!r}"
    return None
