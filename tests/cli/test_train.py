"""`charrnn train`, as a user sees it."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.tensorfile import read_header
from tests.helpers import Charrnn
from tests.terminal import Terminal, on_screen

FAST = (
    "--layers",
    "1",
    "--size",
    "16",
    "--embed",
    "8",
    "--batch-size",
    "4",
    "--seq-len",
    "16",
    "--seed",
    "1",
)


def test_a_first_run(charrnn: Charrnn, story: Path, home: Path) -> None:
    """What is known before, progress, a verdict, the next command; nothing on stdout; a checkpoint to sample."""
    result = charrnn("train", story, *FAST, "--max-steps", "60", "--eval-every", "20")
    assert (result.returncode, result.stdout) == (0, "")
    for expected in (
        "story: 4,160 characters, 15 different",
        "lstm 1x16, embed 8, 2,039 parameters",
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


def test_a_second_run_gets_a_name_of_its_own(charrnn: Charrnn, story: Path) -> None:
    for expected in ("story-lstm-1x16", "story-lstm-1x16-2"):
        result = charrnn("train", story, *FAST, "--max-steps", "2", "-q")
        assert (result.stdout, result.stderr) == (f"{expected}@2\n", "")


def test_json_lines(charrnn: Charrnn, story: Path) -> None:
    """Events as objects, one a line; the fields have their documented names."""
    result = charrnn("train", story, *FAST, "--max-steps", "20", "--eval-every", "10", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert (rows[0]["event"], rows[-1]["event"]) == ("TrainingStarted", "TrainingFinished")
    evaluated = next(row for row in rows if row["event"] == "Evaluated")
    assert {"step", "epoch", "train_loss", "val_loss", "val_bpc", "seconds"} <= set(evaluated)
    assert rows[0]["parameters"] == 2039
    assert result.stderr == ""


def test_the_notebook_preset_plans_as_the_notebook_did(charrnn: Charrnn, tmp_path: Path) -> None:
    """3,366,483 parameters for 83 symbols; 20 epochs of the windows of 100 x 100."""
    alphabet = "".join(chr(33 + index) for index in range(83))
    (tmp_path / "book.txt").write_text((alphabet * 600)[:40_001], "utf-8")
    result = charrnn("train", "book.txt", "--preset", "notebook", "--max-steps", "1")
    assert "lstm 2x512, one-hot, 3,366,483 parameters" in result.stderr
    assert "1 steps of 100 x 100 characters" in result.stderr
    assert "dropout 0.5" in result.stderr


def test_a_short_text_shrinks_the_batch(charrnn: Charrnn, story: Path) -> None:
    """With one line; a batch that was typed is not changed but refused, with the arithmetic."""
    options = ("--size", "8", "--layers", "1", "--max-steps", "2")
    assert (
        "instead of 32: the text is short"
        in charrnn("train", story, "--seq-len", "256", *options).stderr
    )
    result = charrnn("train", story, "--seq-len", "256", "--batch-size", "32", *options)
    assert result.returncode == 2
    assert "error: batch size 32 x seq len 256 needs 8,193 characters" in result.stderr
    assert "hint: use --batch-size 14" in result.stderr


def start(story: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A training process that has begun to step."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "charrnn_cli",
            "train",
            str(story),
            *FAST,
            "--log-every",
            "1",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=dict(os.environ),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step"):
            break
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_leaves(charrnn: Charrnn, story: Path, number: signal.Signals) -> None:
    """At once said, saved, with its own exit code; the run goes on where it was."""
    process = start(story, "--max-steps", "1000000", "--run", "long")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "stop    after this step" in errors
    found = re.search(r"interrupted at step (\d+), saved long@\1", errors)
    assert found, errors
    step = int(found[1])
    assert "charrnn train --resume long" in errors
    assert charrnn("sample", f"long@{step}", "-n", "5").returncode == 0
    resumed = charrnn("train", "--resume", "long", "--max-steps", str(step + 5))
    assert resumed.returncode == 0
    assert f"from step {step:,}" in resumed.stderr
    assert [entry.step for entry in Registry().run("long").checkpoints()] == [step + 5]


def test_a_second_signal_leaves_at_once(story: Path, home: Path) -> None:
    """And nothing half-written stays."""
    process = start(story, "--max-steps", "1000000", "--run", "long", "--size", "512")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # a repetition within moments is taken for the same request
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    assert not list((home / "runs").rglob("*.tmp"))


def test_a_finished_run_has_nothing_to_resume(charrnn: Charrnn, story: Path) -> None:
    """A clean no-op that says how to go on."""
    charrnn("train", story, *FAST, "--max-steps", "4", "--run", "short")
    result = charrnn("train", "--resume", "latest")
    assert result.returncode == 0
    assert "run short is complete at step 4" in result.stderr
    assert "charrnn train --resume short --max-steps 8" in result.stderr
    assert charrnn("train", "--resume", "short", "--max-steps", "8").returncode == 0
    assert charrnn("train", "--resume", "short", "--max-steps", "6").returncode == 0
    assert Registry().run("short").checkpoints()[-1].step == 8


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--size", "32"), "size 16, not 32"),
        (("--cell", "gru"), "cell lstm, not gru"),
        (("--lr", "0.5"), "lr 0.003, not 0.5"),
        (("--run", "other"), "--run"),
    ],
)
def test_a_resumed_run_keeps_what_it_is(
    charrnn: Charrnn, story: Path, arguments: tuple[str, ...], named: str
) -> None:
    """A clash is an error that names it."""
    charrnn("train", story, *FAST, "--max-steps", "4", "--run", "short")
    result = charrnn("train", "--resume", "short", *arguments)
    assert result.returncode == 2
    assert named in result.stderr


def test_another_text_is_refused(charrnn: Charrnn, story: Path, tmp_path: Path) -> None:
    """Unless its vocabulary is equal and --allow-new-data is given."""
    charrnn("train", story, *FAST, "--max-steps", "4", "--run", "short")
    same, other = tmp_path / "same.txt", tmp_path / "other.txt"
    same.write_text(story.read_text("utf-8") * 2, "utf-8")
    other.write_text(story.read_text("utf-8") + "ÄÖÜ", "utf-8")
    go_on = ("train", "--resume", "short", "--max-steps", "6")
    refused = charrnn(*go_on, same)
    assert refused.returncode == 2
    assert "--allow-new-data" in refused.stderr
    assert charrnn(*go_on, same, "--allow-new-data").returncode == 0
    assert "other characters" in charrnn(*go_on[:-1], "9", other, "--allow-new-data").stderr


def test_a_text_that_is_gone_is_asked_for(charrnn: Charrnn, story: Path, tmp_path: Path) -> None:
    charrnn("train", story, *FAST, "--max-steps", "4", "--run", "short")
    moved = tmp_path / "moved.txt"
    story.rename(moved)
    result = charrnn("train", "--resume", "short", "--max-steps", "6")
    assert result.returncode == 2
    assert "is gone" in result.stderr
    assert "charrnn train TEXT --resume short" in result.stderr
    assert charrnn("train", moved, "--resume", "short", "--max-steps", "6").returncode == 0


def test_a_dry_run_leaves_nothing(charrnn: Charrnn, story: Path, home: Path) -> None:
    """The plan, from timed steps, with memory and disk; no run."""
    result = charrnn("train", story, *FAST, "--epochs", "3", "--dry-run")
    assert result.returncode == 0
    for expected in ("174 steps of 4 x 16", "s a step", "memory  ", "disk    up to "):
        assert expected in result.stderr
    facts = json.loads(
        charrnn("train", story, *FAST, "--epochs", "3", "--dry-run", "--json").stdout
    )
    assert (facts["total_steps"], facts["parameters"]) == (174, 2039)
    assert Registry().runs() == []


def test_any_file_name(home: Path, tmp_path: Path) -> None:
    """A directory and a name that are no UTF-8 are trained on, and resumed."""
    directory = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(directory)
    Path(os.fsdecode(directory + b"/na\xefve.txt")).write_text("the cat sat. " * 300)
    command = [sys.executable.encode(), b"-m", b"charrnn_cli", b"train"]
    options = [*(option.encode() for option in FAST), b"--max-steps", b"4", b"--run", b"one"]
    first = subprocess.run(
        [*command, directory + b"/na\xefve.txt", *options], capture_output=True, check=False
    )
    assert first.returncode == 0, first.stderr
    again = subprocess.run(
        [*command, b"--resume", b"one", b"--max-steps", b"8"], capture_output=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert Registry().run("one").checkpoints()[-1].step == 8


def test_a_reader_of_events_that_leaves_does_not_end_the_run(story: Path, home: Path) -> None:
    """The run is trained and saved to its end; the exit code tells of the reader."""
    program = f"{sys.executable} -m charrnn_cli train {story} {' '.join(FAST)} --json --log-every 1 --run one"
    command = f"{program} --max-steps 400 --eval-every 100 | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 141
    assert result.stderr == ""
    assert Registry().run("one").checkpoints()[-1].step == 400


def test_the_environment_speaks_for_new_runs_alone(charrnn: Charrnn, story: Path) -> None:
    """A resumed run keeps its seed and its device."""
    env = {"CHARRNN_SEED": "7", "CHARRNN_DEVICE": "cpu"}
    charrnn("train", story, *FAST[:-2], "--max-steps", "4", "--run", "one", env=env)
    assert "seed 7" in charrnn("train", "--resume", "one", "--max-steps", "6").stderr
    result = charrnn(
        "train",
        "--resume",
        "one",
        "--max-steps",
        "8",
        env={"CHARRNN_SEED": "9", "CHARRNN_DEVICE": "toaster"},
    )
    assert result.returncode == 0
    assert "seed 7" in result.stderr


def test_a_quiet_resume_of_a_finished_run_prints_its_reference(
    charrnn: Charrnn, story: Path
) -> None:
    charrnn("train", story, *FAST, "--max-steps", "4", "--run", "one")
    result = charrnn("train", "--resume", "one", "-q")
    assert (result.stdout, result.stderr, result.returncode) == ("one@4\n", "", 0)


def test_the_command_to_try_can_be_typed(charrnn: Charrnn, story: Path) -> None:
    """It is what was typed, with the advice's change."""
    result = charrnn(
        "train", story, *FAST, "--max-steps", "30", "--dropout", "0.1", "--newlines", "keep"
    )
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("try ")]
    program, *words = line.split()[1:]
    assert (program, words[0]) == ("charrnn", "train")
    assert {"--newlines", "--max-steps", "--size", "--batch-size"} <= set(words)
    assert "--seed" not in words
    assert charrnn(*words, "--dry-run").returncode == 0


