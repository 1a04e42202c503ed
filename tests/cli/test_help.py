"""Help: every command explains itself, from a table that matches the commands."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from charrnn_cli.cli import commands as package
from charrnn_cli.cli.command_table import CHECKPOINT_COMMANDS, COMMANDS, HIDDEN
from charrnn_cli.cli.main import LazyCommand, app
from tests.helpers import TIMEOUT, Inside
from tests.terminal import Terminal, on_screen


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the tree, loaded, by its words."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield words, command
        for name, child in getattr(command, "commands", {}).items():
            loaded = child.load() if isinstance(child, LazyCommand) else child
            waiting.append(((*words, name), loaded))


TREE = sorted(commands(), key=lambda item: item[0])


def test_the_table_repeats_the_docstrings() -> None:
    """The line of a command in the table is the first line of its docstring."""
    for place, line in (*COMMANDS.values(), *CHECKPOINT_COMMANDS.values()):
        if place:
            module, _, function = place.rpartition(".")
            home = importlib.import_module(f"charrnn_cli.cli.commands.{module}")
            assert (getattr(home, function).__doc__ or "").splitlines()[0] == line


def test_the_table_is_complete() -> None:
    """Every function of the commands' modules that has an example is in the table."""
    found = {
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(package.__path__)
        for name, function in vars(
            importlib.import_module(f"{package.__name__}.{module.name}")
        ).items()
        if inspect.isfunction(function)
        and function.__module__ == f"{package.__name__}.{module.name}"
        and "Example: charrnn" in (function.__doc__ or "")
    }
    table = {place for place, _ in (*COMMANDS.values(), *CHECKPOINT_COMMANDS.values())}
    assert found == table - {""}
    assert len(found) > 12


@pytest.mark.parametrize(
    ("words", "command"), TREE, ids=[" ".join(words) or "charrnn" for words, _ in TREE]
)
def test_a_command_explains_itself(inside: Inside, words: tuple[str, ...], command: Any) -> None:
    """-h equals --help, every parameter has a help text, and an example runs this command."""
    short, long = inside(*words, "-h"), inside(*words, "--help")
    assert short == long
    assert (short[0], short[2]) == (0, "")
    for parameter in command.params:
        assert parameter.name == "help" or parameter.help, parameter.name
    if not hasattr(command, "commands"):
        assert f"Example: charrnn {' '.join(words)}".replace(" ls", " list") in re.sub(
            r"\s+", " ", short[1]
        )


def described_defaults(command: Any) -> list[tuple[str, str]]:
    """The help of each parameter that has a default to show, and this default."""
    found = []
    for parameter in command.params:
        text, described, default = (parameter.help or "").partition("  [default: ")
        if described:
            found.append((text, default.removesuffix("]")))
        elif parameter.show_default and parameter.default not in (None, False, ""):
            is_flag = getattr(parameter, "secondary_opts", ())
            found.append((text, parameter.name if is_flag else str(parameter.default)))
    return found


@pytest.mark.parametrize(
    ("words", "command"), [(words, command) for words, command in TREE if "ls" not in words]
)
def test_a_default_is_shown_in_every_look(
    inside: Inside, words: tuple[str, ...], command: Any
) -> None:
    """Panels on a terminal and plain lines in a pipe show the same defaults, in one spelling."""
    expected = described_defaults(command)
    with Terminal(*words, "--help", columns=100) as terminal:
        assert terminal.wait() == 0
    panels = "".join(on_screen(terminal.written))
    assert "╭" in panels
    for shown in (panels, inside(*words, "--help")[1]):
        plain = re.sub(r"[\s│]", "", shown)
        assert plain.count("[default:") == len(expected)
        for text, default in expected:
            start = re.sub(r"\s", "", f"{text}[default:{default}")
            assert f"{start}]" in plain or f"{start};" in plain  # as in [default: 1; x>=1]


