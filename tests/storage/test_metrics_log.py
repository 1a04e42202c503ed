"""The log of events on disk."""

from pathlib import Path

from charrnn_cli.events import CheckpointSaved, Evaluated, TrainEvent
from charrnn_cli.storage.metrics_log import event_to_json, read_metrics, record
from charrnn_cli.storage.runs import Run


def evaluated(step: int, val_loss: float) -> Evaluated:
    return Evaluated(
        step=step,
        epoch=1.0,
        train_loss=1.0,
        clean_train_loss=1.0,
        val_loss=val_loss,
        best=True,
        seconds=1.0,
    )


def test_events_pass_through(tmp_path: Path) -> None:
    """Each event is on disk before it is passed on; a later line of the same step supersedes."""
    run = Run("one", tmp_path)
    path = run.metrics_path
    events: list[TrainEvent] = [evaluated(1, 2.0), evaluated(2, 1.5), evaluated(1, 1.9)]
    for count, event in enumerate(record(events, run), start=1):
        assert event is events[count - 1]
        assert len(path.read_text().splitlines()) == count
    assert [(row["step"], row["val_loss"]) for row in read_metrics(path)] == [(2, 1.5), (1, 1.9)]


def test_a_torn_last_line_is_ignored(tmp_path: Path) -> None:
    """Lines that are not events are skipped, and a file that is not there has no lines."""
    run = Run("one", tmp_path)
    path = run.metrics_path
    list(record([evaluated(1, 2.0)], run))
    with path.open("a") as file:
        file.write('[1]\n{"step": 1}\n{"event": "Evalu')
    assert len(read_metrics(path)) == 1
    assert read_metrics(tmp_path / "missing") == []


def test_a_disk_error_stops_nothing(tmp_path: Path) -> None:
    """Events are passed on when they cannot be written."""
    assert len(list(record([evaluated(1, 2.0)], Run("one", tmp_path / "missing")))) == 1


def test_fields_have_their_units() -> None:
    """A line has bits per character beside nats, and no directory of this machine."""
    row = event_to_json(evaluated(1, 0.6931471805599453))
    assert (row["event"], row["val_bpc"]) == ("Evaluated", 1.0)
    saved = CheckpointSaved(
        step=1, path=Path("/home/me/step-1.safetensors"), val_loss=None, seconds=1.0
    )
    assert event_to_json(saved)["path"] == "step-1.safetensors"
