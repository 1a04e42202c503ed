"""`charrnn checkpoints`, as a user sees it."""

import json
import shlex
import subprocess

import pytest

from charrnn_cli.storage.runs import Run
from tests.helpers import Charrnn, make_checkpoint, save
from tests.terminal import Terminal, on_screen


def test_an_empty_home_says_what_to_do(charrnn: Charrnn) -> None:
    result = charrnn("checkpoints", "list")
    assert (result.returncode, result.stdout) == (0, "")
    assert "charrnn train" in result.stderr
    assert json.loads(charrnn("checkpoints", "list", "--json").stdout) == []
    assert charrnn("checkpoints", "list", "-q").stdout == ""


@pytest.mark.usefixtures("tiny_run")
def test_a_row_a_run(charrnn: Charrnn) -> None:
    """Piped, tab-separated and never cut; JSON with the documented names."""
    header, row = charrnn("checkpoints", "list").stdout.splitlines()
    assert header.split("\t")[:5] == ["run", "model", "parameters", "step", "val"]
    assert row.split("\t")[:6] == ["tiny", "lstm 1x4", "224", "300", "1.000", "1.443"]
    (fields,) = json.loads(charrnn("checkpoints", "ls", "--json").stdout)
    assert (fields["run"], fields["step"], fields["val_loss"], fields["best"]) == (
        "tiny",
        300,
        1.0,
        200,
    )
    assert fields["status"] == "interrupted"
    assert charrnn("checkpoints", "list", "-q").stdout == "tiny\n"


@pytest.mark.usefixtures("tiny_run")
def test_a_row_a_checkpoint(charrnn: Charrnn) -> None:
    rows = json.loads(charrnn("checkpoints", "list", "--run", "tiny", "--json").stdout)
    assert [(row["step"], row["val_loss"], row["best"], row["latest"]) for row in rows] == [
        (100, 2.0, False, False),
        (200, 1.0, True, False),
        (300, 1.5, False, True),
    ]
    assert (
        charrnn("checkpoints", "list", "--run", "tiny", "-q").stdout
        == "tiny@100\ntiny@200\ntiny@300\n"
    )
    table = charrnn("checkpoints", "list", "--run", "tiny").stdout.splitlines()
    assert table[2].endswith("best")
    assert table[3].endswith("latest")


@pytest.mark.usefixtures("tiny_run")
def test_sorting_and_choosing(charrnn: Charrnn) -> None:
    save(make_checkpoint(run="other", val_loss=0.5))
    save(make_checkpoint(run="zero", val_loss=None))

    def names(*options: str) -> list[str]:
        return charrnn("checkpoints", "list", "-q", *options).stdout.split()

    assert names("--sort", "name") == ["other", "tiny", "zero"]
    assert names("--sort", "val") == ["other", "tiny", "zero"]
    assert names("--sort", "val", "--limit", "1") == ["other"]
    assert names("--sort", "size")[0] == "tiny"
    assert names("ot") == ["other"]
    assert names("--sort", "updated")[0] == "zero"


def test_damage_is_a_row(charrnn: Charrnn, tiny_run: Run) -> None:
    """A flipped digit of a loss in a header is never listed, nor best; cut and foreign files are rows as well."""
    best = tiny_run.step_path(200)
    raw = best.read_bytes()
    assert raw.count(b'val_loss\\":1.0') == 1
    best.write_bytes(raw.replace(b'val_loss\\":1.0', b'val_loss\\":0.0'))
    tiny_run.step_path(400).write_bytes(raw[:100])
    tiny_run.step_path(500).write_bytes(b"\x1b[31mhello")
    result = charrnn("checkpoints", "list", "--run", "tiny", "--json")
    assert result.returncode == 0
    rows = {row["step"]: row for row in json.loads(result.stdout)}
    assert rows[200]["val_loss"] is None
    assert [step for step, row in rows.items() if row["problem"]] == [200, 400, 500]
    assert [step for step, row in rows.items() if row["best"]] == [300]
    (run,) = json.loads(charrnn("checkpoints", "list", "--json").stdout)
    assert (run["damaged"], run["best"]) == (3, 300)
    assert "3 damaged" in charrnn("checkpoints", "list").stdout


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(("columns", "missing"), [(120, 0), (60, 3), (40, 5)])
def test_a_narrow_terminal_leaves_columns_out(columns: int, missing: int) -> None:
    """Rather than fold names and numbers; which ones is said."""
    save(make_checkpoint(run="a-longer-name"))
    with Terminal("checkpoints", "list", columns=columns) as terminal:
        assert terminal.wait() == 0
    header, first, second, *rest = [
        line.rstrip() for line in on_screen(terminal.written) if line.strip()
    ]
    assert all(len(line) <= columns for line in (header, first, second))
    assert (first.split()[0], second.split()[0]) == ("a-longer-name", "tiny")
    names = ["size", "bpc", "parameters", "updated", "model"][:missing]
    assert len(header.split()) == 9 - missing
    assert " ".join(rest).split() == (f"no room for {', '.join(names)}".split() if missing else [])


@pytest.mark.usefixtures("tiny_run")
def test_a_command_to_type_can_be_copied(charrnn: Charrnn) -> None:
    """Over several lines it is still one to the shell."""
    with Terminal("checkpoints", "show", "tiny", columns=50) as terminal:
        assert terminal.wait() == 0
    lines = [line for line in on_screen(terminal.written) if line.strip()]
    assert all(len(line) <= 50 for line in lines)
    (start,) = [number for number, line in enumerate(lines) if line.startswith("again")]
    folded = "\n".join(line[12:].rstrip() for line in lines[start:])
    assert folded.count("\n") > 0
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {folded}"], capture_output=True, text=True, check=True
    )
    assert words.stdout.split()[:2] == ["charrnn", "train"]
    assert words.stdout.split() == shlex.split(
        json.loads(charrnn("checkpoints", "show", "tiny", "--json").stdout)["command"]
    )
