"""`charrnn checkpoints rm` and `prune`."""

from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import Inside, make_checkpoint, save
from tests.terminal import Terminal


def steps(name: str = "tiny") -> list[int]:
    return [entry.step for entry in Registry().run(name).checkpoints()]


def test_rm_deletes_checkpoints_and_runs(inside: Inside, tiny_run: Run) -> None:
    """With --yes, rm deletes single checkpoints and whole runs, but no files of the user."""
    assert inside("checkpoints", "rm", "tiny@100", "tiny@latest", "--yes").returncode == 0
    assert steps() == [200]
    (tiny_run.path / "notes.txt").write_text("mine")
    assert inside("checkpoints", "rm", "tiny", "-y").returncode == 0
    assert [path.name for path in tiny_run.path.iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    "reference", ["best", "latest", "@best", "@", "@100", "latest@best", "tiny@"]
)
def test_rm_needs_the_name_of_a_run(inside: Inside, reference: str) -> None:
    """A reference with an empty part, as of an unset shell variable, deletes nothing."""
    result = inside("checkpoints", "rm", reference, "--yes")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: rm does not accept '{reference}'\n"
        "hint: use RUN, RUN@STEP, RUN@best or RUN@latest\n"
    )
    for name in ("best", "@best", "tiny@best", ""):
        assert inside("checkpoints", "prune", name, "--keep", "1", "-y").returncode == 2
    assert steps() == [100, 200, 300]


@pytest.mark.usefixtures("tiny_run")
def test_rm_lists_the_files_and_needs_a_confirmation(inside: Inside) -> None:
    """Without --yes and a terminal, rm lists the files, deletes nothing and exits with 2."""
    size = Registry().run("tiny").step_path(100).stat().st_size / 1000
    listed = f"delete  tiny/step-0000000100.safetensors\ntotal   1 file, {size:.1f} kB\n"
    result = inside("checkpoints", "rm", "tiny@100")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"{listed}error: cannot ask for confirmation because standard input is not a terminal\n"
        "hint: add --yes to delete the files\n"
    )
    result = inside("checkpoints", "rm", "tiny@100", "--dry-run")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", listed)
    assert steps() == [100, 200, 300]


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(("answer", "left"), [("y", [200, 300]), ("n", [100, 200, 300])])
def test_rm_asks_on_a_terminal(answer: str, left: list[int]) -> None:
    """On a terminal rm asks, and deletes only if the answer is yes."""
    with Terminal("checkpoints", "rm", "tiny@100") as terminal:
        terminal.wait_for("Delete these files? [y/N]: ")
        terminal.type(f"{answer}\n")
        assert terminal.wait() == 0
    assert (b"nothing was deleted" in terminal.written) == (answer == "n")
    assert steps() == left


def test_rm_does_not_accept_paths(inside: Inside, tiny_run: Run) -> None:
    """A path is refused, even if it is the path of a checkpoint in the registry."""
    path = tiny_run.step_path(100)
    result = inside("checkpoints", "rm", path, "--yes")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: rm does not accept a path: {path}\nhint: use RUN or RUN@STEP\n"
    )
    assert steps() == [100, 200, 300]


@pytest.mark.usefixtures("home")
def test_prune_keeps_the_best_and_the_latest(inside: Inside) -> None:
    """prune keeps the newest N checkpoints, and always the best and the latest."""
    for step, loss in enumerate([3.0, 1.0, 2.0, 2.5, 2.6, 2.7], start=1):
        save(make_checkpoint(step=step, val_loss=loss))
    prune = ("checkpoints", "prune", "tiny", "--keep", "2")
    listed = inside(*prune, "--dry-run").stderr.splitlines()
    assert listed[:-1] == [f"delete  tiny/step-000000000{step}.safetensors" for step in (1, 3, 4)]
    assert steps() == [1, 2, 3, 4, 5, 6]
    assert inside(*prune, "--yes").returncode == 0
    assert steps() == [2, 5, 6]
    result = inside(*prune)
    assert (result.returncode, result.stderr) == (0, "nothing to delete\n")


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    "arguments", ["tiny", "--keep 2", "tiny --keep 0"], ids=["no keep", "no run", "keep zero"]
)
def test_prune_needs_a_run_and_a_number(inside: Inside, arguments: str) -> None:
    """An incomplete prune command deletes nothing."""
    result = inside("checkpoints", "prune", *arguments.split(), "--yes")
    assert (result.returncode, result.stdout) == (2, "")
    assert steps() == [100, 200, 300]


def test_prune_ignores_damaged_headers(inside: Inside, tiny_run: Run) -> None:
    """A damaged header is neither the best nor one of the newest, and prune leaves the file."""
    raw = tiny_run.step_path(100).read_bytes()
    assert raw.count(b'val_loss\\":2.0') == 1
    tiny_run.step_path(100).write_bytes(raw.replace(b'val_loss\\":2.0', b'val_loss\\":0.0'))
    result = inside("checkpoints", "prune", "tiny", "--keep", "1", "--yes")
    assert (result.returncode, result.stderr) == (0, "nothing to delete\n")
    assert steps() == [100, 200, 300]


def test_training_keeps_the_newest_checkpoints(inside: Inside, story: Path) -> None:
    """`train --keep 3` leaves the three newest checkpoints of a run."""
    options = "--layers 1 --size 16 --embed 8 --batch-size 4 --seq-len 16 --seed 3 --max-steps 50"
    options += " --eval-every 50 --save-every 5 --keep 3 --run one"
    inside("train", story, *options.split())
    assert steps("one") == [40, 45, 50]
