"""Errors of a command line that cannot be parsed, as a message and a hint."""

import re
from collections.abc import Mapping
from typing import Any

from typer._click.exceptions import ClickException, NoSuchOption

from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.near_names import near_names

_BEFORE_COMMANDS = ("--debug", "--version")
_PLAINER = (
    (r"is not a valid int\b", "is not an integer"),
    (r"is not a valid float\b", "is not a number"),
    (r"is not in the range (\S+?)<=x<=(\S+?)\.?$", r"is not from \1 to \2"),
    (r"is not in the range x>=(\S+?)\.?$", r"is below \1"),
)


def described_usage_error(error: ClickException, typed_command: str) -> tuple[str, str]:
    """Return the message and the hint of an error that the parser found; the message may be empty.

    `typed_command` is the name of the command, for an error without a context.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else f"charrnn {typed_command}".strip()
    hint = f"run `{command} --help` for usage"
    message = error.format_message()
    if isinstance(error, NoSuchOption):
        message = error.message
        near = [] if context is None else near_names(error.option_name, _options(context.command))
        if error.option_name in _BEFORE_COMMANDS:
            hint = f"put it before the command: charrnn {error.option_name} {typed_command}"
        elif near:
            hint = f"did you mean {' or '.join(near)}?"
    for pattern, words in _PLAINER:
        message = re.sub(pattern, words, message)
    return message[:1].lower() + message[1:].rstrip("."), hint


def unknown_command(typed: str, commands: Mapping[str, str], group: str) -> ConfigError:
    """Return the error for a misspelt command of a group, such as `charrnn checkpoints`.

    `commands` maps the words that could have been meant to whole commands.
    """
    near = [commands[typed]] if typed in commands else []
    near = near or [commands[name] for name in near_names(typed, commands)]
    meant = " or ".join(f"`{command}`" for command in dict.fromkeys(near))
    hint = f"did you mean {meant}?" if near else f"run `{group} --help` to see the commands"
    return ConfigError(f"no such command {typed!r}", hint=hint)


def _options(command: Any) -> list[str]:
    """Return the options that a command shows in its help, each by its longest name."""
    return [
        max(names, key=len)
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden
        for names in (parameter.opts, parameter.secondary_opts)
        if names
    ]
