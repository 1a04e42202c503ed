"""The TOML file of settings that `train --config` reads and `train --print-config` writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charrnn_cli.cli.options.empty_values import MAY_BE_EMPTY
from charrnn_cli.errors import ConfigError, FileFormatError, NotFoundError, StorageError
from charrnn_cli.storage.near_names import near_names
from charrnn_cli.storage.opening import read_small

MAX_BYTES = 1 << 20  # of a configuration file
_NOT_SETTINGS = {"config_file", "print_config", "help"}
_WRITE_HINT = "write one with `charrnn train TEXT --print-config > FILE`"
_TYPES_HINT = "use the types that `charrnn train TEXT --print-config` writes"
_TYPES = {
    int: "an integer",
    float: "a fraction",
    str: "a string",
    bool: "a boolean",
    list: "an array",
    dict: "a table",
}
_EXPECTED: dict[tuple[type, ...], str] = {
    (bool,): "true or false",
    (int,): "an integer",
    (int, float): "a number",
    (str,): "a string",
    (int, float, str): "a number or a string",
}


def load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make a file's settings the defaults of the command's options.

    The command line and the environment override them. Raises ConfigError if the file cannot be
    read, for a key that is not an option, and for a value of another type than the option's.
    """
    if path is None:
        return None
    parameters = {
        str(parameter.name): parameter
        for parameter in context.command.params
        if parameter.name not in _NOT_SETTINGS
    }
    settings: dict[str, Any] = {}
    for key, value in _read(path).items():
        name = key.replace("-", "_")
        if name not in parameters:
            near = near_names(name, parameters)
            hint = "run `charrnn train --help` to see the options"
            hint = f"did you mean {' or '.join(near)}?" if near else hint
            raise ConfigError(f"{path}: unknown key {key!r}", hint=hint)
        if name in settings:
            raise ConfigError(f"{path}: {name} is set twice", hint="leave out one of the lines")
        settings[name] = _typed(parameters[name], value, f"{path}: {key}")
    context.default_map = {**(context.default_map or {}), **settings}
    return path


def _typed(parameter: Any, value: Any, key: str) -> Any:
    """Return a value as the option's parser expects it. Raises ConfigError for another type."""
    if parameter.nargs == -1:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and all(map(_is_name, texts)):
            return texts
        raise ConfigError(f"{key} must be a list of paths", hint=_TYPES_HINT)
    kinds = _kinds(parameter)
    if type(value) not in kinds:
        found = _TYPES.get(type(value), "a date or a time")
        raise ConfigError(f"{key} must be {_EXPECTED[kinds]}, not {found}", hint=_TYPES_HINT)
    if value == "" and parameter.name not in MAY_BE_EMPTY:
        raise ConfigError(f"{key} must not be empty", hint=f"leave out {parameter.name}")
    if isinstance(value, str) and "\0" in value and parameter.name not in MAY_BE_EMPTY:
        raise ConfigError(f"{key} must not contain a NUL", hint=f"leave out {parameter.name}")
    if type(value) is int and abs(value) >= 2**63:  # Python cannot always show it
        raise ConfigError(f"{key} does not fit into 64 bits", hint="use a smaller number")
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _kinds(parameter: Any) -> tuple[type, ...]:
    """Return the types that a file may use for an option."""
    if getattr(parameter, "is_flag", False):
        return (bool,)
    match parameter.type.name:
        case "int" | "int range":
            return (int,)
        case "float":
            return (int, float)
        case "str" | "path":
            return (str,)
    return (int, float, str)  # dropout and max_time


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # only --config needs it

    try:
        return tomllib.loads(read_small(path, MAX_BYTES, follow=True).decode("utf-8-sig"))
    except (NotFoundError, StorageError, FileFormatError) as error:
        raise ConfigError(error.message, hint=_WRITE_HINT) from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply", hint=_WRITE_HINT) from error
    except ValueError as error:  # invalid TOML or UTF-8, or an integer of thousands of digits
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
        return _string(value)
    return repr(value)


def _string(text: str) -> str:
    """Return a TOML string in which every unprintable character is an escape."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError(
            f"TOML cannot contain {text!r}, which is not valid Unicode",
            hint="rename the file, or leave out --print-config",
        )
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else _escape(each) for each in quoted) + '"'


def _escape(character: str) -> str:
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return short.get(character) or f"\\U{ord(character):08x}"
