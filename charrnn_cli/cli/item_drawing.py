"""Drawing the items of a job, choosing some, and writing them."""

import csv
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from charrnn_cli.cli.sample_jobs import SampleJob
from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.sample_output import SampleStatistics, TextStream
from charrnn_cli.errors import CharrnnError

if TYPE_CHECKING:
    from charrnn_cli.model.item_selection import ItemSelection
    from charrnn_cli.model.items import Item

DRAWS_PER_ITEM = 50  # that is wanted; a condition that fewer items meet is probably a mistake
COLUMNS = ("item", "bits", "ended")


def draw_items(
    job: SampleJob,
    stream: TextStream,
    statistics: SampleStatistics,
    should_stop: Callable[[], bool],
    *,
    as_json: bool,
) -> "ItemSelection":
    """Draw items until as many as wanted are kept, or too many are drawn; write those kept."""
    from charrnn_cli.model.item_selection import ItemSelection, likeliest_first
    from charrnn_cli.model.items import ItemWriter

    assert job.items is not None
    options, conditions = job.items.options, job.items.conditions
    scored = job.scored or options.by_bits or options.tsv
    writer = ItemWriter(job.load(), job.prime, job.config, scored=scored)
    shown = _ShownItems(job, stream, as_json=as_json)
    selection, waiting = ItemSelection(conditions), []
    most = job.count if conditions.are_none else DRAWS_PER_ITEM * job.count
    for item in writer.draw(most, should_stop):
        length = len(item.text) + item.ended
        statistics.count(length - len(writer.prime), length, item.bits)
        if not selection.add(item):
            continue
        if options.by_bits:
            waiting.append(item)
        else:
            shown.add(item)
        if selection.kept == job.count:
            break
    for item in likeliest_first(waiting):
        shown.add(item)
    return selection


class _ShownItems:
    """Write items as text, one after the other; as a table; or as JSON."""

    def __init__(self, job: SampleJob, stream: TextStream, *, as_json: bool) -> None:
        assert job.items is not None
        self._job, self._stream, self._between = job, stream, job.items.between
        self._is_json, self._is_table = as_json, job.items.options.tsv
        self._is_first = True
        if self._is_table:
            stream.write(_table_row(COLUMNS))
        elif job.label and not as_json:
            stream.separate(job.label)

    def add(self, item: "Item") -> None:
        """Write an item."""
        if self._is_json:
            self._stream.write(self._to_json(item) + "\n")
        elif self._is_table:
            ended = "yes" if item.ended else "no"
            self._stream.write(_table_row((item.text, f"{item.bits:.3f}", ended)))
        else:
            self._stream.write(item.text if self._is_first else self._between + item.text)
        self._is_first = False

    def _to_json(self, item: "Item") -> str:
        settings = self._job.config.to_json()
        assert self._job.items is not None
        is_compared = self._job.items.conditions.known is not None
        return safe_text.to_json(
            {
                "text": item.text,
                "prime": self._job.prime,
                "checkpoint": self._job.checkpoint,
                "seed": settings.pop("seed"),
                "number": item.number,
                "bits": None if item.bits is None else round(item.bits, 6),
                "ended": item.ended,
                "novel": True if is_compared else None,
                "settings": settings,
            }
        )


def _table_row(cells: tuple[str, ...]) -> str:
    """Return a line of a table with tabs; a cell with a tab or a line end has quotation marks."""
    line = io.StringIO()
    csv.writer(line, delimiter="\t", lineterminator="\n").writerow(cells)
    return line.getvalue()


def describe_selection(selection: "ItemSelection", label: str) -> None:
    """Say how many items were drawn and kept, and how many of all are whole, different and new."""
    drawn = selection.drawn
    parts = [
        f"{_percentage(selection.ended, drawn)} ended",
        f"{_percentage(selection.unique, drawn)} unique",
    ]
    if selection.is_compared:
        parts.append(f"{_percentage(selection.new, selection.unique)} new")
    line = f"{selection.kept:,} of {drawn:,} drawn: {', '.join(parts)}"
    console.say("items", f"{label}: {line}" if label else line)


def shortage(selection: "ItemSelection", count: int) -> CharrnnError:
    """Return the error for too few items that meet the conditions."""
    found = "no item meets the conditions"
    if selection.kept:
        found = f"only {selection.kept:,} of {format_count(count, 'item')} meet the conditions"
    return CharrnnError(
        f"{found}, of {selection.drawn:,} drawn",
        hint="use less strict conditions, or a higher --temperature",
    )


def _percentage(number: int, whole: int) -> str:
    """Format a fraction in percent, rounded down, so that only all of them are 100%."""
    if number == whole:
        return "100%"
    return f"{number * 1000 // whole / 10:.1f}%"
