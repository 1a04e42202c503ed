"""Refusal of empty values, which a command gets from an unset variable in a script."""

from collections.abc import Iterable, Mapping
from typing import Any

from charrnn_cli.errors import ConfigError

MAY_BE_EMPTY = {"prime", "sample_prime", "separator"}
"""Parameters that are texts, not names."""


def check_empty_values(parameters: Iterable[Any], values: Mapping[str, Any]) -> None:
    """Raise ConfigError for an empty string among the values of a command's parameters."""
    for parameter in parameters:
        value = values.get(parameter.name)
        if parameter.name in MAY_BE_EMPTY or (value != "" and not _has_empty_item(value)):
            continue
        raise ConfigError(
            f"{_shown_name(parameter)} must not be empty",
            hint="check the command for a variable that is not set",
        )


def _shown_name(parameter: Any) -> str:
    """Return `--run` for an option, and `REF` for an argument shown as `[REF...]`."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    words = parameter.human_readable_name.partition("|")[0].split()
    return " or ".join(word.strip("[].") for word in words)


def _has_empty_item(value: object) -> bool:
    return isinstance(value, list | tuple) and "" in value
