"""Generating the samples of jobs, one job after the other, and measuring them."""

import itertools
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn_cli.cli.commands.copy_check import CopyCheck
from charrnn_cli.cli.item_drawing import describe_selection, draw_items, shortage
from charrnn_cli.cli.sample_jobs import SampleJob
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.sample_output import (
    OutputFile,
    PieceConsumer,
    SampleStatistics,
    TextSamples,
    TextStream,
    WholeSamples,
    sample_to_json,
    to_standard_output,
)
from charrnn_cli.model.samples import Sample, draw_samples

if TYPE_CHECKING:
    from charrnn_cli.model.item_selection import ItemSelection
    from charrnn_cli.model.sampling import Writer

PROGRESS_EVERY = 1_000  # characters
LONG_PRIME = 20_000  # characters; reading a shorter one takes less than a second


@dataclass(frozen=True, slots=True)
class JobReport:
    """Measurements of a job's samples."""

    job: SampleJob
    statistics: SampleStatistics
    copies: CopyCheck | None
    drawing: float
    """Seconds of generation."""
    elapsed: float
    """Seconds of generation, and of loading the model and reading the prime before."""
    items: "ItemSelection | None" = None
    """Counts of the items of a model of items."""

    def show_statistics(self) -> None:
        self.statistics.show(self.drawing, self.elapsed, self.job.label)

    def show_items(self) -> None:
        """Say how many items were drawn and kept, for a model of items."""
        if self.items is not None:
            describe_selection(self.items, self.job.label)

    def check_complete(self) -> None:
        """Raise CharrnnError if fewer items were kept than wanted."""
        if self.items is not None and self.items.kept < self.job.count:
            raise shortage(self.items, self.job.count)


def draw_jobs(
    jobs: Iterable[SampleJob], output: OutputFile | None, *, color: bool, as_json: bool
) -> list[JobReport]:
    """Generate the samples of jobs, to a file or to standard output. Raises InterruptionError."""
    request = StopRequest(lambda: None)
    reports = []
    with request.listening(), output.opened() if output else to_standard_output() as write:
        stream = TextStream(write, to_terminal=output is None and sys.stdout.isatty(), color=color)
        for job in jobs:
            reports.append(_draw(job, stream, request, as_json=as_json))
            if request():
                break
        stream.finish()
        if output is not None:
            request.check()  # a file changes only if the samples are complete
    request.check()
    return reports


def _draw(job: SampleJob, stream: TextStream, request: StopRequest, *, as_json: bool) -> JobReport:
    began = time.monotonic()
    statistics = SampleStatistics()
    if job.items is not None:
        selection = draw_items(job, stream, statistics, request, as_json=as_json)
        elapsed = time.monotonic() - began
        return JobReport(job, statistics, None, elapsed, elapsed, selection)
    copies = None if job.corpus is None else CopyCheck(job.corpus, job.label)
    shown = (
        _json_samples(job, stream) if as_json else TextSamples(stream, job.shown_prime, job.label)
    )
    consumers: list[PieceConsumer] = [shown, statistics, *([copies] if copies else [])]
    writer = job.writer()
    _read_prime(writer, job.beginning + job.prime, request)
    started = time.monotonic()
    for piece in draw_samples(writer, job.config.length, job.count, job.all_stops, request):
        for consumer in consumers:
            consumer.add(piece)
    now = time.monotonic()
    return JobReport(job, statistics, copies, now - started, now - began)


def _read_prime(writer: "Writer", prime: str, request: StopRequest) -> None:
    """Read the prime; a long one shows its progress. Raises InterruptionError."""
    if len(prime) < LONG_PRIME:
        writer.read(prime, request.check)
        return
    done = itertools.count()
    with bytes_progress("reading the prime", request) as progress:

        def check() -> None:
            if (number := next(done)) % PROGRESS_EVERY == 0:
                progress(number, len(prime))

        writer.read(prime, check)


def _json_samples(job: SampleJob, stream: TextStream) -> WholeSamples:
    def write(sample: Sample) -> None:
        line = sample_to_json(
            sample,
            checkpoint=job.checkpoint,
            prime=job.prime,
            config=job.config,
            stops=job.stops,
        )
        stream.write(line + "\n")

    return WholeSamples(write)
