"""`checkpoints compare`: tables, pairs, JSON and curves of several runs."""

import csv
import io
import json
from pathlib import Path

import pytest

from charrnn_cli.storage.registry import Registry
from tests.helpers import STORY, Inside, Outcome, error_of
from tests.test_package import loaded_by_command

SMALL = "--layers 1 --size 12 --embed 6 --ngram 0 --batch-size 4 --seq-len 16 --init-from none"
TWO = ("checkpoints", "compare", "one", "two")


@pytest.fixture
def two_runs(inside: Inside, story: Path) -> Path:
    """Train two tiny runs on one text, of which the second learns nothing; return the text."""
    for name, steps, rate in (("one", 60, 0.01), ("two", 30, 1e-6)):
        words = f"--run {name} --max-steps {steps} --lr {rate} --eval-every 10 -q --seed 1"
        assert inside("train", story, *SMALL.split(), *words.split()).returncode == 0
    return story


def compared(result: Outcome) -> dict[str, dict[str, object]]:
    return {each["run"]: each for each in json.loads(result.stdout)["runs"]}


@pytest.mark.usefixtures("two_runs")
def test_the_losses_are_those_of_training(inside: Inside) -> None:
    """Losses that are measured again equal those in the headers; settings that differ are shown."""
    result = inside(*TWO, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    runs = compared(result)
    assert list(runs) == ["one", "two"]  # the better one first
    for each in runs.values():
        assert each["val_loss"] == pytest.approx(each["recorded_val_loss"], abs=1e-4)
        assert each["characters"] == each["val_characters"] == 416
        assert 0 <= float(str(each["standard_error"])) < 0.5
        assert set(dict(each["settings"])) == {"max_steps", "lr", "dropout"}  # type: ignore[call-overload]
    (pair,) = json.loads(result.stdout)["pairs"]
    assert (pair["runs"], pair["paired"], pair["distinguishable"]) == (["one", "two"], True, True)
    assert pair["difference"] < 0


@pytest.mark.usefixtures("two_runs")
def test_the_table_names_pairs_and_a_next_command(inside: Inside) -> None:
    """The table has a row per run; pairs and the command for a report go to standard error."""
    result = inside(*TWO)
    header, one, two = result.stdout.splitlines()
    assert header == "run\tval\tbpc\ttime\tparameters\tcopying\tmax steps\tlr\tdropout"
    assert one.startswith("one\t")
    assert " ± " in two
    assert "pair    one and two: distinguishable (-" in result.stderr
    assert result.stderr.endswith("next    charrnn checkpoints report one two -o report.html\n")


def test_the_same_model_is_not_distinguishable(inside: Inside, two_runs: Path) -> None:
    """Two runs of the same weights differ by nothing, and the only setting is the name."""
    words = "--run three --max-steps 60 --lr 0.01 --eval-every 10 -q --seed 1"
    assert inside("train", two_runs, *SMALL.split(), *words.split()).returncode == 0
    result = inside("checkpoints", "compare", "one", "three", "--json")
    (pair,) = json.loads(result.stdout)["pairs"]
    assert (pair["difference"], pair["low"], pair["high"]) == (0, 0, 0)
    assert not pair["distinguishable"]
    assert all(each["settings"] == {} for each in compared(result).values())


def test_another_seed_is_no_difference(inside: Inside, two_runs: Path) -> None:
    """Runs that differ in the seed alone are never told apart; their distance is that of seeds."""
    words = "--run seed2 --max-steps 60 --lr 0.01 --eval-every 10 -q --seed 2"
    assert inside("train", two_runs, *SMALL.split(), *words.split()).returncode == 0
    result = inside("checkpoints", "compare", "one", "two", "seed2", "--json")
    pairs = {frozenset(pair["runs"]): pair for pair in json.loads(result.stdout)["pairs"]}
    seeds = pairs[frozenset({"one", "seed2"})]
    assert abs(seeds["difference"]) > 0.01  # clear by the rows, and with the usual bound
    assert not seeds["distinguishable"]
    assert {pair["seed_noise"] for pair in pairs.values()} == {abs(seeds["difference"])}
    assert pairs[frozenset({"one", "two"})]["distinguishable"]
    shown = inside("checkpoints", "compare", "one", "seed2").stderr
    assert "; they differ in nothing but the seed)" in shown


def test_other_parts_of_a_text_are_not_paired(inside: Inside, two_runs: Path) -> None:
    """Runs on different validation texts are compared as independent, and this is said."""
    words = "--run fifth --max-steps 60 --lr 0.01 --eval-every 10 -q --seed 1 --val-fraction 0.2"
    assert inside("train", two_runs, *SMALL.split(), *words.split()).returncode == 0
    result = inside("checkpoints", "compare", "two", "fifth")
    assert "; their validation texts differ)" in result.stderr


def test_other_texts_are_not_comparable(inside: Inside, two_runs: Path, tmp_path: Path) -> None:
    """Losses of different texts say nothing of the models."""
    other = tmp_path / "other.txt"
    other.write_text(STORY.upper() + STORY[:500], "utf-8")
    words = "--run other --max-steps 60 --lr 0.01 --eval-every 10 -q --seed 1"
    assert inside("train", other, *SMALL.split(), *words.split()).returncode == 0
    result = inside("checkpoints", "compare", "one", "other")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("pair")]
    assert line.endswith(": not comparable (their texts differ)")
    result = inside("checkpoints", "compare", "one", "other", "--json")
    (pair,) = json.loads(result.stdout)["pairs"]
    assert (pair["comparable"], pair["distinguishable"]) == (False, False)
    assert two_runs.exists()


def test_a_text_that_is_gone(inside: Inside, two_runs: Path) -> None:
    """Without its text, a run is shown with its recorded loss, without noise, and in no pair."""
    two_runs.unlink()
    result = inside(*TWO)
    losses = [line.split("\t")[1] for line in result.stdout.splitlines()[1:]]
    assert all("±" not in loss for loss in losses)
    assert losses == sorted(losses)
    assert result.stderr.count(f"no longer exists: {two_runs}; its loss is the recorded one") == 2
    assert "pair" not in result.stderr


@pytest.mark.usefixtures("two_runs")
def test_curves_of_several_runs(inside: Inside) -> None:
    """--csv has a line per run and evaluated step, with the recorded losses."""
    result = inside(*TWO, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    steps = [(row["run"], int(row["step"])) for row in rows]
    assert steps == [("one", step) for step in range(10, 70, 10)] + [
        ("two", step) for step in range(10, 40, 10)
    ]
    best = min(float(row["val_loss"]) for row in rows if row["run"] == "one")
    recorded = [entry.val_loss for entry in Registry().run("one").checkpoints()]
    assert best == min(loss for loss in recorded if loss is not None)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.usefixtures("two_runs")
def test_a_comparison_never_loads_torch() -> None:
    """A comparison needs numpy alone."""
    assert loaded_by_command(*TWO) & {"torch", "safetensors"} == set()


@pytest.mark.usefixtures("tiny_run")
def test_one_run_is_not_enough(inside: Inside) -> None:
    """A comparison of a run with itself names the command that shows it."""
    result = inside("checkpoints", "compare", "tiny", "tiny")
    assert error_of(result.stderr) == (
        "error: a comparison requires two different runs\nhint: charrnn checkpoints show tiny\n"
    )
