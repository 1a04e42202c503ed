"""`charrnn doctor` and `charrnn demo`."""

import json
import re
import time
from importlib import resources

import pytest

from charrnn_cli.cli import new_job, training_run
from tests.helpers import Inside


def test_doctor(inside: Inside) -> None:
    """The report has devices and directories, and all checks pass."""
    result = inside("doctor", "--json")
    assert result.returncode == 0
    report = json.loads(result.stdout)
    assert report["devices"][-1] == "cpu"
    assert report["precision_auto"]["cpu"] in ("fp32", "bf16")
    assert report["directories"]["runs"]["writable"]
    assert report["checks"]["file"] is True
    assert all(report["checks"][f"engines_{cell}"] < 1e-4 for cell in ("lstm", "gru", "rnn"))
    checks = re.findall(r"^check +(\w+ ?\w*): (\w+)", inside("doctor").stdout, re.MULTILINE)
    expected = ["engines lstm", "engines gru", "engines rnn", "file"]
    assert checks == [(name, "ok") for name in expected]


def test_a_short_demo(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of a few seconds trains a model that keeps to them, and prints a sample."""
    for module in (new_job, training_run):  # the time of this process is not the command's
        monkeypatch.setattr(module, "STARTED", time.monotonic())
    result = inside("demo", "--max-time", "5s")
    assert result.returncode == 0
    assert result.stdout.startswith("Alice ")
    assert result.stderr.endswith("next    charrnn train YOUR_TEXT.txt --max-time 10m\n")
    assert "because it learns most in 5 s on this machine" in result.stderr


def test_the_shipped_text_is_a_book() -> None:
    """The package has a book of 100 to 300 kB with plain line ends."""
    text = (resources.files("charrnn_cli") / "data" / "alice.txt").read_text("utf-8")
    assert 100_000 < len(text) < 300_000
    assert "Rabbit" in text
    assert "\r" not in text
