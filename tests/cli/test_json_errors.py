"""Errors as JSON, for programs that call this one."""

import json
import platform
import sys
from pathlib import Path

import pytest

from charrnn_cli.cli.terminal.error_output import print_stop
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.snapshot import save_resume
from tests.cli.test_help import TREE
from tests.helpers import Inside, resume_state

COMMANDS = sorted(
    " ".join(words)
    for words, command in TREE
    if any("--json" in parameter.opts for parameter in command.params)
)
WRONG = {
    "checkpoints compare": ("nowhere tiny", "no run named 'nowhere' in {home}/runs"),
    "checkpoints list": ("nowhere", "no run named 'nowhere' in {home}/runs"),
    "checkpoints ls": ("--sort beauty", "cannot sort by 'beauty'"),
    "checkpoints show": ("nowhere", "no run named 'nowhere' in {home}/runs"),
    "doctor": ("nowhere", "got unexpected extra argument(s) (nowhere)"),
    "encode": ("missing.txt", "no file named missing.txt"),
    "inspect": ("tiny missing.txt", "no file named missing.txt"),
    "sample": ("tiny -n -1", "length must be at least 0; got -1"),
    "score": ("tiny missing.txt", "no file named missing.txt"),
    "train": ("missing.txt", "no file named missing.txt"),
    "tune": ("missing.txt --budget 1m", "no file named missing.txt"),
}


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("command", COMMANDS)
def test_errors_are_objects(inside: Inside, home: Path, command: str) -> None:
    """With --json, an error of any command is one line of JSON, also an unknown option."""
    words, message = WRONG[command]
    code, out, err = inside(*command.split(), *words.split(), "--json")
    assert (code, out) == (2, "")
    found = json.loads(err)
    assert list(found) == ["error", "hint", "exit_code"]
    assert (found["error"], found["exit_code"]) == (message.format(home=home), 2)
    assert found["hint"]
    code, out, err = inside(*command.split(), "--json", "--lairs", "2")
    assert (code, out, err.count("\n")) == (2, "", 1)
    found = json.loads(err)
    assert (found["error"], found["exit_code"]) == ("no such option: --lairs", 2)
    assert not inside(*command.split(), "--lairs", "2", "--", "--json")[2].startswith("{")


@pytest.mark.usefixtures("tiny_run")
def test_an_object_has_the_whole_error(inside: Inside, tmp_path: Path) -> None:
    """An object has the options to choose from, and a long message is not cut."""
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 " * 9)
    found = json.loads(inside("encode", "latin.txt", "--json")[2])
    assert found["hint"] == "add the option that makes this line readable:"
    assert found["examples"][0] == {"option": "--encoding cp1252", "line": ("café " * 9).strip()}
    found = json.loads(inside("score", "tiny", "x" * 1000, "--json")[2])
    assert "x" * 1000 in found["error"]


def test_a_busy_run_has_a_code_of_its_own(inside: Inside, tiny_run: Run) -> None:
    """A run that another process trains is code 75, in the object as at the exit."""
    save_resume(tiny_run, resume_state(300))
    with hold_lock(tiny_run.path):
        code, out, err = inside("train", "--resume", "tiny", "--max-steps", "2000", "--json")
    found = json.loads(err.splitlines()[-1])
    assert (code, out, found["exit_code"]) == (75, "", 75)
    assert found["hint"] == "wait for that process, or stop it"


def test_a_bug_is_an_object(inside: Inside, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """An internal error is an object, too, and its hint names the log."""

    def broken() -> str:
        raise RuntimeError("odd")

    monkeypatch.setattr(platform, "platform", broken)
    code, _, err = inside("doctor", "--json")
    (log,) = (home / "logs").iterdir()
    assert (code, json.loads(err.splitlines()[-1])) == (
        1,
        {
            "error": "internal error: RuntimeError: odd",
            "hint": f"report this problem and attach {log}",
            "exit_code": 1,
        },
    )


def test_a_stop_is_an_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal that stopped the program is reported as an object with the command that resumes."""
    monkeypatch.setattr(sys, "argv", ["charrnn", "train", "--json"])
    print_stop("stopped by SIGTERM", "charrnn train --resume one", 143)
    assert json.loads(capsys.readouterr().err) == {
        "error": "stopped by SIGTERM",
        "hint": "charrnn train --resume one",
        "exit_code": 143,
    }
    monkeypatch.setattr(sys, "argv", ["charrnn", "train"])
    print_stop("stopped by SIGTERM", None, 143)
    assert capsys.readouterr().err == "stopped by SIGTERM\n"
