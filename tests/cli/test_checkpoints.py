"""`charrnn checkpoints list` and `path`."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn_cli.cli.terminal.list_columns import _GROUPS, _settings
from charrnn_cli.storage.runs import Run
from tests.helpers import Inside, make_checkpoint, new_run, save
from tests.terminal import Terminal, on_screen


def test_an_empty_home_suggests_what_to_do(inside: Inside, home: Path) -> None:
    """Without any run, only the built-in model is listed, and a hint says how to train one."""
    result = inside("checkpoints", "list")
    assert result.returncode == 0
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["run", "english"]
    assert result.stderr == (
        f"no checkpoints in {home / 'runs'}\n"
        "next    train a model with `charrnn train TEXT` or `charrnn demo`\n"
    )
    (row,) = json.loads(inside("checkpoints", "list", "--json").stdout)
    assert (row["run"], row["status"], row["updated"]) == ("english", "built in", None)
    assert inside("checkpoints", "list", "-q").stdout == ""


@pytest.mark.usefixtures("tiny_run")
def test_a_run_without_checkpoints(inside: Inside) -> None:
    """A run that is named and has no checkpoints says so, although other runs have some."""
    new_run("empty")
    result = inside("checkpoints", "list", "empty")
    assert (result.returncode, result.stdout, result.stderr) == (
        0,
        "",
        "run 'empty' has no checkpoint yet\nnext    charrnn train TEXT --run empty\n",
    )


@pytest.mark.usefixtures("tiny_run")
def test_runs_are_listed_one_per_row(inside: Inside) -> None:
    """A pipe gets a header and whole tab-separated rows; JSON has the documented names."""
    header, row, built_in = inside("checkpoints", "list").stdout.splitlines()
    assert built_in.split("\t")[::9] == ["english", "built in"]
    assert header == "run\tmodel\tparameters\tstep\tbest\tval\tbpc\tsize\tupdated\tstatus"
    cells = row.split("\t")
    assert cells[:7] == ["tiny", "lstm 1x4", "224", "300", "200", "1.000", "1.443"]
    assert cells[9] == "interrupted"
    fields, _ = json.loads(inside("checkpoints", "ls", "--json").stdout)
    assert fields.pop("bytes") > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fields.pop("updated"))
    assert fields.pop("settings")["train"] == {"seed": 1, "max_steps": 1000}
    assert fields == {
        "run": "tiny",
        "model": "lstm 1x4",
        "parameters": 224,
        "step": 300,
        "epoch": 6.0,
        "train_loss": 1.25,
        "val_loss": 1.0,
        "val_bpc": pytest.approx(1.4427, abs=1e-4),
        "best": 200,
        "checkpoints": 3,
        "damaged": 0,
        "status": "interrupted",
    }
    assert inside("checkpoints", "list", "-q").stdout == "tiny\n"


@pytest.mark.usefixtures("tiny_run")
def test_checkpoints_of_a_run_are_listed_one_per_row(inside: Inside) -> None:
    """The rows of a run are its checkpoints in step order, with the best and the latest marked."""
    rows = json.loads(inside("checkpoints", "list", "tiny", "--json").stdout)
    assert [(row["step"], row["val_loss"], row["best"], row["latest"]) for row in rows] == [
        (100, 2.0, False, False),
        (200, 1.0, True, False),
        (300, 1.5, False, True),
    ]
    assert set(rows[0]) == {
        *("run", "reference", "checkpoint", "step", "epoch", "train_loss", "val_loss", "val_bpc"),
        *("best", "latest", "bytes", "updated", "problem", "settings"),
    }
    references = inside("checkpoints", "list", "tiny", "-q").stdout
    assert references == "tiny@100\ntiny@200\ntiny@300\n"
    table = inside("checkpoints", "list", "tiny").stdout.splitlines()
    assert table[0] == "checkpoint\tepoch\ttrain\tval\tbpc\tsize\tupdated\t"
    assert table[2].startswith("tiny@200\t4.00\t1.250\t1.000\t1.443\t")
    assert [line.rpartition("\t")[2] for line in table[1:]] == ["", "best", "latest"]


@pytest.mark.usefixtures("tiny_run")
def test_rows_are_sorted_and_limited(inside: Inside) -> None:
    """--sort orders the rows, --limit keeps the first ones, and a prefix selects runs by name."""
    save(make_checkpoint(run="other", val_loss=0.5))
    save(make_checkpoint(run="zero", val_loss=None))

    def names(*options: str) -> list[str]:
        return inside("checkpoints", "list", "-q", *options).stdout.split()

    assert names("--sort", "name") == ["other", "tiny", "zero"]
    assert names("--sort", "val") == ["other", "tiny", "zero"]
    assert names("--sort", "val", "--limit", "1") == ["other"]
    assert names("--sort", "size")[0] == "tiny"
    assert names("ot") == ["other"]
    assert names("--sort", "updated")[0] == "zero"
    assert names("tiny", "--sort", "val") == ["tiny@200", "tiny@300", "tiny@100"]


@pytest.mark.usefixtures("tiny_run")
def test_what_cannot_be_listed_is_explained(inside: Inside, home: Path) -> None:
    """An unknown order is an error, and so is a name that no run has or starts with."""
    result = inside("checkpoints", "list", "--sort", "beauty")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: cannot sort by 'beauty'\nhint: use one of updated, val, size, name\n"
    )
    result = inside("checkpoints", "list", "zz")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: no run named 'zz' in {home / 'runs'}\n"
        "hint: run `charrnn checkpoints list` to see all runs\n"
    )
    new_run("young")
    result = inside("checkpoints", "list", "yo")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (
        f"no run in {home / 'runs'} that starts with 'yo' has a checkpoint\n"
        "next    charrnn checkpoints list\n"
    )


def test_a_damaged_file_is_a_row(inside: Inside, tiny_run: Run) -> None:
    """A damaged header is listed with its problem, and neither its loss nor its step counts."""
    best = tiny_run.step_path(200)
    raw = best.read_bytes()
    assert raw.count(b'val_loss\\":1.0') == 1
    best.write_bytes(raw.replace(b'val_loss\\":1.0', b'val_loss\\":0.0'))
    tiny_run.step_path(400).write_bytes(raw[:100])
    tiny_run.step_path(500).write_bytes(b"\x1b[31mhello")
    result = inside("checkpoints", "list", "tiny", "--json")
    assert result.returncode == 0
    rows = {row["step"]: row for row in json.loads(result.stdout)}
    assert rows[200]["val_loss"] is None
    assert [step for step, row in rows.items() if row["problem"]] == [200, 400, 500]
    assert [step for step, row in rows.items() if row["best"]] == [300]
    run, _ = json.loads(inside("checkpoints", "list", "--json").stdout)
    assert (run["damaged"], run["best"]) == (3, 300)
    assert "\tinterrupted, 3 damaged\n" in inside("checkpoints", "list").stdout
    table = inside("checkpoints", "list", "tiny").stdout
    assert table.count("\tdamaged: ") == 3


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(("columns", "missing"), [(120, 0), (60, 4), (40, 6)])
def test_a_narrow_terminal_leaves_columns_out(columns: int, missing: int) -> None:
    """Columns that do not fit are left out in a fixed order and named below; no row is folded."""
    save(make_checkpoint(run="a-longer-name"))
    with Terminal("checkpoints", "list", columns=columns) as terminal:
        assert terminal.wait() == 0
    header, first, second, built_in, *rest = [
        line.rstrip() for line in on_screen(terminal.written) if line.strip()
    ]
    assert all(len(line) <= columns for line in (header, first, second))
    assert (first.split()[0], second.split()[0]) == ("a-longer-name", "tiny")
    assert built_in.split()[0] == "english"
    left_out = ["size", "bpc", "parameters", "updated", "model", "step"][:missing]
    names = ["run", "model", "parameters", "step", "best", "val", "bpc", "size", "updated"]
    assert header.split() == [name for name in [*names, "status"] if name not in left_out]
    note = f"hidden columns: {', '.join(left_out)}" if left_out else ""
    assert " ".join(rest).split() == note.split()


def test_path_prints_the_file_of_a_reference(inside: Inside, tiny_run: Run) -> None:
    """Without a reference, it is the newest run's best checkpoint."""
    assert inside("checkpoints", "path").stdout == f"{tiny_run.step_path(200)}\n"
    assert inside("checkpoints", "path", "tiny@latest").stdout == f"{tiny_run.step_path(300)}\n"


