"""`charrnn doctor`, and the text that `charrnn demo` trains on."""

import json
import re
from importlib import resources

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


def test_the_shipped_text_is_a_book() -> None:
    """The package has a book of 100 to 300 kB with plain line ends."""
    text = (resources.files("charrnn_cli") / "data" / "alice.txt").read_text("utf-8")
    assert 100_000 < len(text) < 300_000
    assert "Rabbit" in text
    assert "\r" not in text