def test_the_defaults_in_help_are_many() -> None:
    """Every command that has defaults is seen to have them."""
    defaults = {words: dict(described_defaults(command)) for words, command in TREE}
    assert len(defaults["train",]) > 30
    assert defaults["encode",]["Encoded file to write."] == "NAME.encoded.safetensors"
    assert defaults["sample",][r"Text to continue; \n is a newline, \\ a backslash."] == "a newline"
    assert defaults["checkpoints", "import"] == {"Name of the new run.": "its original name"}
    assert defaults["checkpoints", "verify"] == {"Runs or checkpoints to verify.": "all"}


def test_options_are_lower_case() -> None:
    """No option is called as its value is shown, as Typer 0.27 would name one called `name`."""
    names = {name for _, command in TREE for each in command.params for name in each.opts}
    assert {name for name in names if name.startswith("--")} > {"--name", "--run"}
    assert [name for name in names if name.startswith("--") and name != name.lower()] == []


def test_examples_can_be_typed() -> None:
    """Every example consists of a command and options that the command accepts."""
    by_words = dict(TREE)
    seen = 0
    for words, command in TREE:
        for example in re.findall(r"Example: charrnn (.*)", command.help or ""):
            typed = example.split()
            assert tuple(typed[: len(words)]) == words or words == ("checkpoints", "ls")
            name = tuple(typed[: len(words)])
            by_words[name].make_context("charrnn", typed[len(words) :])
            seen += 1
    assert seen > 12


def test_the_version(inside: Inside) -> None:
    """--version prints the name and the version."""
    code, out, _ = inside("--version")
    assert (code, out.split()[0]) == (0, "charrnn")


QUIET_TERMINALS = [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "20"}, {"FORCE_COLOR": "1"}]
SHOWING = [
    "--help",
    "train --help",
    "checkpoints list",
    "checkpoints list tiny",
    "checkpoints list --json",
    "checkpoints show tiny",
    "checkpoints verify tiny",
    "sample tiny -n 50 --seed 1",
    "sample tiny -n 20 --json",
    "score tiny text.txt",
    "score tiny text.txt --per-line",
    "inspect tiny text.txt",
    "encode text.txt --json",
    "sample nowhere",
    "train --layers 0 text.txt",
]


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("environment", QUIET_TERMINALS, ids=lambda value: "".join(value))
def test_plain_where_nobody_looks(tmp_path: Path, environment: dict[str, str]) -> None:
    """Piped output has no escapes or cut lines at any width; only help obeys FORCE_COLOR."""
    (tmp_path / "text.txt").write_text("head bad cab\nface\n")
    script = (
        "import pathlib, shlex, sys\nfrom charrnn_cli.cli.main import main\n"
        "for line in sys.argv[1:]:\n"
        "    for path in pathlib.Path().glob('*.safetensors'):\n        path.unlink()\n"
        "    print('===', line, flush=True)\n"
        "    sys.argv = ['charrnn', *shlex.split(line)]\n"
        "    try:\n        main()\n    except SystemExit:\n        sys.stdout.flush()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *SHOWING],
        cwd=tmp_path,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    parts = dict(part.split("\n", 1) for part in result.stdout.split("=== ")[1:])
    assert list(parts) == SHOWING
    assert "Traceback" not in result.stdout
    for line, shown in parts.items():
        if not ("--help" in line and "FORCE_COLOR" in environment):
            assert "\x1b" not in shown, line
        assert "…" not in shown, line
    assert "lstm 1x4" in parts["checkpoints list"]


def test_summaries_are_whole_in_a_pipe(inside: Inside) -> None:
    """The list of commands in a pipe shows every summary to its end, however long."""
    for words, table in (((), COMMANDS), (("checkpoints",), CHECKPOINT_COMMANDS)):
        code, out, _ = inside(*words, "--help")
        shown = " ".join(out.split())
        assert code == 0
        assert all(line in shown for name, (_, line) in table.items() if name not in HIDDEN)
