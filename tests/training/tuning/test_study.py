"""Studies without runs: which points are tried, and journals that are damaged."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from charrnn_cli.errors import CharrnnError, DamagedFileError, NewerFormatError
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.studies import StudyFiles
from charrnn_cli.training.tuning.dimension import Params
from charrnn_cli.training.tuning.rounds import Finished
from charrnn_cli.training.tuning.space import default_params, parse_space
from charrnn_cli.training.tuning.spec import StudySpec
from charrnn_cli.training.tuning.study import Study, Task

SIX = ("size=8,12,16", "layers=1,2")


def spec(*typed: str, trials: int = 8, budget: float | None = None) -> StudySpec:
    space = parse_space(typed, {}, is_warm=False)
    return StudySpec(
        source=Source((Path("/text.txt"),)),
        options={},
        settings={"seed": 2, "max_steps": 10},
        preset="default",
        space=space,
        default=default_params(space, {"size": 12, "layers": 1, "lr": 0.003}),
        trials=trials,
        budget=budget,
        sha256="0" * 64,
    )


def new(name: str, task: StudySpec) -> Study:
    return Study(StudyFiles.new(name), task)


def work(*studies: Study, loss: Callable[[Params], float | None] = lambda _: 1.0) -> list[Params]:
    """Take the trials of a study in turns, and return their parameters."""
    tried: list[Params] = []
    for study in itertools.cycle(studies):
        with study.next_task() as task:
            if isinstance(task, Finished):
                return tried
            assert isinstance(task, Task)
            tried.append(task.params)
            value = loss(task.params)
            study.tell(task, value, 1.0, None if value else "too large")
    raise AssertionError


def test_no_point_is_tried_twice() -> None:
    """A finite space is tried completely, failures once as well, and the round ends with it."""
    tried = work(new("s", spec(*SIX)), loss=lambda params: 1.0 if params["size"] < 16 else None)
    assert tried[0] == {"size": 12, "layers": 1}
    assert len(tried) == 6
    assert all(one != other for one, other in itertools.combinations(tried, 2))


def test_two_processes_try_no_point_twice() -> None:
    """Trials that another process has begun are known."""
    first = new("s", spec(*SIX))
    second = Study.existing("s")
    with first.next_task() as one, second.next_task() as two, first.next_task() as three:
        found = [each.params for each in (one, two, three) if isinstance(each, Task)]
        assert len(found) == 3
        assert all(one != other for one, other in itertools.combinations(found, 2))


def test_the_seed_decides_what_is_tried() -> None:
    """The same losses give the same points, whichever process asks for the next."""
    space = ("size=8,12,16", "lr=1e-3..1e-1:log")
    one = work(new("one", spec(*space)), loss=lambda params: float(params["lr"]))
    new("two", spec(*space))
    two = [Study.existing("two") for _ in range(2)]
    assert one == work(*two, loss=lambda params: float(params["lr"]))
    assert len(one) == 8


def test_later_rounds_repeat_points() -> None:
    """The best third of a finite space is trained again."""
    study = new("s", spec(*SIX, trials=27, budget=3600.0))
    assert [each.trials for each in study.spec.rounds] == [6, 2, 1]
    assert len(work(study)) == 9


# ---- journals


def failure(change: Callable[[list[dict[str, Any]]], list[Any]]) -> CharrnnError:
    """Change the lines of a journal, and return the error that opening it raises."""
    study = new("s", spec(*SIX))
    work(study)
    path = study.files.journal
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in change(lines)), "utf-8")
    with pytest.raises(CharrnnError) as caught:
        Study.existing("s").trials()
    return caught.value


def of_spec(**fields: Any) -> Callable[[list[dict[str, Any]]], list[Any]]:
    def change(lines: list[dict[str, Any]]) -> list[Any]:
        for line in lines:
            if "spec" in line.get("user_attr", {}):
                line["user_attr"]["spec"].update(fields)
        return lines

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: [*lines[:2], [1], *lines[2:]], "line 3 is not a change of a study"),
        (
            lambda lines: [*lines, {"op_code": 99, "worker_id": "x"}],
            "line {last} is not a change of a study",
        ),
        (lambda lines: [*lines, {"op_code": 4, "worker_id": "x"}], "its lines do not fit together"),
        (of_spec(trials="six"), "trials must be an integer; got 'six'"),
        (of_spec(space=[3]), "expected an object; got 3"),
        (of_spec(space={}), "the space must be a list"),
        (of_spec(settings={}), "the settings must have a seed"),
        (of_spec(default={"size": 8}), "trial 0 must be in the space"),
        (of_spec(version="new"), "version must be an integer; got 'new'"),
    ],
)
def test_a_damaged_journal_is_told(change: Any, problem: str) -> None:
    """An error says what is damaged, and the hint how a study can begin anew."""
    error = failure(change)
    journal = StudyFiles.existing("s").journal
    last = len(journal.read_text("utf-8").splitlines())
    assert isinstance(error, DamagedFileError)
    assert error.message == f"the journal of study 's' is damaged: {problem.format(last=last)}"
    new = "charrnn tune TEXT --budget 1h --name s-2"
    assert error.hint == f"start a new study: {new}; the old runs and {journal} stay"


def test_a_newer_study_is_not_damaged() -> None:
    """A record of a newer version is told as such; fields that it adds do not matter."""
    error = failure(of_spec(version=2, objective="bpc", trials="six"))
    assert isinstance(error, NewerFormatError)
    assert error.message == "study 's' was made by a newer version of charrnn"
    assert error.hint == "upgrade charrnn"


def test_a_record_is_read_as_it_was_written() -> None:
    """The version may be absent, as in the first."""
    written = spec(*SIX, "lr=1e-3..8e-3:log", budget=60.0)
    raw = json.loads(json.dumps(written.to_json()))
    assert StudySpec.from_json(raw) == written
    del raw["version"]
    assert StudySpec.from_json({**raw, "unknown": 1}) == written
