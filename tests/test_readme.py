"""README.md says what is so."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme import README, with_options

TEXT = README.read_text("utf-8")
# What makes a command of README's small enough for a test; the words that stand in README are run as well.
SMALL = ["--layers", "1", "--size", "16", "--batch-size", "4", "--seq-len", "16"]
SLOW = {"--max-time": "8s"}


def commands() -> list[str]:
    """Every `charrnn ...` line of the shell blocks, in their order."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("charrnn ")]


def shortened(words: list[str]) -> list[str]:
    """The same command with a small model and little time."""
    words = [SLOW.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    words = [word.replace("2x512", "1x16") for word in words]
    if words[1] != "train" or "--config" in words:
        return words
    own = "--resume" in words or "--init-from" in words
    return [
        *words,
        *([] if own else SMALL),
        *([] if "--max-time" in words else ["--max-steps", "30"]),
    ]


def test_the_options_are_the_programs() -> None:
    """`python -m tests.readme` was run after the last change."""
    assert with_options(TEXT) == TEXT


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, on a text of the name that they use."""
    story = "".join(
        f"Far from the {word}, Levin said. “No,” said Anna.\n"
        for word in ("cat", "rat", "mat") * 400
    )
    (tmp_path / "anna.txt").write_text(story.replace("“", '"').replace("”", '"'))
    (tmp_path / "chapter.txt").write_text(
        "Levin said: No. Far!\n".replace("!", ".").replace(":", ",") * 300
    )
    program = f"{shlex.quote(sys.executable)} -m charrnn_cli"
    script = ["set -e"]
    for command in commands():
        words, redirect = command, ""
        if " > " in command:
            words, _, redirect = command.rpartition(" > ")
        line = shlex.join(shortened(shlex.split(words))[1:])
        script.append(f"{program} {line}" + (f" > {redirect}" if redirect else ""))
    assert len(script) > 20
    result = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / "losses.svg").exists()
    assert (tmp_path / "back.txt").read_text() == (tmp_path / "anna.txt").read_text()


def test_files_that_are_named_exist() -> None:
    """Links and pictures of the project itself."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT):
        assert (README.parent / target).exists(), target


def test_only_real_options_are_named() -> None:
    """Every --option in README's prose is one of the program's, or of another tool's table."""
    from typer.main import get_command

    from charrnn_cli.cli.main import app

    known = {"--install-completion"}

    def walk(command: object) -> None:
        for parameter in getattr(command, "params", []):
            known.update(getattr(parameter, "opts", []))
            known.update(getattr(parameter, "secondary_opts", []))
        for child in getattr(command, "commands", {}).values():
            walk(child.load() if hasattr(child, "load") else child)

    walk(get_command(app))
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.S)
    named = set(re.findall(r"`(--[a-z-]+)", prose))
    assert named <= known, named - known
