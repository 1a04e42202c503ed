"""`charrnn train --val --test` and `charrnn score --split`: validation and test texts in files."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.storage.registry import Registry
from tests.helpers import FAST, STORY, Inside, error_of, make_checkpoint, save

SHORT = (*FAST, "--max-steps", "20", "--eval-every", "10")


@pytest.fixture(autouse=True)
def texts(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(STORY)
    (tmp_path / "valid.txt").write_text("the mat sat on the rat, and the cat sat on.\n" * 30)
    (tmp_path / "test.txt").write_text("the hat and the mat.\n" * 20)


def scores(inside: Inside, *arguments: str) -> list[dict[str, Any]]:
    """Score with --split and return the rows."""
    rows: list[dict[str, Any]] = json.loads(inside("score", *arguments, "--json").stdout)
    return rows


def header(reference: str) -> dict[str, Any]:
    """Return the fields of a checkpoint's header."""
    from charrnn_cli.storage.tensorfile import read_header

    return read_header(Registry().resolve(reference)).metadata


def test_a_run_with_its_own_splits(inside: Inside) -> None:
    """The whole text is trained on, the other files are measured, and score repeats the losses."""
    typed = ("train", "train.txt", "--val", "valid.txt", "--test", "test.txt", *SHORT)
    result = inside(*typed, "--run", "own")
    assert result.returncode == 0
    assert "val     valid: 1,320 characters\ntest    test: 420 characters\n" in result.stderr
    line = re.search(r"\ntest    (\S+) \(\S+ bpc\) on 419 characters, by own@", result.stderr)
    assert line is not None
    shown = inside("checkpoints", "show", "own", "--json").stdout
    recorded = json.loads(shown)
    assert f"{recorded['test_loss']:.3f}" == line[1]
    for part, characters in (("train", 1319), ("val", 1319), ("test", 419)):
        (row,) = scores(inside, "own", "--split", part)
        assert (row["split"], row["characters"]) == (part, characters)
        assert row["loss"] == pytest.approx(recorded[f"{part}_loss"], abs=1e-4)
    (first,) = scores(inside, "own@10", "--split", "val")
    assert first["loss"] == pytest.approx(header("own@10")["val_loss"], abs=1e-4)


def test_the_events_have_the_test_loss(inside: Inside) -> None:
    """With --json, the loss on the test text is an event before the end."""
    typed = ("train", "train.txt", "--test", "test.txt", *SHORT, "--json", "--run", "own")
    rows = [json.loads(line) for line in inside(*typed).stdout.splitlines()]
    events = [row["event"] for row in rows]
    assert events[-4:] == ["BestTested", "TrainingFinished", "SamplesCompared", "Verdict"]
    assert rows[-4]["test_bpc"] == pytest.approx(rows[-4]["test_loss"] / 0.693147, rel=1e-5)
    (row,) = scores(inside, "own", "--split", "test")
    assert row["loss"] == pytest.approx(rows[-4]["test_loss"], abs=1e-4)


def test_the_command_repeats_the_run(inside: Inside, tmp_path: Path) -> None:
    """Neither the shown command nor the printed configuration loses the other files."""
    typed = ("--val", "valid.txt", "--test", "test.txt", *SHORT)
    printed = inside("train", "train.txt", *typed, "--print-config").stdout
    assert 'val = "valid.txt"\ntest = "test.txt"\n' in printed
    assert not re.search("^val_", printed, re.MULTILINE)
    (tmp_path / "run.toml").write_text(printed)
    assert inside("train", "train.txt", *typed, "-q", "--run", "one").returncode == 0
    assert inside("train", "--config", "run.toml", "-q", "--run", "two").returncode == 0
    command = json.loads(inside("checkpoints", "show", "one", "--json").stdout)["command"]
    assert inside(*shlex.split(command)[1:], "-q", "--run", "three").returncode == 0
    assert len({header(name)["tensors_sha256"] for name in ("one", "two", "three")}) == 1


