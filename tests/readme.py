"""What README.md says of the options, made from the program: `python -m tests.readme` writes it anew."""

import re
from pathlib import Path
from typing import Any

import typer.main

from charrnn_cli.cli.main import app

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- options: python -m tests.readme -->\n", "<!-- end of options -->\n"
COMMANDS = ("encode", "train", "sample", "score")


def options_table() -> str:
    """A table a command."""
    command: Any = typer.main.get_command(app)
    head = "| option | |\n|---|---|\n"
    return "\n".join(
        f"**`charrnn {name}`**\n\n{head}" + "".join(_rows(command.commands[name].load()))
        for name in COMMANDS
    )


def _rows(command: Any) -> list[str]:
    rows = []
    for parameter in command.params:
        if parameter.param_type_name != "option" or parameter.name == "help":
            continue
        names = " ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        default = parameter.default
        shown = (
            ""
            if default in (None, False, "", []) or not parameter.show_default
            else f" [default: {default}]"
        )
        text = (
            re.sub(r"\s+", " ", (parameter.help or "") + shown)
            .replace("|", "\\|")
            .replace("*", "\\*")
        )
        metavar = f" {parameter.metavar}".replace("|", "\\|") if parameter.metavar else ""
        rows.append(f"| {names}{metavar} | {text} |\n")
    return rows


def with_options(text: str) -> str:
    """README's text with the table of now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{options_table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(with_options(README.read_text("utf-8")), "utf-8")
