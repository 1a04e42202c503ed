"""Errors on standard error: lines to read or, where `--json` was typed, one JSON object."""

import sys
from collections.abc import Sequence
from typing import Any

from charrnn_cli.cli.terminal.console import is_fancy, say, stderr_console, write_error
from charrnn_cli.cli.terminal.safe_text import safe, to_json
from charrnn_cli.cli.terminal.wrapping import print_labelled
from charrnn_cli.errors import Example

MAX_ERROR = 500  # characters of an error or a hint, its label included


def print_error(
    message: str, hint: str | None, exit_code: int, examples: Sequence[Example] = ()
) -> None:
    """Print the lines `error:`, `hint:` if there is one, and one per example, of limited length.

    With `--json`, print an object with `error`, `hint`, `exit_code` and, if there are some,
    `examples` in one line.
    """
    if is_json_typed():
        _print_object(message, hint, exit_code, examples)
        return
    lines = [("error:", _one_line(message, MAX_ERROR - len("error: ")), "bold red")]
    if hint:
        lines.append(("hint:", _one_line(hint, MAX_ERROR - len("hint: ")), "bold cyan"))
    width = max((len(option) for option, _ in examples), default=0)
    for option, line in examples:
        text = _one_line(f"{option:<{width}}  {line}", MAX_ERROR - len("error: "))
        lines.append((" " * len("hint:"), text, ""))
    if not is_fancy(sys.stderr):
        write_error("".join(f"{label} {text}\n" for label, text, _ in lines))
        return
    for label, text, style in lines:
        print_labelled(stderr_console(), label, text, len(label) + 1, style)


def print_stop(message: str, hint: str | None, exit_code: int) -> None:
    """Say that a signal stopped the program, and how to continue; with `--json`, as an error."""
    if is_json_typed():
        _print_object(message, hint, exit_code)
        return
    say("stopped", message.removeprefix("stopped "))
    if hint:
        say("next", hint)


def is_json_typed() -> bool:
    """Return whether the command line has `--json`, also if it cannot be parsed."""
    typed = sys.argv[1:]
    options = typed[: typed.index("--")] if "--" in typed else typed
    return "--json" in options


def _print_object(
    message: str, hint: str | None, exit_code: int, examples: Sequence[Example] = ()
) -> None:
    found: dict[str, Any] = {"error": message, "hint": hint or None, "exit_code": exit_code}
    if examples:
        found["examples"] = [each._asdict() for each in examples]
    write_error(to_json(found) + "\n")


def _one_line(text: str, limit: int) -> str:
    """Return the text in one line; one that is too long loses its middle."""
    line = safe(" ".join(text.split("\n")))
    if len(line) <= limit:
        return line
    half = (limit - len(" … ")) // 2
    return f"{line[:half]} … {line[-half:]}"
