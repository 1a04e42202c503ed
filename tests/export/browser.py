"""Programs that run exported pages: Node.js for their engine, and Chromium for all of them."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.helpers import TIMEOUT

NODE, CHROMIUM = shutil.which("node"), shutil.which("chromium")

needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

_RUNNER = Path(__file__).with_name("run_page.js")


def answers(requests: list[dict[str, Any]]) -> list[Any]:
    """Return what the engines of pages answer; `run_page.js` describes requests."""
    assert NODE is not None
    result = subprocess.run(
        [NODE, str(_RUNNER)],
        input=json.dumps(requests, default=str),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answered: list[Any] = json.loads(result.stdout)
    return answered


def shown_page(path: Path, **address: Any) -> str:
    """Return the document that Chromium shows; it must not complain about anything."""
    assert CHROMIUM is not None
    # A virtual clock: it stands still while the page computes, and jumps while it waits.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
    result = subprocess.run(
        [
            *(CHROMIUM, *options, "--enable-logging=stderr", "--dump-dom"),
            f"{path.absolute().as_uri()}#{urlencode(address)}",
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert "CONSOLE" not in result.stderr, result.stderr
    return result.stdout


def content(page: str, name: str) -> str:
    """Return the text of an element, which no element of its own name is inside."""
    found = re.search(rf'<(\w+)[^>]* id="{name}"[^>]*>(.*?)</\1>', page, re.DOTALL) or re.search(
        rf'<(\w+) id="{name}"[^>]*>(.*?)</\1>', page, re.DOTALL
    )
    assert found is not None, name
    return html.unescape(re.sub("<[^>]*>", "", found[2]))