def test_a_resumed_run_keeps_its_files(inside: Inside, tmp_path: Path) -> None:
    """Resuming needs no paths, and gives the weights of an uninterrupted run."""
    typed = ("train", "train.txt", "--val", "valid.txt", "--test", "test.txt", *FAST, "-q")
    half, whole = ("--max-steps", "10"), ("--max-steps", "20")
    constant = ("--schedule", "constant", "--warmup", "0", "--dropout", "0", "--eval-every", "10")
    inside(*typed, *half, *constant, "--run", "parts")
    assert inside("train", "--resume", "parts", *whole, "-q").returncode == 0
    inside(*typed, *whole, *constant, "--run", "whole")
    parts, other = header("parts@20"), header("whole@20")
    assert parts["tensors_sha256"] == other["tensors_sha256"]
    assert parts["val_loss"] == other["val_loss"]
    (tmp_path / "valid.txt").write_text("the mat sat on the cat.\n" * 30)
    result = inside("train", "--resume", "parts", "--max-steps", "30")
    assert result.returncode == 2
    assert error_of(result.stderr) == (
        "error: the validation text of run 'parts' has changed\n"
        "hint: restore it, or add --allow-new-data\n"
    )
    result = inside("score", "parts", "--split", "val")
    assert result.returncode == 2
    assert error_of(result.stderr) == (
        f"error: {tmp_path}/valid.txt has changed since parts@20 was trained\n"
        "hint: restore it, or pass another text instead of --split\n"
    )
    (tmp_path / "test.txt").unlink()
    result = inside("train", "--resume", "parts", "--max-steps", "30")
    assert result.stderr == (
        f"error: a held-out text of run 'parts' no longer exists: {tmp_path}/test.txt\n"
        "hint: restore this file\n"
    )


def test_unknown_characters(inside: Inside, tmp_path: Path) -> None:
    """Characters that the training text lacks are an error, and can be skipped."""
    text = (tmp_path / "valid.txt").read_text()
    (tmp_path / "greek.txt").write_text(text.replace("mat", "Ωmat"))
    result = inside("train", "train.txt", "--val", "greek.txt", *SHORT)
    assert result.returncode == 2
    assert result.stderr == (
        "charrnn reading train.txt\n"
        "error: --val greek.txt: the vocabulary lacks 1 character: 'Ω' (U+03A9) 30x\n"
        "hint: leave them out with --unknown skip\n"
    )
    losses = []
    for name, others in (("greek.txt", ["--unknown", "skip"]), ("valid.txt", [])):
        inside("train", "train.txt", "--val", name, *others, *SHORT, "-q", "--run", name[:5])
        losses.append(header(f"{name[:5]}@20")["val_loss"])
    assert losses[0] == losses[1]


def test_the_held_out_part_of_a_run(inside: Inside) -> None:
    """Without files of their own, the parts are those of the training text."""
    inside("train", "train.txt", *SHORT, "-q", "--run", "tail")
    for part in ("train", "val"):
        (row,) = scores(inside, "tail", "--split", part)
        assert row["loss"] == pytest.approx(header("tail")[f"{part}_loss"], abs=1e-4)
    result = inside("score", "tail", "--split", "test")
    assert result.returncode == 2
    assert error_of(result.stderr) == (
        "error: the run of tail@20 has no test text\nhint: train with --test FILE\n"
    )


def test_lists_with_files_of_their_own(inside: Inside, tmp_path: Path) -> None:
    """Items of a validation file are whole; those that are trained on, too, are a warning."""
    names = ["anna", "ben", "clara", "dora", "emil", "frida", "georg", "hanna"]
    both = [first + second for first in names for second in names]
    (tmp_path / "names.txt").write_text("\n".join(names + both))
    (tmp_path / "more.txt").write_text("anna\nnora\nbenno\nhanno\n")
    typed = ("--documents", "lines", "--val", "more.txt", *SHORT, "--run", "names")
    result = inside("train", "names.txt", *typed)
    assert result.returncode == 0
    assert (
        "warning 25.0% of the validation items are also in the training list: "
        "val loss will be too low; remove these items from one of them\n"
    ) in result.stderr
    (row,) = scores(inside, "names", "--split", "val")
    assert row["characters"] == len("anna\nnora\nbenno\nhanno\n")
    assert row["loss"] == pytest.approx(header("names")["val_loss"], abs=1e-4)


def test_a_model_that_lacks_a_character(inside: Inside, tmp_path: Path) -> None:
    """It is a row with a problem, and the other models are scored."""
    save(make_checkpoint(run="tiny", step=200))
    save(make_checkpoint(run="other", step=100, characters="\n abcdefgx"))
    (tmp_path / "text.txt").write_text("head bad cab\n")
    alone = scores(inside, "tiny", "text.txt")
    result = inside("score", "other", "tiny", "text.txt", "--json")
    first, second = json.loads(result.stdout)
    assert (result.returncode, [second]) == (0, alone)
    problem = "the text 'text' has characters that the model's vocabulary lacks: 'h' (U+0068)"
    assert first == {
        "checkpoint": "other@100",
        **dict.fromkeys(("characters", "loss", "bpc", "perplexity")),
        "problem": problem,
    }
    rows = inside("score", "other", "tiny", "text.txt").stdout.splitlines()
    assert rows[1].split("\t") == ["other@100", *"––––", problem]
    result = inside("score", "other", "other", "text.txt")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {problem}\nhint: ")
