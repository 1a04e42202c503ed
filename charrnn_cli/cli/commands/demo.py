"""`charrnn demo`: train on a bundled book and print a sample, in about a minute."""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn_cli.cli.next_commands import AFRESH
from charrnn_cli.cli.options.parsers import parse_duration
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.training_run import TrainingRun
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source

MAX_TIME = "45s"
SETTINGS = {"seed": 1}
PRIME = "Alice "
SAMPLE_LENGTH = 600  # characters


def demo(
    max_time: Annotated[
        Any,
        typer.Option(
            metavar="TIME",
            help="Time limit of the training, saving included: 30s, 2m or 1h.",
            parser=parse_duration,
        ),
    ] = MAX_TIME,
) -> None:
    """Train a small model on a bundled book for about a minute, then print a sample.

    The book is Alice's Adventures in Wonderland by Lewis Carroll (1865).

    Example: charrnn demo --max-time 2m
    """
    with resources.as_file(resources.files("charrnn_cli") / "data" / "alice.txt") as text:
        settings = {**SETTINGS, "max_time": max_time}
        run = TrainingRun().new(Source((Path(text),), init_from=AFRESH), settings)
    _write_sample(run)
    console.say("next", "charrnn train YOUR_TEXT.txt --max-time 10m")


def _write_sample(run: str) -> None:
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.sampling import generate

    checkpoint = load_checkpoint(Registry().resolve(run))
    console.say("sample", f"{SAMPLE_LENGTH} characters after {PRIME!r}")
    console.write(PRIME)
    for character in generate(checkpoint, PRIME, length=SAMPLE_LENGTH, seed=1):
        console.write(character)
    console.write_line()
