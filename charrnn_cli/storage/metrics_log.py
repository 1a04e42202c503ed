"""The events of a run as JSON Lines on disk, and the losses of the run that exists.

Lines are only appended. A line that a kill or a full disk cut short is ended before the next one is
written. Readers skip each line that is not valid, and count it unless it is the unended last one.

After a resume or a divergence, a run repeats steps. Steps therefore only grow in what is read: a
line at step S supersedes all earlier lines beyond S, and an earlier one at S of the same event. The
step of `TrainingStarted` is its `first_step`, and that of `Diverged` is its `back_to`.
"""

import contextlib
import dataclasses
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from charrnn_cli.errors import CharrnnError, NotFoundError
from charrnn_cli.events import BestTested, Evaluated, TrainEvent
from charrnn_cli.storage.clock import utc_now
from charrnn_cli.storage.header import MAX_STEP
from charrnn_cli.storage.opening import CHUNK_BYTES, open_regular, open_to_append
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.strict_json import parse_object
from charrnn_cli.units import bits_per_character

MAX_LINE_BYTES = 1 << 20
MAX_NUMBER = 1e10  # of any unit: losses and seconds beyond it are damage
MOST_BASELINES, MAX_NAME = 20, 40  # of a scale: names, and characters of a name
MOST_ROWS = 4096  # more than a curve shows; even, so that halving them keeps the last

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Metrics:
    """The recorded losses of a run, in the order of steps."""

    running_losses: list[tuple[int, float]]
    """Steps and losses of `StepLogged`, in nats per character; of many, evenly chosen ones,
    and always the first and the last."""
    evaluations: list[Evaluated]
    scale: Mapping[str, float] = field(default_factory=dict)
    """Bits per character of simple models on the validation text, by name; may be empty."""
    tested: BestTested | None = None
    """The last loss on a test text."""
    problem: str | None = None
    """Why losses are missing; None if the file is whole or absent."""


def event_to_json(event: Any, time: str | None = None) -> dict[str, Any]:
    """Return an event, a dataclass, as an object: `event` is its class name, paths are file names.

    An object with `val_loss` or `test_loss`, in nats, also has `val_bpc` or `test_bpc`, in bits per
    character. `time` is the time of day when the event happened, unless it is unknown.
    """
    fields = dataclasses.asdict(event)
    for name, value in fields.items():
        if isinstance(value, Path):
            fields[name] = value.name
        elif isinstance(value, float) and not math.isfinite(value):
            fields[name] = None  # JSON has no such numbers
    for text in ("val", "test"):
        if isinstance(fields.get(f"{text}_loss"), float):
            fields[f"{text}_bpc"] = bits_per_character(fields[f"{text}_loss"])
    when = {} if time is None else {"time": time}
    return {"event": type(event).__name__, **when, **fields}


def record(events: Iterable[TrainEvent], run: Run) -> Iterator[TrainEvent]:
    """Append each event to the run's metrics, then yield it. A disk error does not stop the run."""
    for event in events:
        line = json.dumps(event_to_json(event, utc_now()), ensure_ascii=False) + "\n"
        with (
            contextlib.suppress(OSError, CharrnnError),
            open_to_append(run.metrics_path, directory=run.directory) as descriptor,
        ):
            _append_line(descriptor, line.encode())
        yield event


def _append_line(descriptor: int, line: bytes) -> None:
    """Append a line, after a newline if the file ends in an incomplete line. Raises OSError."""
    if os.lseek(descriptor, 0, os.SEEK_END):
        os.lseek(descriptor, -1, os.SEEK_END)
        if os.read(descriptor, 1) != b"\n":
            line = b"\n" + line
    while line:  # a write may be partial
        line = line[os.write(descriptor, line) :]


def read_metrics(path: Path, *, all_evaluations: bool = False) -> Metrics:
    """Return the losses in a file of metrics, in memory that does not grow with the file.

    Of many evaluations, evenly chosen ones are kept unless `all_evaluations` is set. An absent file
    has no losses. Nothing is raised: a problem is described in the result.
    """
    history = _History(all_evaluations=all_evaluations)
    problem = None
    try:
        with open_regular(path) as file:
            for line in _lines(file):
                history.add(line)
    except NotFoundError:
        pass
    except CharrnnError as error:
        problem = error.message
    except OSError as error:
        problem = f"cannot read {path}: {error.strerror}"
    if problem is None and history.skipped:
        lines = "line" if history.skipped == 1 else "lines"
        problem = f"skipped {history.skipped:,} damaged {lines} of {path}"
    return Metrics(
        history.running_losses.rows(),
        history.evaluations.rows(),
        history.scale,
        history.tested,
        problem,
    )


