"""`charrnn train` for a new run: what it shows, what it writes, and which texts it takes."""

import json
import os
import re
from pathlib import Path

from charrnn_cli.cli.terminal.formats import format_scale
from charrnn_cli.config import TrainConfig
from charrnn_cli.model.baselines import baselines
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.splits import split_corpus
from tests.helpers import FAST, STORY, Charrnn, Inside, error_of

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # in UTC
SMALL = ("--layers", "1", "--size", "8", "--max-steps", "6", "--seed", "1")


def test_a_first_run(charrnn: Charrnn, story: Path, home: Path) -> None:
    """A run shows text, model, plan, progress and result on stderr, and leaves checkpoints."""
    result = charrnn("train", story, *FAST, "--max-steps", "60", "--eval-every", "20")
    assert (result.returncode, result.stdout) == (0, "")
    for expected in (
        "story: 4,160 characters, 15 distinct\n",
        "lstm 1x16, embed 8, 2,384 parameters",
        "parameters for 3,744 characters",
        "60 steps of 4 x 16 characters",
        "step 20/60",
        "val ",
        "bpc",
        "done    60 steps",
        "try     charrnn train ",
        "next    charrnn sample story-lstm-1x16",
    ):
        assert expected in result.stderr, result.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", result.stderr)
    assert [entry.step for entry in Registry().run("story-lstm-1x16").checkpoints()] == [20, 40, 60]
    assert charrnn("sample", "-n", "50", "--prime", "the ").stdout.startswith("the ")


def test_the_scale(inside: Inside, story: Path) -> None:
    """The scale is measured on the validation text of the run, unless its time is too short."""
    options = ("train", story, *FAST, "--max-steps", "2", "--val-split", "spread")
    corpus = cached_corpus(story)
    found = baselines(corpus, split_corpus(corpus, TrainConfig(val_split="spread")))
    scale = ", ".join(format_scale(found.labelled))
    assert f"scale   {scale}\n" in inside(*options, "--max-time", "2m").stderr
    assert "\nscale " not in inside(*options, "--max-time", "1m").stderr
    story.write_text(STORY * 600)
    long = (*options, "--val-fraction", "0.002", "--max-time", "2m")
    assert "\nscale " not in inside(*long).stderr


def test_a_second_run_gets_a_name_of_its_own(inside: Inside, story: Path) -> None:
    """A taken name gets the next free number, and --quiet prints the reference alone."""
    for expected in ("story-lstm-1x16", "story-lstm-1x16-2"):
        result = inside("train", story, *FAST, "--max-steps", "2", "-q")
        assert (result.stdout, result.stderr) == (f"{expected}@2\n", "")


