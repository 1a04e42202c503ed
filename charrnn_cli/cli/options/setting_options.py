"""Command-line options built from the settings that they set."""

from typing import Any

import typer

from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.settings import about, choices, default_of, field_types, option_name


def setting_option(cls: type, name: str, *declarations: str, **typer_settings: Any) -> Any:
    """Return the Typer option of a setting: its name, help, panel, choices and shown default.

    `declarations` are further names, such as `-n`. The command's parameter may be None for "not
    given", since the default shown is the setting's own.
    """
    said = about(cls, name)
    default = default_of(cls, name) if said.shown is None else said.shown
    text = said.help if default in (None, False) else with_default(said.help, default)
    members = [choice for choice in choices(field_types(cls)[name]) if isinstance(choice, str)]
    return typer.Option(
        option_name(name),
        *declarations,
        help=text,
        rich_help_panel=said.group or None,
        show_default=False,
        metavar=said.metavar or "|".join(members) or None,
        **typer_settings,
    )