def test_a_file_of_settings_trains_the_same_model(
    charrnn: Charrnn, story: Path, tmp_path: Path
) -> None:
    """What --print-config writes gives, by --config, the same settings and the same weights; what is typed beats it."""
    options = [str(story), "--layers", "1", "--size", "8", "--max-steps", "6", "--dropout", "0.25"]
    printed = charrnn("train", *options, "--print-config").stdout
    (tmp_path / "run.toml").write_text(printed)
    assert charrnn("train", "--config", "run.toml", "--print-config").stdout == printed
    seed = re.search(r"seed = (\d+)", printed)
    assert seed is not None
    assert charrnn("train", "--config", "run.toml", "--run", "one", "-q").stdout == "one@6\n"
    assert charrnn("train", *options, "--seed", seed[1], "--run", "two", "-q").stdout == "two@6\n"
    digests = [
        read_header(Registry().resolve(f"{name}@6")).tensors_sha256 for name in ("one", "two")
    ]
    assert digests[0] == digests[1]
    assert (
        "max_steps = 3\n"
        in charrnn("train", "--config", "run.toml", "--max-steps", "3", "--print-config").stdout
    )
    for content, said in (
        ("sizes = 3", "unknown key 'sizes'"),
        ("size = [3]", "must be a single value"),
        ("size = ", "not TOML"),
        ("layers = 0\nsize = -1", "layers must be from 1 to 64; got 0; size must be"),
    ):
        (tmp_path / "bad.toml").write_text(content)
        result = charrnn("train", str(story), "--config", "bad.toml")
        assert result.returncode == 2
        assert said in result.stderr
    assert charrnn("train", "--config", "missing.toml").returncode == 2


