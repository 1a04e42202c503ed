"""`charrnn score`: how well models foretell a text."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_cli.cli.options.completion import complete_reference
from charrnn_cli.cli.process import set_blas_threads
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.byte_progress import bytes_progress
from charrnn_cli.cli.terminal.sample_output import shaded
from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import reference_of
from charrnn_cli.units import bits_per_character

if TYPE_CHECKING:
    from charrnn_cli.model.scoring import Predictor
    from charrnn_cli.text.corpus import Corpus

TORCH_FROM = 200_000  # characters: from there torch's speed is worth the seconds of importing it
HEAT_MAP = 1_000  # characters shown


def score(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="REF... TEXT",
            help="One model or several, and a text.",
            autocompletion=complete_reference,
        ),
    ],
    per_line: Annotated[
        bool, typer.Option("--per-line", help="A score for every line of the text.")
    ] = False,
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="Of the text.")
    ] = TextOptions().encoding,
    as_json: Annotated[bool, typer.Option("--json", help="Objects instead of a table.")] = False,
) -> None:
    """Bits a character of any text under one or several models; fewer is better.

    The text is cut into chunks of 20,000 characters, each read from the zero state after the 1,000 characters
    before it.

    Example: charrnn score anna-lstm-2x512 chapter.txt
    """
    if len(names) < 2:
        raise ConfigError(
            "name at least one model and then a TEXT", hint="charrnn score latest book.txt"
        )
    *references, text = names
    paths = [Registry().resolve(reference) for reference in references]
    set_blas_threads()
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.scoring import character_losses, in_vocabulary
    from charrnn_cli.text.cache import cached_corpus

    stop = StopRequest(lambda: console.say("", "stopping"))
    with stop.listening():
        with bytes_progress("encoding", stop) as progress:
            corpus = cached_corpus(Path(text), TextOptions(encoding=encoding), progress=progress)
        if len(corpus) < 2:
            raise ConfigError(
                "nothing foretells a text's first character, and this one has no other"
            )
        rows = []
        for path in paths:
            checkpoint = load_checkpoint(path)
            own = in_vocabulary(corpus, checkpoint.vocab)
            tally = _Tally(
                own, per_line=per_line, heat_map=console.is_fancy(sys.stdout) and not as_json
            )
            with bytes_progress("scoring", stop) as progress:
                for losses_N in character_losses(
                    _predictor(checkpoint, len(corpus)), own, progress
                ):
                    tally.add(losses_N.tolist())
            rows.append({"checkpoint": reference_of(path, checkpoint.step), **tally.facts()})
            if per_line:
                rows[-1]["lines"] = tally.lines
            elif tally.map:
                console.write("".join(tally.map) + "\n\n")
    if as_json:
        console.write_json(rows)
    elif per_line:
        for row in rows:
            _show_lines(row)
    else:
        _show(rows)


def _predictor(checkpoint: Any, characters: int) -> "Predictor":
    if characters < TORCH_FROM:
        from charrnn_cli.model.scoring import NumpyPredictor

        return NumpyPredictor(checkpoint)
    console.say("charrnn", "loading torch: the text is long")
    from charrnn_cli.training.device import choose_device
    from charrnn_cli.training.evaluation import TorchPredictor

    return TorchPredictor(checkpoint, choose_device("auto"))


class _Tally:
    """Sums of nats over the text and over its lines, as they come."""

    def __init__(self, corpus: "Corpus", *, per_line: bool, heat_map: bool) -> None:
        self._characters = self._text(corpus)
        self._line = next(self._characters)  # the first character, which is not scored
        self.characters, self._nats = 0, 0.0
        self._line_scored, self._line_nats = 0, 0.0
        self._per_line, self._heat_map = per_line, heat_map
        self.lines: list[dict[str, Any]] = []
        self.map: list[str] = [console.safe(self._line, keep="\n\t")] if heat_map else []

    @staticmethod
    def _text(corpus: "Corpus") -> Iterator[str]:
        for piece in corpus.text():
            yield from piece

    def add(self, losses: list[float]) -> None:
        self.characters += len(losses)
        self._nats += math.fsum(losses)
        if (self._heat_map and len(self.map) < HEAT_MAP) or self._per_line:
            for nats in losses:
                self._take(next(self._characters), nats)

    def _take(self, character: str, nats: float) -> None:
        if self._heat_map and len(self.map) < HEAT_MAP:
            self.map.append(shaded(character, -nats))
        if not self._per_line:
            return
        if self._line.endswith("\n"):
            self._end_line()
        self._line += character
        self._line_scored += 1
        self._line_nats += nats

    def _end_line(self) -> None:
        self.lines.append(
            {
                "line": len(self.lines) + 1,
                "characters": self._line_scored,
                "bpc": bits_per_character(self._line_nats / self._line_scored)
                if self._line_scored
                else None,
                "text": self._line.removesuffix("\n"),
            }
        )
        self._line, self._line_scored, self._line_nats = "", 0, 0.0

    def facts(self) -> dict[str, Any]:
        """The whole text's figures."""
        if self._per_line:
            self._end_line()
        nats = self._nats / self.characters
        return {
            "characters": self.characters,
            "loss": nats,
            "bpc": bits_per_character(nats),
            "perplexity": math.exp(min(nats, 700.0)),
        }


def _show(rows: list[dict[str, Any]]) -> None:
    console.write_table(
        ["checkpoint", "characters>", "bpc>", "loss>", "perplexity>"],
        [
            [
                row["checkpoint"],
                f"{row['characters']:,}",
                f"{row['bpc']:.4f}",
                f"{row['loss']:.4f}",
                f"{row['perplexity']:.3f}",
            ]
            for row in rows
        ],
    )


def _show_lines(row: dict[str, Any]) -> None:
    console.say("score", f"{row['checkpoint']}: {row['bpc']:.4f} bits a character")
    console.write_table(
        ["line>", "bpc>", "text"],
        [
            [str(line["line"]), "–" if line["bpc"] is None else f"{line['bpc']:.2f}", line["text"]]
            for line in row["lines"]
        ],
    )
