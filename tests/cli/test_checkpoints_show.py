"""`charrnn checkpoints show`."""

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn_cli.events import Evaluated
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.metrics_log import event_to_json
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import Inside, forge, make_checkpoint, save
from tests.terminal import Terminal, on_screen


def test_the_command_shown_trains_the_same_weights(inside: Inside, story: Path) -> None:
    """The command that `show` prints trains a second run whose weights equal the first run's."""
    options = "--layers 1 --size 16 --embed 8 --batch-size 4 --seq-len 16 --seed 3 --max-steps 30"
    options += " --eval-every 10 --keep-prob 0.75 --run one"
    inside("train", story, *options.split())
    lines = inside("checkpoints", "show", "one").stdout.splitlines()
    shown = {line[:12].rstrip(): line[12:] for line in lines}
    assert list(shown) == [
        *("checkpoint", "model", "weights", "data", "trained", "train loss", "val loss"),
        *("train curve", "val curve", "time", "settings", "versions", "command"),
    ]
    assert shown["checkpoint"].startswith("one@30, ")
    assert shown["model"].startswith("lstm 1x16, embed 8, ")
    assert shown["data"].startswith("story: 4,160 characters, ")
    assert ", seed 3, " in shown["settings"]
    assert "torch 2." in shown["versions"]
    facts = json.loads(inside("checkpoints", "show", "one@30", "--json").stdout)
    assert facts["val_bpc"] == pytest.approx(facts["val_loss"] / 0.6931, rel=1e-3)
    assert [row["step"] for row in facts["evaluations"]] == [10, 20, 30]
    assert facts["command"] == shown["command"]
    program, *arguments = facts["command"].split()
    assert program == "charrnn"
    assert inside(*arguments, "--run", "two").returncode == 0
    one, two = load_checkpoint("one@30"), load_checkpoint("two@30")
    assert all((one.weights[name] == two.weights[name]).all() for name in one.weights)
    again = json.loads(inside("checkpoints", "show", "two@30", "--json").stdout)
    assert again["weights"] == facts["weights"]
    assert shown["weights"] == facts["weights"][:16]


def test_the_command_uses_the_preset_that_needs_the_fewest_options(
    inside: Inside, story: Path
) -> None:
    """A run trained with the notebook preset is shown with that preset."""
    options = "--preset notebook --size 8 --batch-size 2 --max-steps 1 --seed 1"
    inside("train", story, *options.split())
    command = json.loads(inside("checkpoints", "show", "--json").stdout)["command"]
    assert command.startswith(f"charrnn train {story} --preset notebook")
    assert "--lr" not in command


def test_settings_of_another_version(inside: Inside) -> None:
    """A recorded setting that this version lacks is shown, and left out of the command."""
    checkpoint = make_checkpoint()
    path = save(replace(checkpoint, train={**checkpoint.train, "old_setting": 3}))
    result = inside("checkpoints", "show")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\nsettings    max steps 1000, seed 1, old setting 3\n" in result.stdout
    facts = json.loads(inside("checkpoints", "show", "--json").stdout)
    assert facts["train"]["old_setting"] == 3
    options = "--layers 1 --size 4 --embed 3 --ngram 0 --max-steps 1000 --seed 1"
    assert facts["command"] == f"charrnn train TEXT {options}"
    forge(path, model={**checkpoint.model.to_json(), "heads": 2})
    result = inside("checkpoints", "show", "tiny@100")
    assert result.returncode == 1
    assert "its model has the setting 'heads'" in result.stderr


def test_a_checkpoint_without_validation(inside: Inside) -> None:
    """Without a validation loss, `show` says so, and JSON has null."""
    save(make_checkpoint(val_loss=None))
    assert "val loss    not evaluated\n" in inside("checkpoints", "show").stdout
    facts = json.loads(inside("checkpoints", "show", "--json").stdout)
    assert (facts["val_loss"], facts["val_bpc"]) == (None, None)