def test_documents(charrnn: Charrnn, tmp_path: Path) -> None:
    """A folder is trained on file by file; shuffled, another model; the run knows its files when it is resumed."""
    (tmp_path / "books").mkdir()
    for number in range(6):
        (tmp_path / "books" / f"{number}.txt").write_text(
            "the cat sat on the mat. " * (40 + number)
        )
    (tmp_path / "books" / "empty.txt").touch()
    base = [
        "train",
        "books",
        "--layers",
        "1",
        "--size",
        "8",
        "--seed",
        "1",
        "--batch-size",
        "4",
        "--seq-len",
        "16",
    ]
    result = charrnn(*base, "--max-steps", "30")
    assert result.returncode == 0
    assert "6 documents" in result.stderr
    assert "empty.txt is empty" in result.stderr
    shuffled = charrnn(*base, "--max-steps", "30", "--shuffle-documents", "--run", "shuffled", "-q")
    assert shuffled.returncode == 0
    digests = [
        read_header(Registry().resolve(f"{name}@30")).tensors_sha256
        for name in ("books-lstm-1x8", "shuffled")
    ]
    assert digests[0] != digests[1]
    assert charrnn("train", "--resume", "shuffled", "--max-steps", "34", "-q").returncode == 0


def test_a_run_begins_with_another(charrnn: Charrnn, story: Path, tmp_path: Path) -> None:
    """Its weights and vocabulary; unknown characters are refused, left out or learned; and it can be resumed."""
    small = ["--layers", "1", "--size", "8", "--max-steps", "6", "--seed", "1", "-q"]
    charrnn("train", str(story), *small, "--run", "first")
    other = tmp_path / "other.txt"
    other.write_text(story.read_text().replace("cat", "ÇAT"))
    later = ["train", "other.txt", "--init-from", "first", "--max-steps", "6", "--seed", "1"]
    refused = charrnn(*later)
    assert refused.returncode == 2
    assert "'Ç' (U+00C7) 160x" in refused.stderr
    told = charrnn(*later, "--unknown", "extend", "--run", "grown")
    assert told.returncode == 0
    assert "step 0/6" in told.stderr
    assert charrnn(*later, "--unknown", "skip", "--run", "dropped", "-q").returncode == 0
    sizes = [
        read_header(Registry().resolve(name)).metadata["model"]["vocabulary_size"]
        for name in ("grown", "dropped")
    ]
    assert sizes[0] == sizes[1] + 3
    for name in ("grown", "dropped"):
        assert charrnn("train", "--resume", name, "--max-steps", "8", "-q").returncode == 0
    assert charrnn(*later, "--size", "9", "--unknown", "skip").returncode == 2
    assert charrnn("train", "other.txt", "--unknown", "skip").returncode == 2


