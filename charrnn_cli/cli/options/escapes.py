"""Escapes in the values of options, and what a user is shown of them."""

from typing import Any

import typer

from charrnn_cli.cli.options.given import is_in_file
from charrnn_cli.text.character_names import character_name, is_invisible
from charrnn_cli.text.escapes import unescape

MAX_SHOWN = 200  # characters of a text as it was read
_CHANGED = "charrnn_cli.changed_texts"  # in the context's `meta`


def read_escapes(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Return the value of an option, a text or a list of texts, with its escapes replaced.

    A value from the `--config` file stays as it is, because TOML has its own escapes.
    """
    name = str(parameter.name)
    if value is None or is_in_file(context, name):
        return value
    if isinstance(value, str):
        return _read(context, name, value)
    return [_read(context, name, each) for each in value]


def changed_texts(context: typer.Context) -> list[tuple[str, str]]:
    """Describe the values in which an escape was replaced, each with the name of its option."""
    return [(name, _shown(text)) for name, text in context.meta.get(_CHANGED, [])]


def _read(context: typer.Context, name: str, typed: str) -> str:
    read = unescape(typed)
    if read != typed:
        context.meta.setdefault(_CHANGED, []).append((name, read))
    return read


def _shown(text: str) -> str:
    """Show a text with the names of its invisible characters, which differ from any escape."""
    names = [character_name(each) if each != " " and is_invisible(each) else each for each in text]
    shown = "".join(names[:MAX_SHOWN]) + ("..." if len(names) > MAX_SHOWN else "")
    return f"read as {shown} (type \\\\ for a backslash)"
