"""What a terminal and a pipe get: no byte that a terminal obeys, exact text, and valid JSON."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn_cli.cli.terminal.safe_text import to_json
from charrnn_cli.events import Evaluated
from charrnn_cli.storage.metrics_log import event_to_json
from tests.helpers import TIMEOUT, Inside, make_checkpoint, save
from tests.terminal import Terminal, on_screen

HOSTILE = "a\x1b]0;x\x07b\x7fc\x85d\u202ee\u2028f"
VISIBLE = "a\\x1b]0;x\\x07b\\x7fc\\x85d\\u202ee\\u2028f"
OBEYED = ("\x1b]", "\x07", "\x7f", "\x85", "\u202e", "\u2028")
PROGRAM = [sys.executable, "-m", "charrnn_cli"]


def screen(*arguments: str) -> tuple[int, str]:
    """Run the program on a wide terminal; return its exit code and what it wrote."""
    with Terminal(*arguments, columns=1000) as terminal:
        code = terminal.wait()
    written = terminal.written.decode()
    assert not any(character in written for character in OBEYED)
    return code, "\n".join(on_screen(terminal.written))


def test_decoded_text(inside: Inside, tmp_path: Path) -> None:
    """A decoded text is escaped on a terminal and exact in a pipe."""
    (tmp_path / "text.txt").write_text(f"{HOSTILE}\ttab\n", "utf-8")
    assert inside("encode", "text.txt", "-o", "x.safetensors")[0] == 0
    assert screen("encode", "--decode", "x.safetensors")[1].split() == [VISIBLE, "tab"]
    assert inside("encode", "--decode", "x.safetensors")[1] == f"{HOSTILE}\ttab\n"


def test_paths(inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is escaped on a terminal; a pipe gets its bytes, which need not be UTF-8."""
    home = tmp_path / f"{HOSTILE}\udcff"
    monkeypatch.setenv("CHARRNN_HOME", str(home))
    save(make_checkpoint())
    assert f"{VISIBLE}\\udcff/runs" in screen("checkpoints", "path")[1]
    found = subprocess.check_output([*PROGRAM, "checkpoints", "path"], timeout=TIMEOUT)
    assert found == os.fsencode(home / "runs/tiny/step-0000000100.safetensors") + b"\n"
    assert inside("checkpoints", "show").returncode == 0


def test_binary_data(tmp_path: Path) -> None:
    """An exported checkpoint goes into a pipe or a file, and never to a terminal."""
    path = save(make_checkpoint())
    code, shown = screen("checkpoints", "export", "tiny", "-o", "-")
    assert code == 2
    assert "error: cannot write binary data to a terminal" in shown
    assert "hint: specify a file with --output, or redirect standard output" in shown
    command = [*PROGRAM, "checkpoints", "export", "tiny", "-o", "-"]
    assert subprocess.check_output(command, timeout=TIMEOUT, cwd=tmp_path) == path.read_bytes()


def test_settings(story: Path) -> None:
    """--print-config writes escapes, on a terminal too."""
    _, shown = screen("train", str(story), "--sample-prime", HOSTILE, "--print-config")
    assert 'sample_prime = "a\\U0000001b]0;x\\U00000007b\\U0000007fc' in shown


def test_tracebacks(tmp_path: Path) -> None:
    """A traceback is escaped like every message."""
    code, shown = screen("--debug", "sample", f"./{HOSTILE}")
    assert code == 2
    assert f"NotFoundError: no checkpoint at ./{VISIBLE}" in shown
    result = subprocess.run(
        [*PROGRAM, "--debug", "train", HOSTILE],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=TIMEOUT,
        check=False,
    )
    assert f"TextError: no file named {VISIBLE}\n" in result.stderr
    assert not any(character in result.stderr for character in OBEYED)


def test_json(inside: Inside, tmp_path: Path) -> None:
    """JSON is safe to show, on a terminal and in a pipe, and says exactly what it should."""
    (tmp_path / "text.txt").write_text(HOSTILE * 20, "utf-8")
    save(make_checkpoint(characters="".join(sorted(set(HOSTILE)))))
    sampled = ("sample", "tiny", "--prime", HOSTILE, "-n", "0", "--json")
    scored = ("score", "tiny", "text.txt", "--per-line", "--json", "--force-text")
    encoded = ("encode", "text.txt", "--json", "--force-text")
    texts: list[tuple[tuple[str, ...], tuple[Any, ...], str]] = [
        (encoded, ("vocabulary",), "".join(sorted(set(HOSTILE)))),
        (sampled, ("prime",), HOSTILE),
        (scored, (0, "lines", 0, "text"), HOSTILE * 20),
    ]
    for arguments, place, expected in texts:
        code, out, _ = inside(*arguments)
        assert code == 0
        assert not any(character in out for character in OBEYED)
        found: Any = json.loads(out)
        for member in place:
            found = found[member]
        assert found == expected
    assert f'"prime": {to_json(HOSTILE)}' in screen(*sampled)[1]


def test_numbers_that_json_lacks(inside: Inside, story: Path) -> None:
    """A number that is not finite is null in JSON."""
    assert to_json([float("inf"), {"a": (float("nan"), 1.5)}]) == '[null, {"a": [null, 1.5]}]'
    checkpoint = make_checkpoint(characters="".join(sorted(set(story.read_text()))))
    bias = np.full(len(checkpoint.vocab), -3e38, np.float32)
    bias[0] = 3e38
    save(replace(checkpoint, weights={**checkpoint.weights, "output.bias": bias}))
    code, out, _ = inside("score", "tiny", str(story), "--json", "--per-line")
    assert code == 0
    (row,) = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    assert row["perplexity"] is None
    code, out, _ = inside("score", "tiny", str(story))
    assert out.splitlines()[1].split("\t")[-1] == "inf"
    code, out, _ = inside("sample", "tiny", "-n", "9", "--json")
    assert len(json.loads(out, parse_constant=lambda name: pytest.fail(name))["text"]) == 9


def test_events_that_are_not_finite() -> None:
    """A loss that is not finite is null in the log of metrics."""
    names = [field for field in Evaluated.__dataclass_fields__ if field not in ("val_loss",)]
    event = Evaluated(**dict.fromkeys(names, 1), val_loss=float("nan"))  # type: ignore[arg-type]
    assert event_to_json(event)["val_loss"] is None


@pytest.mark.parametrize("word", ["x" * 5000, "\x1b" * 1000, "x/" * 2500, "9" * 4000])
def test_long_errors(inside: Inside, story: Path, word: str) -> None:
    """An error and a hint are at most 500 characters long, whatever was typed."""
    for arguments in (
        ("train", word),
        ("train", str(story), "--run", word),
        ("train", str(story), "--layers", word),
        ("train", str(story), "--device", word),
        ("train", str(story), f"--{word}"),
        ("sample", word),
        ("encode", str(story), "--vocab", word),
        ("checkpoints", word),
        (word,),
    ):
        code, out, err = inside(*arguments)
        assert (code, out) == (2, "")
        lines = err.splitlines()
        assert lines[-2].startswith("error: ")
        assert "internal" not in lines[-2]
        assert all(len(line) <= 500 for line in lines[-2:])


@pytest.mark.parametrize("arguments", ["--help", "train --help", "--version"])
def test_help_on_a_full_disk(arguments: str) -> None:
    """Help that cannot be written is an error of standard output; a closed pipe is none."""
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*PROGRAM, *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert (result.returncode, result.stderr) == (
        1,
        "error: cannot write to standard output: No space left on device\n",
    )
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*PROGRAM, *arguments.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")