def test_samples_while_training(charrnn: Charrnn, story: Path) -> None:
    """Every so many steps, after the prime; an unknown character in it is told before the first step."""
    small = ["train", str(story), "--layers", "1", "--size", "8", "--max-steps", "6", "--seed", "1"]
    result = charrnn(*small, "--sample-every", "3", "--sample-prime", "the ", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    sampled = [row for row in rows if row["event"] == "Sampled"]
    assert [(row["step"], row["prime"], len(row["text"])) for row in sampled] == [
        (3, "the ", 200),
        (6, "the ", 200),
    ]
    assert "sample  the " in charrnn(*small, "--sample-every", "6", "--sample-prime", "the ").stderr
    unknown = charrnn(*small, "--sample-every", "3", "--sample-prime", "Ω")
    assert (unknown.returncode, "'Ω'" in unknown.stderr) == (2, True)


def test_tensorboard(charrnn: Charrnn, story: Path, tmp_path: Path) -> None:
    """Figures in a directory of the run's name where the extra is installed, else an error that names it."""
    result = charrnn(
        "train",
        str(story),
        "--layers",
        "1",
        "--size",
        "8",
        "--max-steps",
        "4",
        "--run",
        "x",
        "--tensorboard",
        "board",
    )
    if importlib.util.find_spec("tensorboard") is None:
        assert result.returncode == 2
        assert "pip install 'charrnn[tensorboard]'" in result.stderr
    else:
        assert result.returncode == 0
        assert list((tmp_path / "board" / "x").iterdir())


@pytest.mark.parametrize("end", ["complete", "interrupted", "crashed"])
def test_a_narrow_terminal(
    story: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """At 60 columns no line is longer, and the cursor is there again afterwards."""
    monkeypatch.chdir(tmp_path)  # so that the text's name, which is never folded, is shorter too
    options = [
        "--layers",
        "1",
        "--size",
        "8",
        "--max-steps",
        "200" if end == "complete" else "1000000",
        "--seed",
        "1",
    ]
    options += ["--eval-every", "50", "--sample-every", "20"]
    with Terminal("train", story.name, *options, columns=60) as terminal:
        if end != "complete":
            terminal.wait_for("bpc")
            if end == "interrupted":
                terminal.type("\x03")
            else:
                (run,) = (home / "runs").iterdir()
                os.chmod(run, 0o500)
                terminal.process.send_signal(signal.SIGTERM)
        code = terminal.wait()
    assert code == {"complete": 0, "interrupted": 130, "crashed": 143}[end] or end == "crashed"
    assert max(len(line) for line in on_screen(terminal.written)) <= 60
    assert terminal.written.rfind(b"\x1b[?25h") > terminal.written.rfind(b"\x1b[?25l")
    assert b"Traceback" not in terminal.written
