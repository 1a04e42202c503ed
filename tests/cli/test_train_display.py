"""The live display of `charrnn train` on a real terminal."""

import re
import signal
from pathlib import Path

import pytest

from tests.helpers import first_of
from tests.terminal import Terminal, on_screen

EXIT_CODES = {"complete": 0, "interrupted": 130, "crashed": 1}


@pytest.mark.parametrize("end", EXIT_CODES)
def test_a_narrow_terminal(
    story: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """At 60 columns no line is longer, and the cursor is visible again however the run ends."""
    monkeypatch.chdir(tmp_path)  # the text's name is never folded, so it must be short
    options = ["--layers", "1", "--size", "8", "--seed", "1"]
    # A run that is stopped has not just saved everything.
    steps, interval = ("200", "50") if end == "complete" else ("1000000", "1000000")
    options += ["--max-steps", steps, "--eval-every", interval, "--sample-every", "20"]
    with Terminal("train", story.name, *options, columns=60) as terminal:
        if end != "complete":
            terminal.wait_for("step 20")
        if end == "interrupted":
            terminal.type("\x03")
        elif end == "crashed":  # the run's directory is gone, so that the last save fails
            (run,) = (home / "runs").iterdir()
            run.rename(tmp_path / "moved")
            run.write_text("not a directory")
            terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == EXIT_CODES[end]
    assert max(len(line) for line in on_screen(terminal.written)) <= 60
    assert terminal.written.rfind(b"\x1b[?25h") > terminal.written.rfind(b"\x1b[?25l") >= 0
    assert (b"error:" in terminal.written) == (end == "crashed")
    assert b"Traceback" not in terminal.written


@pytest.mark.parametrize("name", first_of("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "COLAB_GPU"))
def test_a_notebook_gets_plain_lines(story: Path, name: str) -> None:
    """In a notebook, whose output is a terminal, nothing is redrawn."""
    options = ["--layers", "1", "--size", "8", "--seed", "1", "--max-steps", "20"]
    with Terminal("train", str(story), *options, env={name: ""}) as terminal:
        assert terminal.wait() == 0
    assert re.search(rb"\n\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  step 20/20  epoch ", terminal.written)
    assert not re.search(rb"\x1b\[\d*[AK]", terminal.written)
