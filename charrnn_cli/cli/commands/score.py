"""`charrnn score`: measure how well models predict a text."""

import array
import itertools
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.byte_progress import bytes_progress
from charrnn_cli.cli.terminal.corpus_output import describe_skipped
from charrnn_cli.cli.terminal.score_output import HeatMap, show_lines, show_scores
from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.paths import check_working_directory
from charrnn_cli.storage.registry import Registry
from charrnn_cli.units import bits_per_character

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.scoring import Predictor
    from charrnn_cli.text.corpus import Corpus

MAX_EXPONENT = 700.0  # of math.exp
TORCH_FROM = 200_000  # characters; for a shorter text, importing torch takes longer than it saves


def score(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="REF... TEXT",
            help="One or more models, then a text.",
            autocompletion=complete_reference,
        ),
    ],
    per_line: Annotated[
        bool, typer.Option("--per-line", help="Score each line of the text.")
    ] = False,
    encoding: Annotated[str, text_options.encoding_option("TEXT")] = TextOptions().encoding,
    force_text: Annotated[bool, text_options.force_text_option("TEXT")] = False,
    unknown: text_options.ScoreUnknown = "error",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array with one object per model.")
    ] = False,
) -> None:
    """Measure how well models predict a text, in bits per character.

    Lower is better. The text is scored in chunks of 20,000 characters. Before each chunk, the
    model starts from the zero state and reads the 1,000 characters that precede the chunk.

    Example: charrnn score anna-lstm-2x512 chapter.txt
    """
    if len(names) < 2:
        raise ConfigError(
            "at least one model and a text are required", hint="charrnn score latest book.txt"
        )
    choice = text_options.check_unknown(unknown, text_options.UNKNOWN_SCORE)
    options = TextOptions(encoding=encoding, force_text=force_text)
    *references, text = names
    paths = [Registry().resolve(reference) for reference in references]
    set_blas_threads()
    from charrnn_cli.text.cache import cached_corpus

    stop = StopRequest()
    with stop.listening():
        with bytes_progress("encoding", stop) as progress:
            corpus = cached_corpus(Path(text), options, progress=progress)
        for label, line in describe_skipped(corpus):
            console.say(label, line)
        heat_map = console.is_fancy(sys.stdout) and not as_json
        rows = [
            _score_model(
                path,
                corpus,
                choice,
                stop,
                per_line=per_line,
                heat_map=heat_map,
                is_alone=len(paths) == 1,
            )
            for path in paths
        ]
    if as_json:
        console.write_json(rows)
    elif per_line:
        for row in rows:
            show_lines(row)
    else:
        show_scores(rows)


def _score_model(
    path: Path,
    corpus: "Corpus",
    unknown: Unknown,
    stop: StopRequest,
    *,
    per_line: bool,
    heat_map: bool,
    is_alone: bool,
) -> dict[str, Any]:
    """Score a text under one model, and show the heat map. Return an object for JSON."""
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.scoring import character_losses

    checkpoint = load_checkpoint(path)
    name = Registry().reference_of(path, checkpoint.step)
    known, skipped = _known_text(corpus, checkpoint, name, unknown)
    characters = itertools.chain.from_iterable(known.text())
    first = next(characters)  # has no score
    total = _Total()
    lines = _LineScores(first) if per_line else None
    shown = HeatMap(first) if heat_map and not per_line else None
    with bytes_progress("scoring", stop) as progress:
        for losses_N in character_losses(_predictor(checkpoint, len(known)), known, progress):
            losses = losses_N.tolist()
            total.add(losses)
            if lines is not None or shown is not None:
                piece = "".join(itertools.islice(characters, len(losses)))
                for consumer in (lines, shown):
                    if consumer is not None:
                        consumer.add(piece, losses)
    if shown is not None:
        if not is_alone:
            console.say("score", name)
        shown.show()
    row = {"checkpoint": name, **total.to_json(), "skipped": skipped}
    return row if lines is None else {**row, "lines": lines.finish()}


def _known_text(
    corpus: "Corpus", checkpoint: "Checkpoint", name: str, unknown: Unknown
) -> tuple["Corpus", int]:
    """Return the text in the model's ids, and the number of characters skipped.

    Raises UnknownCharacterError, ConfigError.
    """
    from charrnn_cli.text.remapping import in_vocabulary

    known = in_vocabulary(corpus, checkpoint.vocab, unknown)
    skipped = len(corpus) - len(known)
    if len(known) < 2:
        found = "only one" if len(known) else "none"
        text = f"this text has {found}" + (f" that {name} knows" if skipped else "")
        raise ConfigError(f"scoring needs at least two characters; {text}")
    if skipped:
        noun = "character" if skipped == 1 else "characters"
        console.say("skipped", f"{skipped:,} {noun} that {name} does not know")
    return known, skipped


def _predictor(checkpoint: "Checkpoint", characters: int) -> "Predictor":
    if characters < TORCH_FROM:
        from charrnn_cli.model.scoring import NumpyPredictor

        return NumpyPredictor(checkpoint)
    check_working_directory()
    console.say("charrnn", "loading torch, because the text is long")
    from charrnn_cli.training.device import choose_device
    from charrnn_cli.training.evaluation import TorchPredictor

    return TorchPredictor(checkpoint, choose_device("auto"))


class _Total:
    """Number and sum of the losses of a whole text."""

    def __init__(self) -> None:
        self._characters, self._nats = 0, 0.0

    def add(self, losses: list[float]) -> None:
        """Add losses in nats."""
        self._characters += len(losses)
        self._nats += math.fsum(losses)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as an object for JSON."""
        nats = self._nats / self._characters
        return {
            "characters": self._characters,
            "loss": nats,
            "bpc": bits_per_character(nats),
            "perplexity": math.exp(nats) if nats < MAX_EXPONENT else math.inf,
        }


class _LineScores:
    """Mean losses of a text's lines; a newline belongs to the line that it ends."""

    def __init__(self, first: str) -> None:
        """Start with the text's first character, which has no score."""
        self._lines: list[dict[str, Any]] = []
        self._pieces = [first]
        self._losses = array.array("d")

    def add(self, text: str, losses: list[float]) -> None:
        """Append characters with their losses in nats."""
        start = 0
        while start < len(text):
            if self._pieces[-1:] and self._pieces[-1].endswith("\n"):
                self._end_line()
            stop = text.find("\n", start) + 1 or len(text)
            self._pieces.append(text[start:stop])
            self._losses.extend(losses[start:stop])
            start = stop

    def finish(self) -> list[dict[str, Any]]:
        """End the last line, and return one object per line."""
        self._end_line()
        return self._lines

    def _end_line(self) -> None:
        scored = len(self._losses)
        self._lines.append(
            {
                "line": len(self._lines) + 1,
                "characters": scored,
                "bpc": bits_per_character(math.fsum(self._losses) / scored) if scored else None,
                "text": "".join(self._pieces).removesuffix("\n"),
            }
        )
        self._pieces, self._losses = [], array.array("d")
