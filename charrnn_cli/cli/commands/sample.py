"""`charrnn sample`: generate text with a trained model."""

import functools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.cli.commands.copy_check import ComparedText
from charrnn_cli.cli.compared_lists import ComparedLists
from charrnn_cli.cli.options import item_options, text_options
from charrnn_cli.cli.options.completion import ReferencesArgument
from charrnn_cli.cli.options.escapes import changed_texts, read_escapes
from charrnn_cli.cli.options.given import is_chosen
from charrnn_cli.cli.options.help_style import with_default
from charrnn_cli.cli.options.item_options import DEFAULT_COUNT, ItemOptions
from charrnn_cli.cli.options.parsers import parse_temperatures
from charrnn_cli.cli.options.prime import GivenPrime, known_prime
from charrnn_cli.cli.options.sample_conflicts import (
    STANDARD_OUTPUT,
    check_combinations,
    check_one,
    check_reads_files,
)
from charrnn_cli.cli.options.sampled_checkpoints import sampled_checkpoints
from charrnn_cli.cli.options.setting_options import setting_option
from charrnn_cli.cli.options.threads import threads_option
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.sample_drawing import draw_jobs
from charrnn_cli.cli.sample_jobs import SampleJob, SampleRequest, description, prepare_jobs
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.run_facts import Facts, name_facts
from charrnn_cli.cli.terminal.sample_output import OutputFile
from charrnn_cli.cli.terminal.surprise_colors import legend
from charrnn_cli.config import ITEM_LENGTH_FACTOR, SampleConfig, TextOptions, Unknown
from charrnn_cli.storage.runs import Run

_DEFAULT = SampleConfig()
_SETTINGS = tuple(_DEFAULT.to_json())
_FILES = "--prime-file, --check-copy and --novel-against"


def sample(
    context: typer.Context,
    references: ReferencesArgument = None,
    each: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Sample N checkpoints spread evenly over a run."),
    ] = None,
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
    length: Annotated[
        int,
        setting_option(
            SampleConfig,
            "length",
            "-n",
            shown=f"{_DEFAULT.length}, or {ITEM_LENGTH_FACTOR} times the longest item",
        ),
    ] = _DEFAULT.length,
    temperature: Annotated[
        Any,
        setting_option(
            SampleConfig,
            "temperature",
            parser=parse_temperatures,
            metavar="T,...",
            help="Randomness, or several with commas between; 0 is greedy.",
        ),
    ] = _DEFAULT.temperature,
    top_k: Annotated[int, setting_option(SampleConfig, "top_k")] = _DEFAULT.top_k,
    top_p: Annotated[float, setting_option(SampleConfig, "top_p")] = _DEFAULT.top_p,
    min_p: Annotated[float, setting_option(SampleConfig, "min_p")] = _DEFAULT.min_p,
    seed: Annotated[
        int | None, setting_option(SampleConfig, "seed", envvar="CHARRNN_SEED")
    ] = _DEFAULT.seed,
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default=False,
            help=with_default("Number of samples to generate.", f"1, or {DEFAULT_COUNT} items"),
        ),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Stop before TEXT, such as \\n; may be repeated.",
            callback=read_escapes,
        ),
    ] = None,
    stop_at_end: Annotated[
        bool, typer.Option("--stop-at-end", help="Stop at the end of a document.")
    ] = False,
    unique: item_options.Unique = False,
    novel: item_options.Novel = False,
    novel_against: item_options.NovelAgainst = None,
    min_length: item_options.MinLength = None,
    max_length: item_options.MaxLength = None,
    match: item_options.Match = None,
    sort: item_options.Sort = None,
    tsv: item_options.Tsv = False,
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
    encoding: Annotated[str, text_options.encoding_option(_FILES)] = TextOptions().encoding,
    force_text: Annotated[bool, text_options.force_text_option(_FILES)] = False,
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
    settings = {name: context.params[name] for name in _SETTINGS}
    configs = [SampleConfig(**settings | {"temperature": value}) for value in temperature]
    choice = text_options.check_unknown(unknown, text_options.UNKNOWN_SAMPLE)
    check_combinations(context.params)
    items = ItemOptions.read(context.params)
    set_blas_threads(threads)
    reading = text_options.given_options(context)
    check_reads_files(reading, [prime_file, check_copy, *items.novel_against])
    paths, facts = sampled_checkpoints(references or [], each)
    check_one(len(paths) * len(configs), interactive=interactive, tsv=tsv)
    file = None if output in (None, STANDARD_OUTPUT) else OutputFile(output, append, force)
    if file is not None:
        file.check()
    request = SampleRequest(
        configs=configs,
        prime=GivenPrime(prime, prime_file),
        stops=stop or [],
        stop_at_end=stop_at_end,
        has_length=is_chosen(context, "length"),
        items=items,
        lists=ComparedLists(items.novel_against, with_own=novel) if items.compares else None,
        unknown=choice,
        count=count,
        echo=echo,
        scored=color or as_json or stats,
        reading=reading,
        compared=None if check_copy is None else ComparedText(check_copy),
    )
    jobs = prepare_jobs(paths, request)
    if not quiet:
        _say_all(jobs, paths, facts + changed_texts(context), color=color)
    if interactive:
        _converse(jobs[0], choice, color=color)
        return
    reports = draw_jobs(jobs, file, color=color, as_json=as_json)
    if file is not None and not quiet:
        console.say("wrote", str(output))
    for report in reports:
        if not quiet:
            report.show_items()
        if stats:
            report.show_statistics()
        if report.copies is not None:
            report.copies.show()
    for report in reports:
        report.check_complete()


def _say_all(jobs: list[SampleJob], paths: list[Path], facts: Facts, *, color: bool) -> None:
    """Describe the samples on standard error."""
    runs = dict.fromkeys(Run(path.parent.name, path.parent) for path in paths)
    names = [fact for run in runs for fact in name_facts(run)]
    replaced = [
        (
            "U+FFFD",
            f"{format_count(number, 'rare character')} of the prime, as in the training text",
        )
        for number in dict.fromkeys(job.num_replaced for job in jobs)
        if number
    ]
    if any(job.beginning and not (job.items or job.stop_at_end) for job in jobs):
        facts = [*facts, ("note", "the model ends documents; --stop-at-end stops there")]
    for label, text in (*names, ("sample", description(jobs)), *facts, *replaced):
        console.say(label, text)
    if color:
        console.say_styled("color", legend(colored=console.is_fancy(sys.stderr)))


def _converse(job: SampleJob, unknown: Unknown, *, color: bool) -> None:
    from charrnn_cli.cli.commands.interactive import converse

    writer = job.writer()
    writer.read(job.beginning + job.prime)
    fit = functools.partial(known_prime, checkpoint=job.load(), unknown=unknown)
    converse(writer, fit, job.config.length, job.all_stops, color=color)
