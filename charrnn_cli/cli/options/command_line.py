"""Commands to type next, written out."""

import shlex
from collections.abc import Mapping
from typing import Any

from charrnn_cli.config import PRESETS, TextOptions, from_preset
from charrnn_cli.storage.source import Source

_OF_PRESETS = ("initialization", "beta1", "beta2")  # what only a preset sets
_NOT_TYPED = ("vocabulary_size", *_OF_PRESETS)


def source_words(source: Source) -> str:
    """A text's paths, and the options that it is read by where they are not the default."""
    default, typed = TextOptions().to_json(), [str(path) for path in source.paths]
    for name, value in source.options.to_json().items():
        typed += [f"--{name.replace('_', '-')}", str(value)] if value != default[name] else []
    if source.init_from is not None:
        typed += ["--init-from", source.init_from]
        typed += ["--unknown", source.unknown] if source.unknown != "error" else []
    return shlex.join(typed)


def train_command(model: Mapping[str, Any], train: Mapping[str, Any], source: str = "TEXT") -> str:
    """The command that trains by these settings, from the preset that needs the fewest options."""
    wanted = {**model, **train}
    commands = []
    for preset in PRESETS:
        default_model, default_train = from_preset(preset, {})
        defaults = {**default_model.to_json(), **default_train.to_json()}
        if any(wanted.get(name, defaults[name]) != defaults[name] for name in _OF_PRESETS):
            continue
        words = ["charrnn train", source, *([f"--preset {preset}"] if preset != "default" else [])]
        for name, value in wanted.items():
            if (
                name in defaults
                and name not in _NOT_TYPED
                and value is not None
                and value != defaults[name]
            ):
                option = f"--{name.replace('_', '-')}"
                words.append(option if value is True else f"{option} {_typed(value)}")
        commands.append(" ".join(words))
    return min(commands, key=len, default="")


def _typed(value: Any) -> str:
    """300 for 300.0: as a person would."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