@pytest.mark.usefixtures("tiny_run")
def test_a_folded_command_can_be_copied(inside: Inside) -> None:
    """A command that is shown on several lines is a single command to the shell."""
    with Terminal("checkpoints", "show", "tiny", columns=50) as terminal:
        assert terminal.wait() == 0
    lines = [line for line in on_screen(terminal.written) if line.strip()]
    assert all(len(line) <= 50 for line in lines)
    (start,) = [number for number, line in enumerate(lines) if line.startswith("command ")]
    folded = "\n".join(line[12:].rstrip() for line in lines[start:])
    assert folded.count("\n") > 0
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {folded}"], capture_output=True, text=True, check=True
    )
    assert words.stdout.split()[:2] == ["charrnn", "train"]
    assert words.stdout.split() == shlex.split(
        json.loads(inside("checkpoints", "show", "tiny", "--json").stdout)["command"]
    )


def test_equal_weights_have_equal_digests(inside: Inside) -> None:
    """The digest is that of the weights and their vocabulary, whatever else the header says."""
    first = make_checkpoint(seed=1)
    save(first)
    save(replace(first, run="other", step=7, val_loss=None, train={"seed": 2}))
    save(make_checkpoint(run="next", seed=2))
    save(make_checkpoint(run="letters", seed=1, characters="\n abcdefgi"))
    runs = ("tiny", "other", "next", "letters")
    digests = [
        json.loads(inside("checkpoints", "show", run, "--json").stdout)["weights"] for run in runs
    ]
    assert all(len(digest) == 64 for digest in digests)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert f"\nweights     {digests[0][:16]}\n" in inside("checkpoints", "show", "other").stdout


def test_settings_are_rounded(inside: Inside) -> None:
    """Settings are shown with the digits that matter, and the command has all of them."""
    recipe = {"dropout": 0.123456, "ema": 0.99999, "max_time": 90000.0, "shuffle_documents": True}
    save(replace(make_checkpoint(), train=recipe))
    out = inside("checkpoints", "show").stdout
    settings = "max time 90000, dropout 0.1235, ema 0.99999, shuffle documents"
    assert f"\nsettings    {settings}\n" in out
    assert " --dropout 0.123456 " in out


def test_several_runs_are_shown_or_plotted(inside: Inside, tiny_run: Run, tmp_path: Path) -> None:
    """Several references give several blocks, a JSON list, or one picture with all losses."""
    record_losses(tiny_run)
    save(make_checkpoint(run="two"))
    record_losses(Registry().run("two"))
    result = inside("checkpoints", "show", "tiny", "two", "--plot", "losses.svg")
    assert result == (0, "", "wrote   losses.svg\n")
    result = inside("checkpoints", "show", "tiny", "two")
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.split("\n\n")
    assert first.startswith("checkpoint  tiny@200, ")
    assert second.startswith("checkpoint  two@100, ")
    picture = (tmp_path / "losses.svg").read_text()
    assert ">tiny</text>" in picture
    assert ">two</text>" in picture
    assert picture.count(">val 1.000</text>") == 2
    result = inside("checkpoints", "show", "tiny", "--plot", "new.svg", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    assert json.loads(result.stderr)["error"] == "--plot cannot be combined with --json"
    objects = json.loads(inside("checkpoints", "show", "tiny", "two", "--json").stdout)
    assert [facts["reference"] for facts in objects] == ["tiny@200", "two@100"]


@pytest.mark.parametrize(
    ("reference", "target", "code"),
    [("tiny", "taken.svg", 1), ("tiny", "losses.gif", 2), ("bare", "losses.svg", 2)],
    ids=["taken", "format", "no losses"],
)
def test_a_plot_that_cannot_be_drawn(
    inside: Inside, tiny_run: Run, tmp_path: Path, reference: str, target: str, code: int
) -> None:
    """A plot overwrites no file, has a known format, and needs recorded losses."""
    record_losses(tiny_run)
    save(make_checkpoint(run="bare"))
    (tmp_path / "taken.svg").write_text("mine")
    result = inside("checkpoints", "show", reference, "--plot", target)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith("error: ")
    assert [path.name for path in tmp_path.glob("*.*")] == ["taken.svg"]
    assert (tmp_path / "taken.svg").read_text() == "mine"


def record_losses(run: Run) -> None:
    evaluations = [
        Evaluated(
            step=step,
            epoch=1.0,
            train_loss=2 / step,
            val_loss=3 / step,
            best=True,
            seconds=1.0,
        )
        for step in (1, 2, 3)
    ]
    lines = [json.dumps(event_to_json(event)) + "\n" for event in evaluations]
    run.metrics_path.write_text("".join(lines))
