"""The log of events on disk."""

import itertools
import json
import resource
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.events import (
    BestTested,
    CheckpointSaved,
    Diverged,
    Evaluated,
    StepLogged,
    TrainEvent,
)
from charrnn_cli.storage.metrics_log import MOST_ROWS, Metrics, event_to_json, read_metrics, record
from charrnn_cli.storage.runs import Run

STARTED = '{"event": "TrainingStarted", "first_step": %d}\n'


def evaluated(step: int, val_loss: float = 2.0) -> Evaluated:
    return Evaluated(
        step=step,
        epoch=1.0,
        train_loss=1.0,
        val_loss=val_loss,
        best=True,
        seconds=1.0,
    )


def logged(step: int, running_loss: float = 3.0) -> StepLogged:
    return StepLogged(
        step=step,
        epoch=1.0,
        running_loss=running_loss,
        learning_rate=0.002,
        chars_per_second=1000.0,
        seconds=1.0,
    )


def diverged(step: int, back_to: int) -> Diverged:
    return Diverged(step=step, back_to=back_to, learning_rate=0.001, seconds=1.0)


def lines_of(events: Iterable[TrainEvent]) -> str:
    return "".join(json.dumps(event_to_json(event)) + "\n" for event in events)


def test_events_pass_through(tmp_path: Path) -> None:
    """Each event is on disk before it is passed on, and evaluations are read as they were."""
    run = Run("run", tmp_path)
    events: list[TrainEvent] = [evaluated(1, 2.0), evaluated(2, 1.5)]
    for count, event in enumerate(record(events, run), start=1):
        assert event is events[count - 1]
        assert len(run.metrics_path.read_text().splitlines()) == count
    assert read_metrics(run.metrics_path).evaluations == events


def test_an_absent_file_has_no_losses(tmp_path: Path) -> None:
    """A run without a file of metrics has no losses, which is not a problem."""
    found = read_metrics(tmp_path / "missing")
    assert (found.running_losses, found.evaluations, found.problem) == ([], [], None)


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """A link or a directory in place of the metrics is reported instead of read."""
    path = tmp_path / "metrics.jsonl"
    path.symlink_to(tmp_path / "elsewhere")
    assert read_metrics(path).problem == f"{path} is a link, and is not followed"
    path.unlink()
    path.mkdir()
    assert read_metrics(path).problem == f"{path} is not a regular file"


@pytest.mark.parametrize("torn", ['{"event": "Evalu', "\x00\x00", '[1]\n{"step": 1}', "é"])
def test_a_torn_line_does_not_swallow_the_next(tmp_path: Path, torn: str) -> None:
    """An event that follows an incomplete line is read."""
    run = Run("run", tmp_path)
    list(record([evaluated(1)], run))
    with run.metrics_path.open("a") as file:
        file.write(torn)
    list(record([evaluated(2), evaluated(3)], run))
    found = read_metrics(run.metrics_path)
    assert [event.step for event in found.evaluations] == [1, 2, 3]
    assert found.problem is not None
    assert found.problem.startswith("skipped ")


def test_a_torn_last_line_is_no_problem(tmp_path: Path) -> None:
    """A last line that is still being written is ignored without a warning."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines_of([evaluated(1)]) + '{"event": "Evalu')
    found = read_metrics(path)
    assert ([event.step for event in found.evaluations], found.problem) == ([1], None)


def test_a_partial_write_is_completed(tmp_path: Path) -> None:
    """A disk that fills up in the middle of a line costs that line alone."""
    run = Run("run", tmp_path)
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    line = len(lines_of([evaluated(1)]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (line + line // 2, hard))
    try:
        list(record([evaluated(1), evaluated(2)], run))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert run.metrics_path.stat().st_size == line + line // 2
    list(record([evaluated(3)], run))
    assert [event.step for event in read_metrics(run.metrics_path).evaluations] == [1, 3]


def test_a_disk_error_stops_nothing(tmp_path: Path) -> None:
    """Events are passed on when they cannot be written."""
    assert len(list(record([evaluated(1)], Run("run", tmp_path / "missing")))) == 1


def test_a_resume_supersedes_the_abandoned_steps(tmp_path: Path) -> None:
    """After a resume or a divergence, losses of steps beyond its step are those of the new run."""
    path = tmp_path / "metrics.jsonl"
    first = lines_of([logged(50), evaluated(50), logged(100), evaluated(100, 9.0), logged(150)])
    path.write_text(first + STARTED % 60)
    found = read_metrics(path)
    assert [step for step, _ in found.running_losses] == [50]
    assert [event.step for event in found.evaluations] == [50]
    again = lines_of([logged(80), evaluated(100, 1.0), diverged(120, 50), logged(70, 2.5)])
    path.write_text(first + STARTED % 60 + again)
    found = read_metrics(path)
    assert found.running_losses == [(50, 3.0), (70, 2.5)]
    assert found.evaluations == [evaluated(50)]


def test_steps_only_grow(tmp_path: Path) -> None:
    """A later line at a step supersedes all that was recorded from that step on."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        lines_of([evaluated(1, 2.0), evaluated(2, 1.5), logged(3), evaluated(1, 1.9), logged(1)])
    )
    found = read_metrics(path)
    assert (found.evaluations, found.running_losses) == ([evaluated(1, 1.9)], [(1, 3.0)])