def _lines(raw: Any) -> Iterator[bytes]:
    """Yield the lines, of an overlong one only the beginning. Raises OSError."""
    file = io.BufferedReader(cast("io.RawIOBase", raw), CHUNK_BYTES)
    while line := file.readline(MAX_LINE_BYTES):
        yield line
        while not line.endswith(b"\n") and (rest := file.readline(MAX_LINE_BYTES)):
            line = rest


class _History:
    """The rows that no later line has superseded."""

    def __init__(self, *, all_evaluations: bool) -> None:
        self.running_losses: _Rows[tuple[int, float]] = _Rows(MOST_ROWS)
        self.evaluations: _Rows[Evaluated] = _Rows(None if all_evaluations else MOST_ROWS)
        self.scale: dict[str, float] = {}
        self.tested: BestTested | None = None
        self.skipped = 0

    def add(self, line: bytes) -> None:
        """Add the line's event, or count the line as skipped."""
        try:
            row = parse_object(line)
            self._add_event(row["event"], row)
        except (ValueError, KeyError, TypeError, RecursionError):
            is_whole = line.endswith(b"\n") or len(line) == MAX_LINE_BYTES
            self.skipped += is_whole and bool(line.strip())

    def _add_event(self, event: object, row: dict[str, Any]) -> None:
        match event:
            case "StepLogged":
                step, running_loss = _step(row["step"]), _number(row["running_loss"])
                self._go_back(step)
                self.running_losses.add(step, (step, running_loss))
            case "Evaluated":
                evaluated = _evaluated(row)
                self._go_back(evaluated.step)
                self.evaluations.add(evaluated.step, evaluated)
            case "BestTested":
                self.tested = _tested(row)
            case "TrainingStarted":
                self._go_back(_step(row["first_step"]))
                self.scale = _scale(row.get("scale", {})) or self.scale
            case "Diverged":
                self._go_back(_step(row["back_to"]))
            case str():
                pass
            case _:
                raise TypeError

    def _go_back(self, step: int) -> None:
        self.running_losses.go_back(step)
        self.evaluations.go_back(step)


class _Rows(Generic[Row]):
    """Rows in the order of their steps; if they exceed a limit, evenly chosen ones and the last."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._rows: list[tuple[int, Row]] = []
        self._stride = 1  # of this many rows, the last is kept
        self._passed = 1  # rows since the last but one that is kept

    def add(self, step: int, row: Row) -> None:
        """Append a row, which supersedes the earlier ones of the same or a later step."""
        self.go_back(step - 1)
        if self._rows and self._passed < self._stride:
            self._rows[-1] = (step, row)
            self._passed += 1
        else:
            self._rows.append((step, row))
            self._passed = 1
        if self._most is not None and len(self._rows) > self._most:
            del self._rows[1::2]
            self._stride *= 2
            self._passed = self._stride

    def go_back(self, step: int) -> None:
        """Drop the rows beyond a step."""
        while self._rows and self._rows[-1][0] > step:
            self._rows.pop()
            self._passed = self._stride

    def rows(self) -> list[Row]:
        return [row for _, row in self._rows]


def _evaluated(row: dict[str, Any]) -> Evaluated:
    """Return a checked event. Raises KeyError, TypeError, ValueError."""
    if type(row["best"]) is not bool:
        raise TypeError
    return Evaluated(
        step=_step(row["step"]),
        epoch=_number(row["epoch"]),
        train_loss=_number(row["train_loss"]),
        val_loss=_number(row["val_loss"]),
        best=row["best"],
        seconds=_number(row["seconds"]),
    )


def _tested(row: dict[str, Any]) -> BestTested:
    """Return a checked event. Raises KeyError, TypeError, ValueError."""
    return BestTested(
        step=_step(row["step"]),
        test_loss=_number(row["test_loss"]),
        evaluated_characters=int(_number(row["evaluated_characters"])),
        test_characters=int(_number(row["test_characters"])),
        seconds=_number(row["seconds"]),
    )


def _scale(value: object) -> dict[str, float]:
    if not isinstance(value, dict) or len(value) > MOST_BASELINES:
        raise ValueError
    if any(len(name) > MAX_NAME for name in value):
        raise ValueError
    return {name: _number(bits) for name, bits in value.items()}


def _step(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_STEP:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if type(value) not in (float, int) or not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise ValueError  # so is NaN
    return float(value)
