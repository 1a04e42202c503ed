"""Which options were given, and where."""

from typing import Any


def is_typed(context: Any, name: str) -> bool:
    """Return whether an option was given on the command line or in the `--config` file."""
    return _place(context, name) in ("COMMANDLINE", "DEFAULT_MAP")


def is_in_file(context: Any, name: str) -> bool:
    """Return whether the value of an option comes from the `--config` file."""
    return _place(context, name) == "DEFAULT_MAP"


def is_chosen(context: Any, name: str) -> bool:
    """Return whether an option was typed, or differs from its default in the `--config` file.

    The file has defaults, because `--print-config` writes them.
    """
    if not is_in_file(context, name):
        return is_typed(context, name)
    parameters = {parameter.name: parameter for parameter in context.command.params}
    return bool(context.params[name] != parameters[name].default)


def _place(context: Any, name: str) -> str:
    source = context.get_parameter_source(name)
    return "" if source is None else str(source.name)
