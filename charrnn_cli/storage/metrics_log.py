"""The events of a run as JSON Lines on disk.

Lines are appended. A torn last line is ignored. A step that is repeated after a resume supersedes
the earlier one.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from charrnn_cli.events import TrainEvent
from charrnn_cli.units import bits_per_character


def event_to_json(event: TrainEvent) -> dict[str, Any]:
    """Return an event as a flat object: `event` is its class, a path becomes its file name.

    `val_bpc`, in bits per character, is added to `val_loss`, which is in nats.
    """
    fields = dataclasses.asdict(event)
    for name, value in fields.items():
        if isinstance(value, Path):
            fields[name] = value.name
    if isinstance(fields.get("val_loss"), float):
        fields["val_bpc"] = bits_per_character(fields["val_loss"])
    return {"event": type(event).__name__, **fields}


def record(events: Iterable[TrainEvent], path: Path) -> Iterator[TrainEvent]:
    """Yield the events, each appended to `path` first. A disk error does not stop the run."""
    for event in events:
        with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event_to_json(event), ensure_ascii=False) + "\n")
        yield event


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a run, the last one of each event and step; an absent file has none."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    rows: dict[tuple[Any, Any], dict[str, Any]] = {}
    for line in lines:
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("event"), str):
                key = (row["event"], row.get("step", len(rows)))
                rows.pop(key, None)
                rows[key] = row
    return list(rows.values())