@pytest.mark.usefixtures("tiny_run")
def test_a_name_that_others_start_with(inside: Inside) -> None:
    """A run's name lists its checkpoints, also if other names start with it; a prefix, runs."""
    save(make_checkpoint(run="tiny-2", val_loss=0.5))
    assert inside("checkpoints", "list", "tiny", "-q").stdout == "tiny@100\ntiny@200\ntiny@300\n"
    assert inside("checkpoints", "list", "tin", "-q").stdout == "tiny-2\ntiny\n"
    assert inside("checkpoints", "list", "tiny-", "-q").stdout == "tiny-2\n"


def test_a_run_shows_the_step_of_its_loss(inside: Inside) -> None:
    """Without validation, a run has no best step and no val loss."""
    save(make_checkpoint(val_loss=None))
    row, _ = json.loads(inside("checkpoints", "list", "--json").stdout)
    assert (row["step"], row["best"], row["val_loss"], row["train_loss"]) == (100, None, None, 1.25)
    cells = inside("checkpoints", "list").stdout.splitlines()[1].split("\t")
    assert cells[3:6] == ["100", "–", "–"]


def test_settings_as_columns(inside: Inside) -> None:
    """--columns adds values of rows and settings of every part of the header, by name."""
    recipe = {"seed": 7, "dropout": 0.03125, "shuffle_documents": True}
    save(replace(make_checkpoint(), train=recipe, versions={"torch": "2.0"}))
    names = "seed,dropout,shuffle-documents,data,size,min_count,torch,lr,epoch,interrupted"
    header, row, _ = inside("checkpoints", "list", "--columns", names).stdout.splitlines()
    assert header.split("\t")[10:] == names.replace("-", "_").split(",")
    assert "|".join(row.split("\t")[10:]) == "7|0.03125|yes|story|4|1|2.0|–|2|no"
    (found,) = json.loads(inside("checkpoints", "list", "tiny", "--columns", names, "--json")[1])
    assert (found["seed"], found["lr"], found["shuffle_documents"]) == (7, None, True)
    assert set(found["settings"]) == {"model", "train", "data", "versions"}


