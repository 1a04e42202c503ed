"""`charrnn doctor`, and the text that `charrnn demo` learns."""

import json
from importlib import resources

from tests.helpers import Charrnn


def test_doctor(charrnn: Charrnn) -> None:
    """Finds this machine in order, and says where everything is."""
    result = charrnn("doctor", "--json")
    assert result.returncode == 0
    report = json.loads(result.stdout)
    assert report["devices"][-1] == "cpu"
    assert report["precision_auto"]["cpu"] in ("fp32", "bf16")
    assert report["directories"]["runs"]["writable"]
    assert report["checks"]["file"] is True
    assert all(report["checks"][f"engines_{cell}"] < 1e-4 for cell in ("lstm", "gru", "rnn"))
    assert "check" in charrnn("doctor").stdout


def test_the_shipped_text_is_a_book() -> None:
    """In the package, plain, between 100 and 300 kB."""
    text = (resources.files("charrnn_cli") / "data" / "alice.txt").read_text("utf-8")
    assert 100_000 < len(text) < 300_000
    assert "Rabbit" in text
    assert "\r" not in text
