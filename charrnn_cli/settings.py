"""Dataclasses of settings.

Each field declares its default, range and help text; values are checked, and convert to plain JSON.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self

from charrnn_cli.errors import ConfigError

MAX_INTEGER = 2**63 - 1  # of a setting without a range of its own

_KEY = "about"
_KINDS = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """A setting's help text and the numbers it accepts."""

    help: str
    """Text for `--help`."""
    group: str = ""
    """Panel in `--help`."""
    label: str = ""
    """Name in errors; by default, the field's name with spaces."""
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    """Exclusive lower bound."""
    below: float = math.inf
    """Exclusive upper bound."""
    longest: int | None = None
    """Maximum length of a string, list or object."""
    metavar: str | None = None
    """Placeholder for the value in `--help`; by default, the choices or the type."""
    escapes: bool = False
    """Whether a value that is typed as an option has escapes, such as `\\n`."""
    shown: str | None = None
    """Default to show in `--help` for a setting that is None until training chooses it."""

    def problem(self, label: str, value: object) -> str | None:
        """Return the problem with a number's range or another value's length, or None."""
        if isinstance(value, str | list | dict):
            is_long = self.longest is not None and len(value) > self.longest
            return f"{label} is longer than {self.longest:,}" if is_long else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        if isinstance(value, float) and not math.isfinite(value):
            return f"{label} must be a finite number; got {value}"
        if not (self.low <= value <= self.high and self.above < value < self.below):
            return f"{label} must be {self._bounds()}; got {value}"
        if isinstance(value, int) and value > MAX_INTEGER:
            return f"{label} must be at most {MAX_INTEGER:,}; got {value}"
        return None

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
        return " and ".join(found)


def setting(default: Any, help: str, group: str = "", **about: Any) -> Any:  # noqa: A002
    """Declare a dataclass field with a default; the other arguments are passed to `About`."""
    return dataclasses.field(default=default, metadata=required(help, group, **about))


def required(help: str, group: str = "", **about: Any) -> dict[str, Any]:  # noqa: A002
    """Return the metadata of a field without a default, for `dataclasses.field`."""
    return {_KEY: About(help=help, group=group, **about)}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Base of the configurations: fields with checked types and ranges, to and from plain JSON."""

    def __post_init__(self) -> None:
        """Raise ConfigError with all problems at once."""
        check_fields(self, self._problems)

    def _problems(self) -> list[str | None]:
        """Return the problems of settings in combination; a None is ignored."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the settings by name, as plain values."""
        return dataclasses.asdict(self)

    def replaced(self, given: Mapping[str, Any]) -> Self:
        """Return the settings with some of them replaced by name. Raises as `from_json` does."""
        return self.from_json({**self.to_json(), **given})

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build the settings from plain values.

        Raises ConfigError if one is unknown, missing, mistyped or out of range.
        """
        fields = fields_of(cls)
        if not isinstance(raw, Mapping):
            raise ConfigError("settings must be names with values")
        if unknown := sorted(raw.keys() - fields.keys()):
            raise ConfigError(f"unknown setting {unknown[0]!r}")
        for name in fields.keys() - raw.keys():
            if fields[name].default is dataclasses.MISSING:
                raise ConfigError(f"missing setting {name!r}")
        return cls(**raw)


def check_fields(instance: Any, others: Callable[[], list[str | None]] = list) -> None:
    """Check the types and ranges of a dataclass's settings; integers become floats where needed.

    `others` returns the problems of values in combination. Raises ConfigError with all problems.
    """
    fields = fields_of(type(instance))
    problems = []
    for name, field in fields.items():
        value = getattr(instance, name)
        if type(value) is int and float in choices(field.type):
            value = _float(value)
            object.__setattr__(instance, name, value)
        problems.append(_type_problem(_label(field), value, field.type))
    if not any(problems):
        problems = [
            about(field).problem(_label(field), getattr(instance, name))
            for name, field in fields.items()
        ]
        problems += others()
    found = [problem for problem in problems if problem]
    if found:
        raise ConfigError("; ".join(found))


def fields_of(cls: Any) -> Mapping[str, dataclasses.Field[Any]]:
    """Return the settings of a class by name, with their types and defaults."""
    return _fields(cls)


@functools.cache  # with this and the other caches, a header is checked in half the time
def _fields(cls: Any) -> Mapping[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(cls)}


def about(field: dataclasses.Field[Any]) -> About:
    """Return a setting's help, range and other metadata."""
    found: About = field.metadata[_KEY]
    return found


@functools.cache
def _label(field: dataclasses.Field[Any]) -> str:
    return about(field).label or field.name.replace("_every", "_interval").replace("_", " ")


def option_name(name: str) -> str:
    """Return the command-line option of a setting: `--max-steps` for `max_steps`."""
    return "--" + name.replace("_", "-")


def option_names(names: Iterable[str]) -> str:
    """Return the options of several settings: `--newlines and --normalize`."""
    return " and ".join(map(option_name, names))


def trained_with(name: str, recorded: object, given: object) -> str:
    """Describe the recorded value of a setting, and the different one that was given."""
    if isinstance(recorded, bool):
        return f"was trained {'with' if recorded else 'without'} {option_name(name)}"
    return f"was trained with {option_name(name)} {recorded}, not {given}"


def choices(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, the values of a Literal, or the type itself."""
    return _choices(hint)


@functools.cache
def _choices(hint: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        return tuple(choice for part in typing.get_args(hint) for choice in choices(part))
    return typing.get_args(hint) if origin is Literal else (hint,)


def _float(value: int) -> float:
    """Convert an integer; one of hundreds of digits becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _type_problem(label: str, value: object, hint: Any) -> str | None:
    if _fits(value, hint):
        return None
    accepted = choices(hint)
    names = [choice for choice in accepted if isinstance(choice, str)]
    kinds = [name for kind, name in _KINDS.items() if kind in accepted]
    others = " or ".join(kinds) or "of another type"
    expected = f"one of {', '.join(names)}" if names else others
    return f"{label} must be {expected}; got {value!r}"


def _fits(value: object, hint: Any) -> bool:
    """Return whether a value has a type: exactly, so that True is not a number."""
    if type(value) is hint:
        return True
    origin, arguments = _parts(hint)
    if origin is types.UnionType:
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return type(value) is str and value in arguments
    if origin in (list, tuple):
        return isinstance(value, origin) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(key, arguments[0]) and _fits(item, arguments[1]) for key, item in value.items()
        )
    return type(value) is (type(None) if hint is None else hint)


@functools.cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(hint), typing.get_args(hint)
