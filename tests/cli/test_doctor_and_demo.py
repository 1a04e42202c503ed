"""`charrnn doctor` and `charrnn demo`."""

import json
import re
from importlib import resources

from charrnn_cli.storage.registry import Registry
from tests.helpers import Charrnn, Inside


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


def test_a_short_demo(charrnn: Charrnn) -> None:
    """A demo of a few seconds trains a model that keeps to them, and prints a sample."""
    result = charrnn("demo", "--max-time", "8s")  # counts from the start of the process
    assert result.returncode == 0
    assert result.stdout.startswith("Alice ")
    assert result.stderr.endswith("next    charrnn train YOUR_TEXT.txt --max-time 10m\n")
    (run,) = Registry().runs()
    header = run.checkpoints()[-1].header
    assert header is not None
    assert header.train["max_time"] == 8.0


def test_the_shipped_text_is_a_book() -> None:
    """The package has a book of 100 to 300 kB with plain line ends."""
    text = (resources.files("charrnn_cli") / "data" / "alice.txt").read_text("utf-8")
    assert 100_000 < len(text) < 300_000
    assert "Rabbit" in text
    assert "\r" not in text
