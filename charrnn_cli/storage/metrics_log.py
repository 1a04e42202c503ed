"""The events of a run as JSON Lines on disk.

Lines are only appended. An incomplete last line is ignored. When a step is repeated after a resume,
its later lines replace the earlier ones.
"""

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from charrnn_cli.errors import CharrnnError
from charrnn_cli.events import TrainEvent
from charrnn_cli.storage.opening import open_regular, open_to_append
from charrnn_cli.storage.runs import Run
from charrnn_cli.units import bits_per_character


def event_to_json(event: TrainEvent) -> dict[str, Any]:
    """Return an event as a flat object: `event` is its class name, and paths become file names.

    An object with `val_loss`, in nats, also has `val_bpc`, in bits per character.
    """
    fields = dataclasses.asdict(event)
    for name, value in fields.items():
        if isinstance(value, Path):
            fields[name] = value.name
        elif isinstance(value, float) and not math.isfinite(value):
            fields[name] = None  # JSON has no such numbers
    if isinstance(fields.get("val_loss"), float):
        fields["val_bpc"] = bits_per_character(fields["val_loss"])
    return {"event": type(event).__name__, **fields}


def record(events: Iterable[TrainEvent], run: Run) -> Iterator[TrainEvent]:
    """Append each event to the run's metrics, then yield it. A disk error does not stop the run."""
    for event in events:
        line = json.dumps(event_to_json(event), ensure_ascii=False) + "\n"
        with (
            contextlib.suppress(OSError, CharrnnError),
            open_to_append(run.metrics_path, directory=run.directory) as descriptor,
        ):
            os.write(descriptor, line.encode())
        yield event


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the last line of each event and step; none if the file is absent."""
    try:
        with open_regular(path) as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
    except (OSError, CharrnnError):
        return []
    rows: dict[tuple[Any, Any], dict[str, Any]] = {}
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("event"), str):
                key = (row["event"], row.get("step", len(rows)))
                rows.pop(key, None)
                rows[key] = row
    return list(rows.values())
