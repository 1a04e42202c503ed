"""`charrnn sample`: generate text with a trained model."""

import dataclasses
import functools
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.cli.commands.copy_check import CopyCheck
from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.completion import ReferenceArgument
from charrnn_cli.cli.options.escapes import changed_texts, read_escapes
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.options.prime import known_prime, known_stops, read_prime
from charrnn_cli.cli.options.sample_conflicts import (
    STANDARD_OUTPUT,
    check_combinations,
    check_reads_files,
)
from charrnn_cli.cli.options.setting_options import setting_option
from charrnn_cli.cli.options.threads import threads_option
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.phases import bytes_progress
from charrnn_cli.cli.terminal.run_facts import name_facts
from charrnn_cli.cli.terminal.sample_output import (
    OutputFile,
    PieceConsumer,
    SampleStatistics,
    TextSamples,
    TextStream,
    WholeSamples,
    describe_settings,
    sample_to_json,
    to_standard_output,
)
from charrnn_cli.cli.terminal.surprise_colors import legend
from charrnn_cli.config import SampleConfig, TextOptions, Unknown
from charrnn_cli.model.samples import Sample, draw_samples
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.sampling import Writer

PROGRESS_EVERY = 1_000  # characters
LONG_PRIME = 20_000  # characters; reading a shorter one takes less than a second

_DEFAULT = SampleConfig()
_SETTINGS = tuple(_DEFAULT.to_json())


def sample(
    context: typer.Context,
    reference: ReferenceArgument = None,
    prime: Annotated[
        str | None,
        typer.Option(
            help=with_default("Text to continue; \\n is a newline, \\\\ a backslash.", "a newline"),
            show_default=False,
            callback=read_escapes,
        ),
    ] = None,
    prime_file: Annotated[
        Path | None,
        typer.Option(help="File that contains the prime; - for standard input.", metavar="FILE|-"),
    ] = None,
    length: Annotated[int, setting_option(SampleConfig, "length", "-n")] = _DEFAULT.length,
    temperature: Annotated[
        float, setting_option(SampleConfig, "temperature")
    ] = _DEFAULT.temperature,
    top_k: Annotated[int, setting_option(SampleConfig, "top_k")] = _DEFAULT.top_k,
    top_p: Annotated[float, setting_option(SampleConfig, "top_p")] = _DEFAULT.top_p,
    min_p: Annotated[float, setting_option(SampleConfig, "min_p")] = _DEFAULT.min_p,
    seed: Annotated[
        int | None, setting_option(SampleConfig, "seed", envvar="CHARRNN_SEED")
    ] = _DEFAULT.seed,
    count: Annotated[
        int, typer.Option(min=1, help="Number of samples to generate in parallel.")
    ] = 1,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Stop before TEXT, such as \\n; may be repeated.",
            callback=read_escapes,
        ),
    ] = None,
    echo: Annotated[
        bool, typer.Option("--echo/--no-echo", help="Print the given prime before each sample.")
    ] = True,
    unknown: text_options.SampleUnknown = "error",
    color: Annotated[
        bool, typer.Option("--color", help="Color each character by its surprise.")
    ] = False,
    interactive: Annotated[
        bool,
        typer.Option("--interactive", "-i", help="Take turns with the model, line by line."),
    ] = False,
    encoding: Annotated[
        str, text_options.encoding_option("--prime-file and --check-copy")
    ] = TextOptions().encoding,
    force_text: Annotated[
        bool, text_options.force_text_option("--prime-file and --check-copy")
    ] = False,
    check_copy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Report how much of each sample is copied from FILE."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New file to write the samples to.")
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the file of --output if it exists.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file of --output if it exists.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per sample, with log-probabilities."),
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Report the speed and the mean surprise.")
    ] = False,
    threads: Annotated[int | None, threads_option("1")] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the samples and requested reports.")
    ] = False,
) -> None:
    """Generate text with a trained model.

    Example: charrnn sample --prime Far -n 2000
    """
    config = SampleConfig(**{name: context.params[name] for name in _SETTINGS})
    choice = text_options.check_unknown(unknown, text_options.UNKNOWN_SAMPLE)
    check_combinations(context.params)
    set_blas_threads(threads)
    options = text_options.given_options(context)
    check_reads_files(options, [prime_file, check_copy])
    path = Registry().resolve(reference)
    file = None if output in (None, STANDARD_OUTPUT) else OutputFile(output, append, force)
    if file is not None:
        file.check()
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.reading import reading_options

    checkpoint = load_checkpoint(path)
    reading = reading_options(checkpoint, options)
    given = read_prime(prime, prime_file, reading)
    copy_check = None if check_copy is None else CopyCheck(check_copy, checkpoint, reading)

    started = time.monotonic()
    job = _prepare(checkpoint, path, config, given, choice, context.params)
    if not quiet:
        for label, text in name_facts(Run(path.parent.name, path.parent)):
            console.say(label, text)
        console.say("sample", job.description)
        for label, line in changed_texts(context):
            console.say(label, line)
        if job.num_replaced:
            replaced = format_count(job.num_replaced, "rare character")
            console.say("U+FFFD", f"{replaced} of the prime, as in the training text")
        if color:
            console.say_styled("color", legend(colored=console.is_fancy(sys.stderr)))
    if interactive:
        from charrnn_cli.cli.commands.interactive import converse

        job.writer.read(job.prime)
        fit = functools.partial(known_prime, checkpoint=checkpoint, unknown=choice)
        converse(job.writer, fit, config.length, job.stops, color=color)
        return
    statistics = SampleStatistics()
    consumers: list[PieceConsumer] = [statistics]
    if copy_check is not None:
        consumers.append(copy_check)
    seconds = _draw(job, consumers, file, color=color, as_json=as_json)
    if file is not None and not quiet:
        console.say("wrote", str(output))
    if stats:
        statistics.show(seconds, time.monotonic() - started)
    if copy_check is not None:
        copy_check.show()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """A loaded checkpoint, and the samples to generate with it."""

    writer: "Writer"
    checkpoint: str
    """Reference of the checkpoint."""
    config: SampleConfig
    """Its seed is never None."""
    prime: str
    shown_prime: str
    """Written before each sample; may be empty."""
    num_replaced: int
    """Characters of the prime that were rare in the training text, and became U+FFFD."""
    stops: list[str]
    count: int

    @property
    def description(self) -> str:
        settings = describe_settings(self.config, self.stops, self.count)
        return f"{self.checkpoint}, {settings}, seed {self.config.seed}"


