"""The log of an internal error: where it is, who can read it, and what it holds."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from charrnn_cli.cli.crash_log import redacted, write_crash_log
from tests.helpers import TIMEOUT

SECRET = "my diary"


def failure() -> Exception:
    """Make an exception with a cause; both messages hold a text."""
    try:
        try:
            raise FileNotFoundError(2, SECRET)
        except OSError as error:
            raise ValueError(SECRET) from error
    except ValueError as error:
        return error


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the directory that the system has for temporary files."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def test_a_log_is_private(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the user can read a log, and it holds no message, no value and no directory."""
    words = ["sample", "book", "--prime", SECRET, f"--stop={SECRET}", "-n20", "--json"]
    monkeypatch.setattr(sys, "argv", ["charrnn", *words])
    log = write_crash_log(failure(), {"sample", "--prime", "--stop", "-n", "--json"})
    assert log is not None
    assert [path.stat().st_mode & 0o777 for path in (home, log.parent, log)] == [
        0o700,
        0o700,
        0o600,
    ]
    story = log.read_text("utf-8")
    assert "\ncharrnn sample ... --prime ... --stop=... -n... --json\n" in story
    assert "Option values, other arguments and all error messages were left out" in story
    assert "\nValueError, most recent call last:\n  " in story
    assert "\nFileNotFoundError 2, most recent call last:\n  " in story
    assert "tests/cli/test_crash_log.py:" in story
    assert " in failure\n" in story
    assert SECRET not in story
    assert str(Path(__file__).parents[2]) not in story


def test_a_word_that_is_no_name_is_left_out() -> None:
    """A value that looks like an option is left out like any other."""
    words = ["train", "--lr", "--my-diary", "-x", "--lr=1"]
    assert redacted(words, {"train", "--lr"}) == ["train", "--lr", "...", "...", "--lr=..."]


def test_a_planted_link_is_not_followed(home: Path, tmp_path: Path, temporary: Path) -> None:
    """A link or a file at the log's name stays as it is, and the log goes to another directory."""
    target = tmp_path / "target"
    target.write_text("mine")
    (home / "logs").mkdir(parents=True)
    for second in range(int(time.time()), int(time.time()) + 600):
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(second))
        (home / "logs" / f"{stamp}-{os.getpid()}.log").symlink_to(target)
    log = write_crash_log(failure(), ())
    assert log is not None
    assert log.parent.parent == temporary
    assert [log.parent.stat().st_mode & 0o777, log.stat().st_mode & 0o777] == [0o700, 0o600]
    assert target.read_text() == "mine"


def test_a_log_needs_no_home(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a usable home, the log goes to the temporary directory, and without that, nowhere."""
    for home in ("~missinguser/x", str(tmp_path / "n" / ("n" * 300)), "/dev/null"):
        monkeypatch.setenv("CHARRNN_HOME", home)
        log = write_crash_log(failure(), ())
        assert log is not None
        assert log.parent.parent == temporary
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert write_crash_log(failure(), ()) is None


def test_the_program_needs_no_home_to_report_an_error(tmp_path: Path) -> None:
    """A process without a home prints one line about an internal error, and where its log is."""
    script = (
        "import os, sys\n"
        "def broken(path): raise RuntimeError('odd')\n"
        "os.scandir = broken\n"
        "sys.argv = ['charrnn', 'encode', '.']\n"
        "from charrnn_cli.__main__ import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "CHARRNN_HOME": "~missinguser/x", "TMPDIR": str(tmp_path)},
        check=False,
    )
    (log,) = tmp_path.glob("charrnn-*/*.log")
    assert result.returncode == 1
    assert result.stderr == (
        f"error: internal error: RuntimeError: odd\nhint: report this problem and attach {log}\n"
    )