def damaged(**changes: Any) -> str:
    return json.dumps({**event_to_json(evaluated(2)), **changes})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "1",
        '"Evaluated"',
        "[]",
        "{}",
        '{"event": "Evaluated"}',
        '{"event": "Evaluated", "step": 2}',
        '{"event": "TrainingStarted"}',
        '{"event": "Diverged", "back_to": -1}',
        '{"event": ["Evaluated"]}',
        '{"event": "StepLogged", "step": 2, "running_loss": 1.0, "step": 3}',
        '{"event": "StepLogged", "step": true, "running_loss": 1.0}',
        '{"event": "StepLogged", "step": 2, "running_loss": ' + "1" * 5000 + "}",
        '{"event": "StepLogged", "step": ' + "1" * 4000 + ', "running_loss": 1.0}',
        '{"event": "StepLogged", "step": 2, "running_loss": 1e999}',
        "[" * 100_000,
        '{"event": "Evaluated", "step": ' + "[" * 100_000,
        damaged(val_loss="2"),
        damaged(val_loss=float("nan")),
        damaged(train_loss=float("inf")),
        damaged(train_loss=-1e300),
        damaged(train_loss=None),
        damaged(seconds=1e30),
        damaged(seconds=[1.0]),
        damaged(step=2.0),
        damaged(step=10**30),
        damaged(step=-2),
        damaged(best=1),
        damaged(epoch=False),
        "\ufeff" + damaged(),
        " " * (1 << 21) + damaged(),
        '{"event": "' + "x" * (1 << 21) + '"}',
    ],
    ids=lambda line: line[:40],
)
def test_a_damaged_line_is_skipped(tmp_path: Path, line: str) -> None:
    """A line that is not a valid event of the losses is skipped and counted, and no other is."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines_of([evaluated(1)]) + line + "\n" + lines_of([evaluated(3)]))
    found = read_metrics(path)
    assert [event.step for event in found.evaluations] == [1, 3]
    assert found.running_losses == []
    count = None if not line.strip() else f"skipped 1 damaged line of {path}"
    assert found.problem == (None if not line.strip() or line.startswith(" ") else count)


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    """Other line separators, which a sample may contain, do not split a line."""
    run = Run("run", tmp_path)
    text = "\u2028\u2029\x85\x0b\x0c\x1c\x1e\r"
    saved = CheckpointSaved(step=1, path=Path(text), val_loss=None, seconds=1.0)
    list(record([evaluated(1), saved], run))
    found = read_metrics(run.metrics_path)
    assert ([event.step for event in found.evaluations], found.problem) == ([1], None)


def test_many_rows_are_thinned(tmp_path: Path) -> None:
    """Of many rows, evenly chosen ones are kept, and always the first and the last."""
    path = tmp_path / "metrics.jsonl"
    steps = range(1, 5 * MOST_ROWS + 4)
    path.write_text(lines_of([logged(step) for step in steps]))
    kept = [step for step, _ in read_metrics(path).running_losses]
    assert MOST_ROWS / 2 <= len(kept) <= MOST_ROWS
    assert (kept[0], kept[-1]) == (1, steps[-1])
    gaps = [after - before for before, after in itertools.pairwise(kept[:-1])]
    assert max(gaps) <= 2 * min(gaps)


def test_all_evaluations_are_read_on_request(tmp_path: Path) -> None:
    """Evaluations are thinned only where a curve is all that is wanted."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines_of([evaluated(step) for step in range(MOST_ROWS + 100)]))
    assert len(read_metrics(path).evaluations) < MOST_ROWS
    assert len(read_metrics(path, all_evaluations=True).evaluations) == MOST_ROWS + 100


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Reading four times as many lines takes no more memory, and neither does an endless line."""
    path = tmp_path / "metrics.jsonl"

    def peak() -> int:
        tracemalloc.start()
        read_metrics(path)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    path.write_text(lines_of([logged(step) for step in range(1, 10_001)]))
    few = peak()
    path.write_text(lines_of([logged(step) for step in range(1, 40_001)]))
    assert peak() < 1.5 * few
    with path.open("w") as file:
        file.truncate(1 << 27)
    assert peak() < (1 << 24)


def test_show_survives_damaged_metrics(charrnn: Any, tiny_run: Run) -> None:
    """`show` says that lines were skipped, and shows and plots the losses that are left."""
    run = tiny_run
    good = lines_of([evaluated(100, 2.0), evaluated(200, 1.0)])
    run.metrics_path.write_text(good + '{"event": "Evaluated"}\n' + "[" * 100_000 + "\n")
    warning = f"warning skipped 2 damaged lines of {run.metrics_path}\n"
    result = charrnn("checkpoints", "show", "tiny")
    assert (result.returncode, result.stderr) == (0, warning)
    assert "val curve   2.000 " in result.stdout
    result = charrnn("checkpoints", "show", "tiny", "--plot", "losses.svg")
    assert (result.returncode, result.stderr) == (0, warning + "wrote   losses.svg\n")
    result = charrnn("checkpoints", "show", "tiny", "--json")
    assert [row["step"] for row in json.loads(result.stdout)["evaluations"]] == [100, 200]
    run.metrics_path.write_text("torn\n")
    result = charrnn("checkpoints", "show", "tiny", "--plot", "none.svg")
    assert result.returncode == 2
    assert result.stderr.startswith("warning skipped 1 damaged line of ")
    assert "error: there are no losses to plot" in result.stderr


def test_fields_have_their_units() -> None:
    """A line has bits per character beside nats, a time, and no directory of this machine."""
    row = event_to_json(evaluated(1, 0.6931471805599453), "2026-01-31T12:00:00Z")
    assert (row["event"], row["val_bpc"]) == ("Evaluated", 1.0)
    assert row["time"] == "2026-01-31T12:00:00Z"
    saved = CheckpointSaved(
        step=1, path=Path("/home/me/step-1.safetensors"), val_loss=None, seconds=1.0
    )
    assert event_to_json(saved)["path"] == "step-1.safetensors"


def test_the_scale_is_that_of_the_last_start_that_has_one(tmp_path: Path) -> None:
    """A resumed run, which measures no scale, keeps the recorded one; damage is a problem."""
    path = tmp_path / "metrics.jsonl"
    start = '{"event": "TrainingStarted", "first_step": 0, "scale": %s}\n'
    path.write_text(start % '{"uniform": 6.5, "3-gram": 3}' + STARTED % 60 + start % "{}")
    assert read_metrics(path) == Metrics([], [], {"uniform": 6.5, "3-gram": 3.0})
    for damage in ("[]", '{"uniform": "x"}', '{"%s": 1}' % ("x" * 41), '{"a": NaN}'):
        path.write_text(start % damage)
        found = read_metrics(path)
        assert found.scale == {}
        assert found.problem == f"skipped 1 damaged line of {path}"


def test_the_loss_on_a_test_text_is_read(tmp_path: Path) -> None:
    """The last loss on a test text is read again, and a damaged one is skipped."""
    run = Run("run", tmp_path)
    assert read_metrics(run.metrics_path).tested is None
    tested = BestTested(
        step=20, test_loss=1.5, evaluated_characters=90, test_characters=100, seconds=2.0
    )
    assert list(record(iter([tested]), run)) == [tested]
    assert read_metrics(run.metrics_path).tested == tested
    with run.metrics_path.open("a") as file:
        file.write('{"event": "BestTested", "step": -1}\n')
    assert read_metrics(run.metrics_path).tested == tested
