"""Programs that run exported pages: Node.js for their engine, and Chromium for all of them."""

import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.helpers import TIMEOUT

NODE, CHROMIUM = shutil.which("node"), shutil.which("chromium")

needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

PATIENCE = 150.0  # seconds; a page takes about one

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


def node_answer(program: str, text: str) -> Any:
    """Return what the body of a function of `text` answers."""
    assert NODE is not None
    script = "const [program, text] = JSON.parse(require('node:fs').readFileSync(0, 'utf-8'));"
    script += "process.stdout.write(JSON.stringify(new Function('text', program)(text)));"
    result = subprocess.run(
        [NODE, "-e", script],
        input=json.dumps([program, text]),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def shown_page(path: Path, **address: Any) -> str:
    """Return the document that Chromium shows; it must not complain about anything.

    Where Chromium is installed and cannot even show an empty page, the test is skipped.
    """
    if _document_and_messages("about:blank") is None:
        pytest.skip("Chromium is installed, and hangs")
    found = _document_and_messages(f"{path.absolute().as_uri()}#{urlencode(address)}")
    assert found is not None, "the page never ends"
    document, messages = found
    assert "CONSOLE" not in messages, messages
    return document


def _document_and_messages(address: str) -> tuple[str, str] | None:
    """Return what Chromium shows of a page, and what it reports; None if it hangs."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory() as directory:
        options = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            # Otherwise, browsers that run at the same time share one.
            f"--user-data-dir={directory}/profile",
            # A virtual clock: it stands still while the page computes, and jumps while it waits.
            "--virtual-time-budget=20000",
            *("--enable-logging=stderr", "--dump-dom"),
        ]
        document, messages = Path(directory, "document"), Path(directory, "messages")
        # Files, since pipes stay open until the last process of a browser ends.
        with document.open("wb") as out, messages.open("wb") as err:
            process = subprocess.Popen(
                [CHROMIUM, *options, address],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                return None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return document.read_text("utf-8"), messages.read_text("utf-8", "replace")


def content(page: str, name: str) -> str:
    """Return the text of an element, which no element of its own name is inside."""
    found = re.search(rf'<(\w+)[^>]* id="{name}"[^>]*>(.*?)</\1>', page, re.DOTALL) or re.search(
        rf'<(\w+) id="{name}"[^>]*>(.*?)</\1>', page, re.DOTALL
    )
    assert found is not None, name
    return html.unescape(re.sub("<[^>]*>", "", found[2]))


def after_script(page: Path, script: str, name: str, **address: Any) -> Any:
    """Return the JSON that a script leaves in the element `name` of a page."""
    source = re.sub("<meta http-equiv.*?>", "", page.read_text("utf-8"))  # to add a script
    watched = page.with_name(f"watched-{page.name}")
    watched.write_text(source.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    return json.loads(content(shown_page(watched, **address), name))
