"""Runs, references and presets that a shell completes."""

import os
import subprocess
import sys

import pytest


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("charrnn sample ti", {"tiny"}),
        ("charrnn sample tiny@", {"tiny@best", "tiny@latest", "tiny@100", "tiny@200", "tiny@300"}),
        ("charrnn checkpoints show tiny@2", {"tiny@200"}),
        ("charrnn checkpoints list t", {"tiny"}),
        ("charrnn train --resume ", {"latest", "tiny"}),
        ("charrnn train --preset n", {"notebook"}),
    ],
)
def test_completion(typed: str, expected: set[str]) -> None:
    """bash completes exactly the runs, references and presets that fit the typed word."""
    words = typed.split() + ([""] if typed.endswith(" ") else [])
    env = {
        "_CHARRNN_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    assert set(completed(env).split()) == expected


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_of_other_shells(shell: str) -> None:
    """zsh and fish complete the name of a run."""
    env = {"_CHARRNN_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "charrnn sample ti"}
    assert "tiny" in completed({**env, "_TYPER_COMPLETE_FISH_ACTION": "get-args"})


def completed(env: dict[str, str]) -> str:
    """Run the program as a shell does that asks for completions; return its output."""
    script = "import sys; sys.argv = ['charrnn']; from charrnn_cli.cli.main import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
    )
    return result.stdout