def test_json_lines(inside: Inside, story: Path) -> None:
    """With --json, each line of stdout is one event with the documented fields; a verdict ends."""
    result = inside("train", story, *FAST, "--max-steps", "20", "--eval-every", "10", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert (rows[0]["event"], rows[-1]["event"]) == ("TrainingStarted", "Verdict")
    evaluated = next(row for row in rows if row["event"] == "Evaluated")
    assert {"step", "epoch", "train_loss", "val_loss", "val_bpc", "seconds"} <= set(evaluated)
    assert rows[0]["parameters"] == 2384
    assert result.stderr == ""
    assert all(TIME.fullmatch(row["time"]) for row in rows)
    lines = Registry().run("story-lstm-1x16").metrics_path.read_text().splitlines()
    recorded = [json.loads(line) for line in lines]
    assert [{**row, "time": ""} for row in rows[:-2]] == [{**row, "time": ""} for row in recorded]
    assert {"run", "diagnosis", "reason", "try"} <= set(rows[-1])


def test_long_phases_are_announced(inside: Inside, tmp_path: Path) -> None:
    """Each phase that may take over two seconds has a line with its time; --quiet has none."""
    (tmp_path / "long.txt").write_text(STORY * 600)
    options = ("train", "long.txt", *FAST, "--ngram", "2", "--dry-run")
    lines = [line.partition("  ") for line in inside(*options).stderr.splitlines()]
    phases = [text for time, _, text in lines if TIME.fullmatch(time)]
    assert phases == ["counting n-grams", "loading torch, and timing steps of lstm 1x16"]
    assert inside(*options, "--quiet").stderr == ""


def test_a_short_text_shrinks_the_batch(inside: Inside, story: Path) -> None:
    """A short text shrinks the default batch, but a batch size that was typed is an error."""
    options = ("train", story, "--seq-len", "256", *SMALL)
    assert "batch   1 row instead of 32, because the text is short\n" in inside(*options).stderr
    result = inside(*options, "--batch-size", "32")
    assert result.returncode == 2
    assert error_of(result.stderr) == (
        "error: --batch-size 32 x --seq-len 256 needs 8,193 characters of training text; "
        "the training part of this text has 3,744\n"
        "hint: use --batch-size 14 or a smaller --seq-len\n"
    )


def test_a_dry_run_leaves_nothing(inside: Inside, story: Path, home: Path) -> None:
    """A dry run shows the plan with time, memory and disk space, and creates no run."""
    result = inside("train", story, *FAST, "--epochs", "3", "--dry-run")
    assert result.returncode == 0
    for expected in ("174 steps of 4 x 16", " s per step\n", "memory  ", "disk    up to "):
        assert expected in result.stderr
    facts = json.loads(inside("train", story, *FAST, "--epochs", "3", "--dry-run", "--json").stdout)
    assert (facts["total_steps"], facts["parameters"]) == (174, 2384)
    assert Registry().runs() == []


def test_any_file_name(inside: Inside, tmp_path: Path) -> None:
    """A text whose directory and name are not UTF-8 can be trained on and resumed."""
    directory = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(directory)
    Path(os.fsdecode(directory + b"/na\xefve.txt")).write_text("the cat sat. " * 300)
    text = os.fsdecode(directory + b"/na\xefve.txt")
    for arguments in (
        (text, *FAST, "--max-steps", "4", "--run", "one"),
        ("--resume", "one", "--max-steps", "8"),
    ):
        result = inside("train", *arguments)
        assert result.returncode == 0, result.stderr
    assert Registry().run("one").checkpoints()[-1].step == 8


def test_documents(inside: Inside, tmp_path: Path) -> None:
    """A folder's files are its documents; shuffling them is part of the recipe of the run."""
    (tmp_path / "books").mkdir()
    for number in range(6):
        text = "the cat sat on the mat. " * (40 + number)
        (tmp_path / "books" / f"{number}.txt").write_text(text)
    (tmp_path / "books" / "empty.txt").touch()
    base = ["train", "books", *SMALL, "--batch-size", "4", "--seq-len", "16", "--max-steps", "30"]
    result = inside(*base, "--run", "in-order")
    assert result.returncode == 0
    assert "6 documents" in result.stderr
    assert "skipped empty.txt: is empty\n" in result.stderr
    shuffled = inside(*base, "--shuffle-documents", "--run", "shuffled", "-q")
    assert shuffled.returncode == 0
    digests = {
        read_header(Registry().resolve(f"{name}@30")).tensors_sha256
        for name in ("in-order", "shuffled")
    }
    assert len(digests) == 2
    assert inside("train", "--resume", "shuffled", "--max-steps", "34", "-q").returncode == 0


def test_a_run_begins_with_another(inside: Inside, story: Path, tmp_path: Path) -> None:
    """A run with --init-from takes weights and vocabulary, grows it on request, and resumes."""
    inside("train", story, *SMALL, "-q", "--run", "first")
    (tmp_path / "other.txt").write_text(story.read_text().replace("cat", "ÇAT"))
    later = ["train", "other.txt", "--init-from", "first", "--max-steps", "6", "--seed", "1"]
    grown = inside(*later, "--unknown", "extend", "--run", "grown")
    assert grown.returncode == 0
    assert "step 0/6" in grown.stderr
    assert inside(*later, "--unknown", "skip", "--run", "skipped", "-q").returncode == 0
    sizes = [
        read_header(Registry().resolve(name)).metadata["model"]["vocabulary_size"]
        for name in ("grown", "skipped")
    ]
    assert sizes[0] == sizes[1] + 3
    for name in ("grown", "skipped"):
        assert inside("train", "--resume", name, "--max-steps", "8", "-q").returncode == 0


def test_initial_weights_that_do_not_fit(inside: Inside, story: Path, tmp_path: Path) -> None:
    """Unknown characters, another architecture and --unknown without --init-from are errors."""
    inside("train", story, *SMALL, "-q", "--run", "first")
    (tmp_path / "other.txt").write_text(story.read_text().replace("cat", "ÇAT"))
    later = ("train", "other.txt", "--init-from", "first")
    for arguments, error in (
        (
            later,
            (
                "error: the vocabulary lacks 3 characters: 'A' (U+0041) 160x, 'T' (U+0054) 160x, "
                "'Ç' (U+00C7) 160x\n"
                "hint: add them with --unknown extend, or leave them out with --unknown skip\n"
            ),
        ),
        (
            (*later, "--size", "9", "--unknown", "skip"),
            (
                "error: first@6 was trained with --size 8, not 9\n"
                "hint: leave out --size; --init-from sets the architecture\n"
            ),
        ),
        (
            ("train", "other.txt", "--unknown", "skip"),
            (
                "error: --unknown skip requires a vocabulary\n"
                "hint: specify one with --init-from, or leave out --unknown\n"
            ),
        ),
    ):
        result = inside(*arguments)
        assert (result.returncode, error_of(result.stderr)) == (2, error)
    assert [run.name for run in Registry().runs()] == ["first"]
