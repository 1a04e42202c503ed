"""`charrnn demo`: the whole program on the text inside the package, in about a minute."""

from importlib import resources
from pathlib import Path

from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.training_run import TrainingRun
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source

SETTINGS = {"layers": 2, "size": 256, "max_time": 45.0, "seed": 1}
SAMPLE_LENGTH = 600


def demo() -> None:
    """Train a small model on the book inside the package for about a minute, and let it write.

    The text is Alice's Adventures in Wonderland by Lewis Carroll (1865).

    Example: charrnn demo
    """
    with resources.as_file(resources.files("charrnn_cli") / "data" / "alice.txt") as text:
        run = TrainingRun().new(Source((Path(text),)), SETTINGS)

    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.sampling import generate

    checkpoint = load_checkpoint(Registry().resolve(run))
    prime = "Alice "
    console.say("sample", f"{SAMPLE_LENGTH} characters after {prime!r}")
    console.write(prime)
    for character in generate(checkpoint, prime, length=SAMPLE_LENGTH, seed=1):
        console.write(character)
    console.write_line()
    console.say("next", "charrnn train YOUR_TEXT.txt --max-time 10m")
