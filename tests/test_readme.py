"""README.md describes the program as it is."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from charrnn_cli.cli.main import app
from tests.helpers import TIMEOUT, Inside

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text("utf-8")
MAX_LINES = 260
LAUNCHER = {"--max-restarts", "--nnodes", "--nproc-per-node"}  # options of torchrun
PROSE = re.sub(r"^```.*?^```", "", TEXT, flags=re.S | re.M)

# A small model and a short time, so that the commands of README.md finish within a test.
SMALL = ["--layers", "1", "--size", "16", "--batch-size", "4", "--seq-len", "16"]


def shell_commands() -> list[str]:
    """The `charrnn` lines of the shell and console blocks, in order."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", TEXT, re.S | re.M)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("charrnn ")]


def mentioned_commands() -> list[str]:
    """Every `charrnn` command line of README.md: in blocks, code spans and indented lines."""
    spans = re.findall(r"`(charrnn [^`]+)`", PROSE)
    indented = re.findall(r"^ {4}(charrnn .+)", TEXT, re.M)
    return [*shell_commands(), *spans, *indented]


def shortened(words: list[str]) -> list[str]:
    """The same command with a small model and few steps."""
    words = [word.replace("2x512", "1x16") for word in words]
    if words[1] != "train" or "--config" in words:
        return words
    has_own_model = "--resume" in words or "--init-from" in words
    return [*words, *([] if has_own_model else SMALL), "--max-steps", "30"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A directory with small texts under the names that README.md uses."""
    lines = (
        f'Far from the {word}, Levin said. "No," said Anna.\n'
        for word in ("cat", "rat", "mat") * 400
    )
    (tmp_path / "anna.txt").write_text("".join(lines), "utf-8")
    names = (f"{first}{rest}" for first in ("Mar", "An", "Lev") for rest in ("a", "in", "ya") * 40)
    (tmp_path / "names.txt").write_text("\n".join(names), "utf-8")
    (tmp_path / "chapter.txt").write_text("Levin said. No, Far.\n" * 300, "utf-8")
    return tmp_path


def test_readme_is_short() -> None:
    """README.md has at most 260 lines."""
    assert len(TEXT.splitlines()) <= MAX_LINES


def test_every_command_runs(texts: Path, inside: Inside) -> None:
    """The commands of README.md succeed, one after the other, on a small text."""
    commands = shell_commands()
    assert len(commands) > 14
    for command in commands:
        line, _, redirect = command.partition(" > ")
        result = inside(*shortened(shlex.split(line))[1:])
        assert result.returncode == 0, (command, result.stderr)
        if redirect:
            (texts / redirect).write_text(result.stdout, "utf-8")
    assert (texts / "losses.svg").exists()
    assert (texts / "back.txt").read_text() == (texts / "anna.txt").read_text()


def test_every_command_parses(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `charrnn` command line in README.md names a command, and options and values it takes."""
    monkeypatch.chdir(texts)
    (texts / "run.toml").touch()
    commands = mentioned_commands()
    assert len(commands) > 25
    for line in commands:
        parse(shlex.split(line.partition(" > ")[0])[1:])


def parse(words: list[str]) -> None:
    """Parse a command line without running it. Raises an exception for one that is wrong."""
    command: Any = get_command(app)
    context = command.make_context("charrnn", [], resilient_parsing=True)
    while hasattr(command, "get_command"):
        if words[0].startswith("-"):  # parsing --install-completion would install it
            assert any(words[0] in parameter.opts for parameter in command.params), words
            return
        command = command.get_command(context, words[0])
        assert command is not None, words
        words = words[1:]
    command.make_context("charrnn", words)


def test_every_option_exists(inside: Inside) -> None:
    """Every option that README.md names appears in the help of a command."""
    known: set[str] = set()
    for words in command_words():
        known.update(re.findall(r"--[a-z-]+", inside(*words, "--help")[1]))
    code = [*re.findall(r"`([^`\n]+)`", PROSE), *shell_commands()]
    named = {option for text in code for option in re.findall(r"(?<!\S)--[a-z-]+", text)}
    assert len(named) > 40
    assert named <= known | LAUNCHER, named - known


def command_words() -> Iterator[tuple[str, ...]]:
    """The words of every command and group of the program."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield words
        if hasattr(command, "get_command"):
            context = command.make_context("charrnn", [], resilient_parsing=True)
            waiting += [
                ((*words, name), command.get_command(context, name))
                for name in command.list_commands(context)
            ]


def test_the_output_of_train_is_shown_as_it_is(texts: Path, inside: Inside) -> None:
    """README.md shows the output of `charrnn train`, except for numbers, choices and advice."""
    block = re.search(r"^```console\n(.*?)^```", TEXT, re.S | re.M)
    assert block is not None
    command, *shown = block[1].splitlines()
    result = inside(*shortened(shlex.split(command.removeprefix("$ ")))[1:])
    printed = {without_numbers(line) for line in result.stderr.splitlines()}
    varying = ("model ", "advice ", "setup ", "try ")  # with the time, the machine and the losses
    for line in shown:
        assert line.startswith(varying) or without_numbers(line) in printed, line


def without_numbers(line: str) -> str:
    """The line with a placeholder for every number, duration, size and directory.

    The models of the scale are sorted, because their order depends on their figures.
    """
    line = re.sub(r" in [~/].*", " in DIRECTORY", line).replace(", time limit reached", "")
    line = re.sub(r"-?\d([\d,.:]*\d)?( s\b| [kMG]?B\b)?", "N", line)
    if line.startswith("scale "):
        line = ", ".join(sorted(set(re.findall(r"[\w-]+ N", line))))
    return line


def test_the_python_example_runs(texts: Path) -> None:
    """The Python example trains and resumes a model, and prints a sample."""
    block = re.search(r"^```python\n(.*?)^```", TEXT, re.S | re.M)
    assert block is not None
    code = block[1]
    # A small model and a short time. The resumed run must have more steps than one epoch.
    for name, value, uses in (
        ("size", 16, 1),
        ("epochs", 1, 1),
        ("max_steps", 40, 1),
        ("length", 40, 1),
    ):
        code, count = re.subn(rf'\b({name}"?[=:] ?)\d+', rf"\g<1>{value}", code)
        assert count == uses, name
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=texts,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("TrainingFinished(") == 2
    assert len(result.stdout.rpartition(")\n")[2].rstrip("\n")) > 30


def test_linked_files_exist() -> None:
    """The project's own files that README.md links to exist."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT):
        assert (README.parent / target).exists(), target
