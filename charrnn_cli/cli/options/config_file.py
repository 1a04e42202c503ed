"""Settings of `charrnn train` in a TOML file: read with `--config`, written with `--print-config`."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charrnn_cli.errors import ConfigError

_ABOUT_FILES = {"config_file", "print_config"}


def load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let a file's settings be the defaults of the command's options, below the command line and the environment.

    Raises ConfigError for a file that cannot be read, and for a key that is no option.
    """
    if path is None:
        return None
    import tomllib  # no other command needs it

    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="--print-config writes such a file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not TOML: {error}", hint="--print-config writes such a file"
        ) from error
    known = {parameter.name: parameter.name or "" for parameter in context.command.params}
    settings = {}
    for key, value in raw.items():
        name = key.replace("-", "_")
        if name not in known or name in _ABOUT_FILES:
            nearest = difflib.get_close_matches(name, [str(other) for other in known], n=1)
            hint = (
                f"did you mean {nearest[0]}?"
                if nearest
                else "`charrnn train --help` lists the options"
            )
            raise ConfigError(f"{path}: unknown key {key!r}", hint=hint)
        if isinstance(value, dict) or (isinstance(value, list) and name != "texts"):
            raise ConfigError(
                f"{path}: {key} must be one value", hint="tables and lists are for nothing here"
            )
        settings[name] = value
    context.default_map = {**(context.default_map or {}), **settings}
    return path


def to_toml(settings: Mapping[str, Any]) -> str:
    """One line a setting; those that are None are left out."""
    lines = [f"{name} = {_value(value)}" for name, value in settings.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(
            value, ensure_ascii=False
        )  # a TOML basic string, but for DEL, which no option needs
    return repr(value)