def _prepare(
    checkpoint: "Checkpoint",
    path: Path,
    config: SampleConfig,
    given: str | None,
    unknown: Unknown,
    params: dict[str, Any],
) -> _Job:
    """Prepare the samples; `given` is the prime that was typed or read, if any."""
    from charrnn_cli.model.reading import num_replaced
    from charrnn_cli.model.sampling import Writer
    from charrnn_cli.seeds import random_seed

    seed = random_seed() if config.seed is None else config.seed
    config = dataclasses.replace(config, seed=seed)
    default = checkpoint.default_prime
    prime = known_prime(given or default, checkpoint, unknown) or default
    scored = params["color"] or params["as_json"] or params["stats"]
    return _Job(
        writer=Writer(checkpoint, config, scored=scored),
        checkpoint=Registry().reference_of(path, checkpoint.step),
        config=config,
        prime=prime,
        shown_prime=prime if params["echo"] and given is not None else "",
        num_replaced=num_replaced(given or "", prime),
        stops=known_stops(params["stop"] or [], checkpoint, unknown),
        count=params["count"],
    )


def _draw(
    job: _Job,
    consumers: Sequence[PieceConsumer],
    output: OutputFile | None,
    *,
    color: bool,
    as_json: bool,
) -> float:
    """Generate the samples, and pass them to `consumers`. Return the seconds of generation."""
    request = StopRequest(lambda: None)
    with request.listening(), output.opened() if output else to_standard_output() as write:
        stream = TextStream(write, to_terminal=output is None and sys.stdout.isatty(), color=color)
        shown = _json_samples(job, stream) if as_json else TextSamples(stream, job.shown_prime)
        _read_prime(job, request)
        started = time.monotonic()
        for piece in draw_samples(job.writer, job.config.length, job.count, job.stops, request):
            for consumer in (shown, *consumers):
                consumer.add(piece)
        seconds = time.monotonic() - started
        stream.finish()
        if output is not None:
            request.check()  # a file changes only if the samples are complete
    request.check()
    return seconds


def _read_prime(job: _Job, request: StopRequest) -> None:
    """Read the prime; a long one shows its progress. Raises InterruptionError."""
    if len(job.prime) < LONG_PRIME:
        job.writer.read(job.prime, request.check)
        return
    characters, done = len(job.prime), itertools.count()
    with bytes_progress("reading the prime", request) as progress:

        def check() -> None:
            if (number := next(done)) % PROGRESS_EVERY == 0:
                progress(number, characters)

        job.writer.read(job.prime, check)


def _json_samples(job: _Job, stream: TextStream) -> WholeSamples:
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
