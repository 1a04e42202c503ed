"""Command-line options built from settings."""

from typing import Any

import typer

from charrnn_cli.cli.options.escapes import read_escapes
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.settings import about, choices, fields_of, option_name


def setting_option(cls: Any, name: str, *declarations: str, **typer_settings: Any) -> Any:
    """Return the Typer option of a setting: its name, help, panel, choices and shown default.

    `declarations` are further names, such as `-n`; `typer_settings` override the declaration, and
    `shown` the default in the help. The command's parameter may be None for "not given", because
    the default shown is the setting's own.
    """
    field = fields_of(cls)[name]
    said = about(field)
    default = typer_settings.pop("shown", field.default if said.shown is None else said.shown)
    names = [choice for choice in choices(field.type) if isinstance(choice, str)]
    settings = {
        "help": said.help,
        "rich_help_panel": said.group or None,
        "metavar": said.metavar or "|".join(names) or None,
        **({"callback": read_escapes} if said.escapes else {}),
        **typer_settings,
    }
    if default is not None and default is not False and default != "":
        settings["help"] = with_default(settings["help"], default)
    return typer.Option(option_name(name), *declarations, show_default=False, **settings)
