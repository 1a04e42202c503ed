"""The settings that a study tries: values to choose from, and ranges. Pure functions."""

import dataclasses
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import MODEL, OPTIMIZATION, TrainConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.settings import about, choices, fields_of
from charrnn_cli.storage.near_names import near_names
from charrnn_cli.training.presets import from_preset
from charrnn_cli.training.tuning.dimension import RELATIVE, Dimension, Params, Space

MAX_DROPOUT = 0.8
_LIMITS = ("epochs", "max_steps", "max_time")
_FORMS = "use --set size=256,512, --set dropout=0..0.6 or --set lr=1e-3..8e-3:log"
_RANGE = re.compile(r"(?P<low>[^:]+?)\.\.(?P<high>[^:]+?)(?P<log>:log)?")

_FROM_RANDOM = (
    Dimension(name="size", values=(256, 384, 512, 768)),
    Dimension(name="layers", values=(1, 2, 3)),
    Dimension(name=RELATIVE, low=-0.2, high=0.3),
    Dimension(name="lr", low=1e-3, high=8e-3, is_log=True),
    Dimension(name="weight_decay", low=0.03, high=0.5, is_log=True),
)
_FROM_WEIGHTS = (
    Dimension(name="dropout", low=0.1, high=0.7),
    Dimension(name="lr", low=3e-4, high=3e-3, is_log=True),
    Dimension(name="weight_decay", low=0.03, high=0.5, is_log=True),
)


def default_space(given: Collection[str], *, is_warm: bool) -> Space:
    """Return the usual space without the settings that are given."""
    fixed = {*given, *([RELATIVE] if "dropout" in given else [])}
    return tuple(
        each for each in (_FROM_WEIGHTS if is_warm else _FROM_RANDOM) if each.name not in fixed
    )


def parse_space(typed: Sequence[str], given: Collection[str], *, is_warm: bool) -> Space:
    """Return the space that `--set` describes. Raises ConfigError."""
    space = tuple(map(_parse, typed))
    for index, each in enumerate(space):
        if each.name in given:
            raise ConfigError(
                f"{each.name} is fixed and searched",
                hint=f"leave out --set {each.name} or its option",
            )
        if any(other.name == each.name for other in space[:index]):
            raise ConfigError(f"{each.name} is searched twice", hint="leave out one of them")
        if is_warm and each.name in fields_of(ModelConfig) and each.name != "ngram":
            raise ConfigError(
                f"--init-from sets {each.name}", hint=f"leave out --set {each.name}, or --init-from"
            )
    return space


def _parse(typed: str) -> Dimension:
    name, equals, text = typed.partition("=")
    name = name.strip().replace("-", "_")
    known = _searchable()
    if not equals or name not in known:
        near = near_names(name, known)
        hint = f"did you mean {' or '.join(near)}?" if near and equals else _FORMS
        raise ConfigError(f"--set cannot search {typed!r}", hint=hint)
    kinds = choices(known[name].type)
    match = _RANGE.fullmatch(text.strip())
    try:
        if match is None:
            values = dict.fromkeys(_value(each.strip(), kinds) for each in text.split(","))
            found = Dimension(name=name, values=tuple(values))
        else:
            found = _range(name, match, is_integer=float not in kinds)
    except ValueError:
        raise ConfigError(f"--set cannot search {typed!r}", hint=_FORMS) from None
    for value in found.values or found.bounds:
        from_preset("default", {name: value})
    return found


def _range(name: str, match: "re.Match[str]", *, is_integer: bool) -> Dimension:
    low, high = float(match["low"]), float(match["high"])
    is_log = match["log"] is not None
    if not low < high or not math.isfinite(high - low) or (is_log and low <= 0):
        raise ValueError
    if is_integer and not (low.is_integer() and high.is_integer()):
        raise ValueError
    return Dimension(name=name, low=low, high=high, is_log=is_log, is_integer=is_integer)


def _value(text: str, kinds: tuple[Any, ...]) -> Any:
    if text in kinds:  # a Literal
        return text
    if int in kinds and float not in kinds:
        return int(text)
    if float in kinds:
        return float(text)
    raise ValueError


def _searchable() -> dict[str, "dataclasses.Field[Any]"]:
    both = {**fields_of(ModelConfig), **fields_of(TrainConfig)}
    return {
        name: field
        for name, field in both.items()
        if about(field).group in (MODEL, OPTIMIZATION) and name not in _LIMITS
    }


def default_params(space: Space, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the default recipe, or the nearest in the space."""
    return {
        each.name: 0.0 if each.name == RELATIVE else each.nearest(defaults.get(each.name))
        for each in space
    }


def with_defaults(space: Space, defaults: Mapping[str, Any]) -> Space:
    """Return the space with the default recipe's own values among those to choose from."""
    widened = []
    for each in space:
        default = defaults.get(each.name)
        if each.values and default is not None and default not in each.values:
            each = dataclasses.replace(each, values=tuple(sorted({*each.values, default})))
        widened.append(each)
    return tuple(widened)


def settings_of(params: Params) -> dict[str, Any]:
    """Return the settings of a trial; a relative dropout becomes a fixed one later."""
    return {name: value for name, value in params.items() if name != RELATIVE}


def described(params: Params, default: Params) -> str:
    """Describe how a trial differs from the default recipe."""
    parts = [
        f"{'dropout auto' if name == RELATIVE else name.replace('_', ' ')} "
        f"{_shown(value, is_signed=name == RELATIVE)}"
        for name, value in params.items()
        if value != default.get(name)
    ]
    return ", ".join(parts) or "default"


def _shown(value: Any, *, is_signed: bool) -> str:
    if isinstance(value, float):
        return f"{value:+.2g}" if is_signed else f"{value:.3g}"
    return str(value)
