"""The TOML file of settings that `train --config` reads and `train --print-config` writes."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charrnn_cli.errors import ConfigError

_NOT_SETTINGS = {"config_file", "print_config", "help"}
_WRITE_HINT = "write one with `charrnn train TEXT --print-config > FILE`"


def load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make a file's settings the defaults of the command's options.

    The command line and the environment override them. Raises ConfigError if the file cannot be
    read, and for a key that is not an option.
    """
    if path is None:
        return None
    names = {str(parameter.name) for parameter in context.command.params} - _NOT_SETTINGS
    settings = {}
    for key, value in _read(path).items():
        name = key.replace("-", "_")
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1)
            hint = "run `charrnn train --help` to see the options"
            hint = f"did you mean {nearest[0]}?" if nearest else hint
            raise ConfigError(f"{path}: unknown key {key!r}", hint=hint)
        if isinstance(value, dict) or (isinstance(value, list) and name != "texts"):
            raise ConfigError(
                f"{path}: {key} must be a single value",
                hint="use a string, a number, true or false",
            )
        settings[name] = value
    context.default_map = {**(context.default_map or {}), **settings}
    return path


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # only --config needs it

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint=_WRITE_HINT) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint=_WRITE_HINT) from error


def to_toml(settings: Mapping[str, Any]) -> str:
    """Return one line per setting, leaving out those that are None."""
    lines = [f"{name} = {_value(value)}" for name, value in settings.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # A JSON string is a TOML basic string unless it contains DEL, which no option needs.
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
