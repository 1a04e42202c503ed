"""`charrnn sample`: its options, and what is read, drawn and told."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.cli.options.completion import ReferenceArgument
from charrnn_cli.cli.options.prime import known_prime, read_prime
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.byte_progress import bytes_progress
from charrnn_cli.cli.terminal.sample_output import (
    TextSink,
    sample_to_json,
    to_file,
    to_standard_output,
)
from charrnn_cli.config import SampleConfig, TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.samples import Sample
from charrnn_cli.storage.atomic import check_absent
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import reference_of
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.units import bits_per_character

if TYPE_CHECKING:
    from charrnn_cli.text.corpus import Corpus

_DEFAULT = SampleConfig()
UNKNOWN = ("error", "skip", "closest")


def sample(
    context: typer.Context,
    reference: ReferenceArgument = None,
    prime: Annotated[
        str | None,
        typer.Option(help="Text to start from.  [default: a new line]", show_default=False),
    ] = None,
    prime_file: Annotated[
        str | None,
        typer.Option(help="The same, from a file, or - for standard input.", metavar="FILE|-"),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", "-n", help="New characters; the prime is not counted.")
    ] = _DEFAULT.length,
    temperature: Annotated[
        float, typer.Option(help="Below 1 is careful, above 1 is wild; 0 takes the likeliest.")
    ] = _DEFAULT.temperature,
    top_k: Annotated[
        int, typer.Option(help="Draw from the K likeliest characters; 0 is off.")
    ] = _DEFAULT.top_k,
    top_p: Annotated[
        float,
        typer.Option(help="Draw from the likeliest characters that make up this share; 1 is off."),
    ] = _DEFAULT.top_p,
    min_p: Annotated[
        float,
        typer.Option(
            help="Draw from characters at least this share as likely as the likeliest; 0 is off."
        ),
    ] = _DEFAULT.min_p,
    seed: Annotated[
        int | None,
        typer.Option(
            envvar="CHARRNN_SEED", help="The same seed writes the same text.  [default: random]"
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="So many samples, drawn side by side.")] = 1,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this text; may be given several times."),
    ] = None,
    echo: Annotated[bool, typer.Option("--echo/--no-echo", help="Write the prime first.")] = True,
    unknown: Annotated[
        str,
        typer.Option(
            metavar="|".join(UNKNOWN), help="What to do with a character that the model never saw."
        ),
    ] = "error",
    color: Annotated[
        bool, typer.Option("--color", help="Shade each character by its surprise.")
    ] = False,
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive",
            "-i",
            help="Take turns: the model goes on from what you type, and remembers.",
        ),
    ] = False,
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="Of the files of --prime-file and --check-copy.")
    ] = TextOptions().encoding,
    check_copy: Annotated[
        Path | None,
        typer.Option(metavar="TEXT", help="Say how much of the sample stands verbatim in a text."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a new file.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="An object a sample: text, seed, settings, log-probabilities."),
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Say the speed and the mean surprise.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing on standard error.")
    ] = False,
) -> None:
    """Write new text with a trained model.

    Example: charrnn sample --prime Far -n 2000
    """
    settings = {
        name: context.params[name]
        for name in ("length", "temperature", "top_k", "top_p", "min_p", "seed")
    }
    config = SampleConfig(**settings)
    _check(context.params)
    options = TextOptions(encoding=encoding)
    prime = read_prime(prime, prime_file, options)
    path = Registry().resolve(reference)
    if output == STANDARD_INPUT:
        output = None
    if output is not None:
        check_absent(output)
    original = (
        None if check_copy is None else _read_original(check_copy, options)
    )  # raises before anything is drawn

    set_blas_threads(rows=count)
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.samples import SampleJob
    from charrnn_cli.model.sampling import Writer
    from charrnn_cli.seeds import random_seed

    started = time.monotonic()
    checkpoint = load_checkpoint(path)
    seed = random_seed() if seed is None else seed
    config = SampleConfig(**{**settings, "seed": seed})
    name = reference_of(path, checkpoint.step)
    prime = (
        known_prime(prime or checkpoint.default_prime, checkpoint.vocab, unknown)
        or checkpoint.default_prime
    )
    typed = context.params["prime"] is not None or prime_file is not None
    shown = prime if echo and typed else ""
    if not quiet:
        console.say("sample", f"{name}, {described(config, stop or [], count)}, seed {seed}")

    writer = Writer(checkpoint, config, scored=color or as_json or stats)
    if interactive:
        from charrnn_cli.cli.commands.interactive import converse

        writer.read(prime)
        converse(writer, config.length, stop or [], unknown, color=color)
        return
    request = StopRequest(lambda: None)
    with request.listening(), to_file(output) if output else to_standard_output() as write:
        sink = TextSink(write, to_terminal=output is None and sys.stdout.isatty(), color=color)
        job = SampleJob(
            writer,
            config,
            count,
            stop or [],
            request,
            kept=as_json or stats or check_copy is not None,
        )
        writer.read(prime)
        kept = []
        for drawn in job.samples(None if as_json else sink, shown):
            if as_json:
                facts = {
                    "checkpoint": name,
                    "prime": prime,
                    "settings": {**config.to_json(), "stop": stop or []},
                }
                sink.write(sample_to_json(drawn, facts) + "\n")
            if stats or check_copy is not None:
                kept.append(drawn)
        sink.finish(interrupted=request())
        if output is not None:
            request.check()  # a file appears whole or not at all
    request.check()
    if output is not None and not quiet:
        console.say("wrote", str(output))
    if stats:
        _say_stats(kept, job.seconds, time.monotonic() - started)
    if original is not None:
        _say_copied(kept, original)


def _check(params: dict[str, Any]) -> None:
    """Raises ConfigError for options that contradict each other."""
    if params["unknown"] not in UNKNOWN:
        raise ConfigError(
            f"--unknown must be one of {', '.join(UNKNOWN)}; got {params['unknown']!r}"
        )
    if params["prime"] is not None and params["prime_file"] is not None:
        raise ConfigError(
            "--prime and --prime-file both name the prime", hint="leave out one of the two"
        )
    if "" in (params["stop"] or []):
        raise ConfigError("--stop needs a text to stop before", hint="leave it out")
    if params["as_json"] and params["color"]:
        raise ConfigError(
            "--json is never coloured", hint="its log-probabilities say the same; leave out --color"
        )
    if params["color"] and (params["output"] is not None or not sys.stdout.isatty()):
        raise ConfigError(
            "--color is for a terminal", hint="--json gives the log-probabilities to a program"
        )
    if params["interactive"]:
        for name in ("as_json", "output", "check_copy", "stats"):
            if params[name]:
                option = {"as_json": "--json", "check_copy": "--check-copy"}.get(name, f"--{name}")
                raise ConfigError(
                    f"--interactive writes to the terminal, without {option}",
                    hint=f"leave out {option}",
                )
        if params["count"] > 1:
            raise ConfigError("--interactive writes one text at a time", hint="leave out --count")


def described(config: SampleConfig, stops: list[str], count: int) -> str:
    """Every setting that a sample depends on but its seed and prime."""
    parts = [f"temperature {config.temperature:g}"]
    if config.temperature > 0:
        if config.top_k:
            parts.append(f"top-k {config.top_k}")
        if config.top_p < 1:
            parts.append(f"top-p {config.top_p:g}")
        if config.min_p > 0:
            parts.append(f"min-p {config.min_p:g}")
    parts += [f"stop {stop!r}" for stop in stops]
    if count > 1:
        parts.append(f"{count:,} samples")
    return ", ".join(parts)


def _say_stats(samples: list[Sample], drawing: float, whole: float) -> None:
    characters = sum(sample_.drawn for sample_ in samples)
    nats = -sum(sum(sample_.log_probabilities) for sample_ in samples)
    scored = sum(len(sample_.log_probabilities) for sample_ in samples)
    surprise = (
        f", {bits_per_character(nats / scored):.2f} bits a character under the model"
        if scored
        else ""
    )
    speed = f"{characters / max(drawing, 1e-9):,.0f} characters a second"
    console.say("stats", f"{characters:,} characters in {whole:.2f} s, drawn at {speed}{surprise}")


def _read_original(text: Path, options: TextOptions) -> "Corpus":
    from charrnn_cli.text.cache import cached_corpus

    stop = StopRequest(lambda: console.say("", "stopping"))
    with stop.listening(), bytes_progress("encoding", stop) as progress:
        return cached_corpus(text, options, progress=progress)


def _say_copied(samples: list[Sample], corpus: "Corpus") -> None:
    from charrnn_cli.model.memorization import SPAN, find_memorized

    stop = StopRequest(lambda: console.say("", "stopping"))
    with stop.listening():
        for sample_ in samples:
            copied = find_memorized(sample_.text, corpus, stop.check)
            which = f"sample {sample_.number}: " if len(samples) > 1 else ""
            span = sample_.text[copied.sample_start : copied.sample_start + copied.longest]
            shown = repr(span if len(span) <= 60 else span[:57] + "...")
            where = (
                f" at character {copied.text_start:,} of {corpus.name}: {shown}"
                if copied.longest
                else ""
            )
            console.say(
                "copied", f"{which}{copied.share:.1%} in spans of {SPAN} or more characters"
            )
            console.say("longest", f"{which}{copied.longest:,} characters{where}")
