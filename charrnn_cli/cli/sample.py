"""`charrnn sample`: text from a trained model, on standard output."""

import os
import sys
import time
from typing import Annotated, Any

import typer

from charrnn_cli.cli import console
from charrnn_cli.cli.references import ReferenceArgument
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.config import SampleConfig
from charrnn_cli.registry import Registry
from charrnn_cli.runs import reference_of

_DEFAULT = SampleConfig()
FLUSH_INTERVAL = 0.02  # seconds; smooth to the eye, and cheap in a pipe


def sample(
    context: typer.Context,
    reference: ReferenceArgument = None,
    prime: Annotated[
        str | None, typer.Option(help="Text to start from.  [default: a new line]", show_default=False)
    ] = None,
    length: Annotated[
        int, typer.Option("--length", "-n", help="New characters; the prime is not counted.")
    ] = _DEFAULT.length,
    temperature: Annotated[
        float, typer.Option(help="Below 1 is careful, above 1 is wild; 0 takes the likeliest.")
    ] = _DEFAULT.temperature,
    top_k: Annotated[int, typer.Option(help="Draw from the K likeliest characters; 0 is off.")] = _DEFAULT.top_k,
    top_p: Annotated[
        float, typer.Option(help="Draw from the likeliest characters that make up this share; 1 is off.")
    ] = _DEFAULT.top_p,
    min_p: Annotated[
        float, typer.Option(help="Draw from characters at least this share as likely as the likeliest; 0 is off.")
    ] = _DEFAULT.min_p,
    seed: Annotated[
        int | None,
        typer.Option(envvar="CHARRNN_SEED", help="The same seed writes the same text.  [default: random]"),
    ] = None,
    echo: Annotated[bool, typer.Option("--echo/--no-echo", help="Write the prime first.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on standard error.")] = False,
) -> None:
    """Write new text with a trained model.

    Example: charrnn sample --prime Far -n 2000
    """
    settings: dict[str, Any] = {
        name: context.params[name] for name in ("length", "temperature", "top_k", "top_p", "min_p", "seed")
    }
    config = SampleConfig(**settings)
    path = Registry().resolve(reference)

    # One row is a matrix-vector product: a second BLAS thread waits more than it helps, and stalls when cores are busy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from charrnn_cli.checkpoint import load_checkpoint
    from charrnn_cli.sampling import generate, random_seed

    checkpoint = load_checkpoint(path)
    seed = random_seed() if config.seed is None else config.seed
    characters = generate(checkpoint, prime, **{**settings, "seed": seed})
    if not quiet:
        console.say("sample", f"{reference_of(path, checkpoint.step)}, {_described(config)}, seed {seed}")

    stop = StopRequest(lambda: None)
    with stop.listening():
        pending = [prime or "" if echo else ""]
        flushed = -1.0
        for character in characters:
            pending.append(character)
            if time.monotonic() - flushed > FLUSH_INTERVAL:
                _write(pending)
                flushed = time.monotonic()
            if stop():
                break
        if stop() or sys.stdout.isatty():
            pending.append("\n")
        _write(pending)
        stop.check()


def _write(pending: list[str]) -> None:
    text = "".join(pending)
    pending.clear()
    console.write(console.safe(text, keep="\n\t") if sys.stdout.isatty() else text)


def _described(config: SampleConfig) -> str:
    parts = [f"temperature {config.temperature:g}"]
    if config.temperature > 0:
        if config.top_k:
            parts.append(f"top-k {config.top_k}")
        if config.top_p < 1:
            parts.append(f"top-p {config.top_p:g}")
        if config.min_p > 0:
            parts.append(f"min-p {config.min_p:g}")
    return ", ".join(parts)
