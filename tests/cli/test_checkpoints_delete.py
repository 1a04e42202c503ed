"""`charrnn checkpoints show`, `path`, `rm`, `prune`, `export`, `import` and `verify`, as a user sees them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_cli.cli.options.command_line import train_command
from charrnn_cli.cli.options.parsers import parse_duration
from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import Charrnn, make_checkpoint, save

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
    "3",
)


def steps(name: str = "tiny") -> list[int]:
    return [entry.step for entry in Registry().run(name).checkpoints()]


def test_path(charrnn: Charrnn, tiny_run: Run) -> None:
    assert charrnn("checkpoints", "path").stdout == f"{tiny_run.step_path(200)}\n"
    assert charrnn("checkpoints", "path", "tiny@latest").stdout == f"{tiny_run.step_path(300)}\n"


def test_show_prints_the_command_that_trains_it_again(charrnn: Charrnn, story: Path) -> None:
    """Run as it stands, it gives the same weights."""
    charrnn(
        "train",
        story,
        *FAST,
        "--max-steps",
        "30",
        "--eval-every",
        "10",
        "--keep-prob",
        "0.75",
        "--run",
        "one",
    )
    shown = charrnn("checkpoints", "show", "one").stdout
    for expected in (
        "one@30",
        "lstm 1x16",
        "story: 4,160 characters",
        "val curve",
        "torch 2.",
        "seed 3",
    ):
        assert expected in shown
    facts = json.loads(charrnn("checkpoints", "show", "one@30", "--json").stdout)
    assert facts["val_bpc"] == pytest.approx(facts["val_loss"] / 0.6931, rel=1e-3)
    assert [row["step"] for row in facts["evaluations"]] == [10, 20, 30]
    program, *arguments = facts["command"].split()
    assert program == "charrnn"
    assert charrnn(*arguments, "--run", "two").returncode == 0
    one, two = load_checkpoint("one@30"), load_checkpoint("two@30")
    assert all((one.weights[name] == two.weights[name]).all() for name in one.weights)


def test_show_finds_the_shortest_preset(charrnn: Charrnn, story: Path) -> None:
    charrnn(
        "train",
        story,
        "--preset",
        "notebook",
        "--size",
        "8",
        "--batch-size",
        "2",
        "--max-steps",
        "1",
        "--seed",
        "1",
    )
    command = json.loads(charrnn("checkpoints", "show", "--json").stdout)["command"]
    assert command.startswith(f"charrnn train {story} --preset notebook")
    assert "--lr" not in command


def test_rm(charrnn: Charrnn, tiny_run: Run) -> None:
    """Says what goes and how much; asks, and without a terminal does nothing without --yes."""
    result = charrnn("checkpoints", "rm", "tiny@100")
    assert result.returncode == 2
    assert "tiny/step-0000000100.safetensors" in result.stderr
    assert "hint: add --yes" in result.stderr
    assert steps() == [100, 200, 300]
    assert charrnn("checkpoints", "rm", "tiny@100", "--dry-run").returncode == 0
    assert steps() == [100, 200, 300]
    assert charrnn("checkpoints", "rm", "tiny@100", "latest", "--yes").returncode == 0
    assert steps() == [200]
    (tiny_run.path / "notes.txt").write_text("mine")
    assert charrnn("checkpoints", "rm", "tiny", "-y").returncode == 0
    assert [path.name for path in tiny_run.path.iterdir()] == ["notes.txt"]


def test_rm_takes_no_paths(charrnn: Charrnn, tiny_run: Run) -> None:
    result = charrnn("checkpoints", "rm", tiny_run.step_path(100), "--yes")
    assert result.returncode == 2
    assert steps() == [100, 200, 300]


def test_prune_keeps_best_and_latest(charrnn: Charrnn, home: Path) -> None:
    for step, loss in enumerate([3.0, 1.0, 2.0, 2.5, 2.6, 2.7], start=1):
        save(make_checkpoint(step=step, val_loss=loss))
    assert (
        "tiny/step-0000000001"
        in charrnn("checkpoints", "prune", "tiny", "--keep", "2", "--dry-run").stderr
    )
    assert steps() == [1, 2, 3, 4, 5, 6]
    assert charrnn("checkpoints", "prune", "tiny", "--keep", "2", "--yes").returncode == 0
    assert steps() == [2, 5, 6]
    assert "nothing to delete" in charrnn("checkpoints", "prune", "tiny", "--keep", "2").stderr
    for missing in (("prune", "tiny"), ("prune", "--keep", "2"), ("prune", "tiny", "--keep", "0")):
        assert charrnn("checkpoints", *missing).returncode == 2


def test_a_flipped_digit_is_never_pruned_by(charrnn: Charrnn, tiny_run: Run) -> None:
    """A damaged header is neither best nor counted, and stays to be looked at."""
    raw = tiny_run.step_path(100).read_bytes()
    tiny_run.step_path(100).write_bytes(raw.replace(b'val_loss\\":2.0', b'val_loss\\":0.0'))
    charrnn("checkpoints", "prune", "tiny", "--keep", "1", "--yes")
    assert steps() == [100, 200, 300]


def test_training_keeps_so_many(charrnn: Charrnn, story: Path) -> None:
    """--keep newest, the best and the latest."""
    options = (
        "--max-steps",
        "50",
        "--eval-every",
        "50",
        "--save-every",
        "5",
        "--keep",
        "3",
        "--run",
        "one",
    )
    charrnn("train", story, *FAST, *options)
    assert steps("one") == [40, 45, 50]


def test_export_and_import(charrnn: Charrnn, tiny_run: Run, tmp_path: Path) -> None:
    """One file, byte for byte; sampled from where it lies, and from a registry that takes it in."""
    result = charrnn("checkpoints", "export", "tiny", "-o", "model.safetensors")
    assert result.returncode == 0
    exported = tmp_path / "model.safetensors"
    assert exported.read_bytes() == tiny_run.step_path(200).read_bytes()
    assert charrnn("sample", "model.safetensors", "-n", "5").returncode == 0
    assert charrnn("checkpoints", "export", "tiny", "-o", "model.safetensors").returncode == 1
    assert charrnn("checkpoints", "import", "model.safetensors", "--run", "gift").returncode == 0
    assert steps("gift") == [200]
    assert charrnn("checkpoints", "import", "model.safetensors").returncode == 0
    assert steps("tiny-2") == [200]
    assert charrnn("checkpoints", "import", "model.safetensors", "--run", "gift").returncode == 2


def test_export_and_import_through_a_pipe(home: Path, tiny_run: Run) -> None:
    program = f"{sys.executable} -m charrnn_cli checkpoints"
    command = f"{program} export tiny@300 -o - | {program} import - --run piped"
    assert subprocess.run(["bash", "-c", command], check=False, timeout=60).returncode == 0
    assert (
        Registry().run("piped").step_path(300).read_bytes() == tiny_run.step_path(300).read_bytes()
    )


def test_damaged_files_are_not_passed_on(charrnn: Charrnn, tiny_run: Run, tmp_path: Path) -> None:
    """Neither exported nor imported; and nothing is left of the attempt."""
    raw = bytearray(tiny_run.step_path(200).read_bytes())
    raw[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(raw)
    tiny_run.step_path(200).write_bytes(raw)
    assert charrnn("checkpoints", "export", "tiny@200", "-o", "out.safetensors").returncode == 1
    assert not (tmp_path / "out.safetensors").exists()
    assert charrnn("checkpoints", "import", "bad.safetensors", "--run", "gift").returncode == 1
    assert [run.name for run in Registry().runs()] == ["tiny"]


def test_verify(charrnn: Charrnn, tiny_run: Run) -> None:
    """Everything by default; exit 1 when one is damaged, which it names."""
    result = charrnn("checkpoints", "verify")
    assert result.returncode == 0
    assert result.stdout.count("ok\t") == 3
    raw = bytearray(tiny_run.step_path(200).read_bytes())
    raw[-1] ^= 1
    tiny_run.step_path(200).write_bytes(raw)
    result = charrnn("checkpoints", "verify", "tiny")
    assert result.returncode == 1
    assert "DAMAGED" in result.stdout
    assert "step-0000000200" in result.stdout
    assert "1 of 3 files are damaged" in result.stderr
    assert charrnn("checkpoints", "verify", "tiny@100").returncode == 0


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("charrnn sample ti", {"tiny"}),
        ("charrnn sample tiny@", {"tiny@best", "tiny@latest", "tiny@100", "tiny@200", "tiny@300"}),
        ("charrnn checkpoints show tiny@2", {"tiny@200"}),
        ("charrnn checkpoints list --run t", {"tiny"}),
        ("charrnn train --resume ", {"latest", "tiny"}),
        ("charrnn train --preset n", {"notebook"}),
    ],
)
def test_completion(typed: str, expected: set[str]) -> None:
    """Runs, references and presets complete in a shell."""
    words = typed.split() + ([""] if typed.endswith(" ") else [])
    env = {
        "_CHARRNN_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    assert set(completed(env).split()) == expected


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_of_other_shells(shell: str) -> None:
    env = {"_CHARRNN_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "charrnn sample ti"}
    assert "tiny" in completed({**env, "_TYPER_COMPLETE_FISH_ACTION": "get-args"})


def completed(env: dict[str, str]) -> str:
    """What the program answers a shell that asks it how to go on."""
    script = "import sys; sys.argv = ['charrnn']; from charrnn_cli.cli.main import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
    )
    return result.stdout


def test_show_plots_several_runs(charrnn: Charrnn, tiny_run: Run, tmp_path: Path) -> None:
    """A picture of their losses; an existing file stays, and a run without figures is told."""
    rows = [
        {"event": "Evaluated", "step": step, "val_loss": 3 / step, "train_loss": 2 / step}
        for step in (1, 2, 3)
    ]
    tiny_run.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    save(make_checkpoint(run="two"))
    Registry().run("two").metrics_path.write_text(tiny_run.metrics_path.read_text())
    result = charrnn("checkpoints", "show", "tiny", "two", "--plot", "losses.svg")
    assert result.returncode == 0
    picture = (tmp_path / "losses.svg").read_text()
    assert "tiny val" in picture
    assert "two val" in picture
    assert charrnn("checkpoints", "show", "tiny", "--plot", "losses.svg").returncode == 1
    save(make_checkpoint(run="bare"))
    assert charrnn("checkpoints", "show", "bare", "--plot", "bare.svg").returncode == 2
    assert charrnn("checkpoints", "show", "tiny", "--plot", "losses.gif").returncode == 2
    assert len(json.loads(charrnn("checkpoints", "show", "tiny", "two", "--json").stdout)) == 2


def test_numbers_in_commands_are_as_a_person_types_them() -> None:
    """Long times too: an exponent would not be read as a duration."""
    settings = {**TrainConfig().to_json(), "epochs": None, "max_time": 1_000_000.0, "lr": 0.0015}
    command = train_command(ModelConfig(vocabulary_size=1).to_json(), settings)
    assert "--max-time 1000000 " in f"{command} "
    assert "--lr 0.0015 " in f"{command} "
    assert parse_duration("1000000") == 1_000_000