@pytest.mark.usefixtures("tiny_run")
def test_rows_as_csv(inside: Inside) -> None:
    """CSV has the values of the JSON objects and the chosen columns, with numbers as they are."""
    for words in ((), ("tiny",)):
        text = inside("checkpoints", "list", *words, "--csv", "--columns", "max_steps").stdout
        objects = json.loads(inside("checkpoints", "list", *words, "--json").stdout)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == len(objects)
        for row, fields in zip(rows, objects, strict=True):
            steps = fields.pop("settings")["train"]["max_steps"]
            assert list(row) == [*fields, "max_steps"]
            expected = {**fields, "max_steps": steps}
            for name, value in expected.items():
                shown = json.dumps(value) if isinstance(value, bool) else str(value)
                assert row[name] == ("" if value is None else shown)


@pytest.mark.usefixtures("tiny_run")
def test_forms_that_exclude_each_other(inside: Inside) -> None:
    """Rows have one form, and an unknown column is an error that names similar ones."""
    for words, message, hint in (
        ("--csv -q", "--csv cannot be combined with --quiet", "leave out --quiet"),
        ("--columns lr -q", "--columns cannot be combined with --quiet", "leave out --quiet"),
        ("--columns drop", "no setting or column is called 'drop'", "did you mean dropout?"),
        ("--columns zzz", "no setting or column is called 'zzz'", "use, for example, seed,lr"),
    ):
        assert inside("checkpoints", "list", *words.split()) == (
            2,
            "",
            f"error: {message}\nhint: {hint}\n",
        )
    for option in ("--csv", "-q"):
        code, out, err = inside("checkpoints", "list", option, "--json")
        assert (code, out) == (2, "")
        assert "cannot be combined with" in json.loads(err)["error"]


def test_no_two_settings_have_one_name() -> None:
    """Every setting of the header is a column of its own."""
    names = [name for group in _GROUPS.values() for name in group]
    assert len(set(names)) == len(names)
    assert len(_settings()) == len(names)
