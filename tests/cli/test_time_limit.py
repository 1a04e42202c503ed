"""What a time limit decides, and what is said about it."""

import re
from pathlib import Path

import pytest

from charrnn_cli.cli.terminal import run_facts
from charrnn_cli.model.checkpoint import load_checkpoint
from tests.helpers import FAST, STORY, Inside

# This process has run for minutes, which count.
LIMIT = ("--max-time", "10h", "--dry-run", "--init-from", "none")


def test_the_model_follows_the_time(inside: Inside, story: Path) -> None:
    """A line has the model, why, and the options that choose it; other settings are kept."""
    result = inside("train", story, *LIMIT, "--dropout", "0.125", "--batch-size", "7")
    found = re.search(
        r"^model   (\d)x(\d+), because .*"
        r" \(fixed by --layers (\d) --size (\d+) --lr [\d.]+.*\)$",
        result.stderr,
        re.M,
    )
    assert found is not None
    assert found.group(1, 2) == found.group(3, 4)
    assert f"model   lstm {found[1]}x{found[2]}, " in result.stderr
    assert " of 7 x 64 characters" in result.stderr
    assert "dropout 0.12" in result.stderr


@pytest.mark.parametrize(
    "words", [["--layers", "1"], ["--size", "16"], ["--embed", "8"], ["--cell", "gru"]], ids=str
)
def test_a_setting_of_the_model_is_obeyed(inside: Inside, story: Path, words: list[str]) -> None:
    """Whoever chooses any part of the model chooses all of it."""
    small = () if "--size" in words else ("--size", "16")
    result = inside("train", story, *LIMIT, *small, *words)
    assert result.returncode == 0
    assert "fixed by" not in result.stderr


def test_a_plan_that_cannot_work(inside: Inside, tmp_path: Path) -> None:
    """Too few steps are a warning, and so is a small part of the text; enough is not."""
    text = tmp_path / "long.txt"
    text.write_text(STORY * 40, "utf-8")
    few = inside("train", text, *FAST, "--max-steps", "49", "--dry-run")
    assert (
        "warning 49 steps are too few to learn much; use at least --max-steps 100\n" in few.stderr
    )
    part = inside("train", text, *FAST, "--max-steps", "60", "--dry-run")
    assert "epochs leave most of this text unread; use at least --max-steps " in part.stderr
    whole = inside("train", text, *FAST, "--max-steps", "1000", "--dry-run")
    assert "epochs leave" not in whole.stderr
    assert "too few" not in whole.stderr


def test_a_long_run_says_what_a_short_one_would_be(
    inside: Inside, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where nobody chose the model or the length, and only if the run is long."""
    words = ("train", story, "--dry-run", "--init-from", "none")
    assert "shorter " not in inside(*words).stderr
    monkeypatch.setattr(run_facts, "LONG_RUN", 0.0)
    shorter = re.search(r"^shorter (.*)$", inside(*words).stderr, re.M)
    assert shorter is not None
    assert shorter[1].startswith("5 minutes would train a ")
    assert f"charrnn train {story} " in shorter[1]
    assert shorter[1].endswith(" --max-time 5m")
    for chosen in (["--layers", "1"], ["--epochs", "2"], ["--max-steps", "9"]):
        assert "shorter " not in inside(*words, *chosen).stderr


def test_the_rows_that_are_evaluated_are_recorded(inside: Inside, story: Path) -> None:
    """Without a time limit, evaluations read everything that is held out."""
    result = inside("train", story, *FAST, "--max-steps", "4", "--run", "run")
    assert "evaluations read" not in result.stderr
    assert load_checkpoint("run").train["val_rows"] == 4
