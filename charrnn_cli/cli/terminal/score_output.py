"""Scores of a text: totals and lines, as tables or objects, and a heat map."""

import array
import math
from collections.abc import Sequence
from typing import Any, Protocol

from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.formats import format_both_units, format_number
from charrnn_cli.cli.terminal.surprise_colors import SurpriseColors
from charrnn_cli.cli.terminal.table import Column, write_table
from charrnn_cli.units import bits_per_character

MAX_CHARACTERS = 1_000  # in a heat map
MAX_EXPONENT = 700.0  # of math.exp


class ScoreConsumer(Protocol):
    """A consumer of scored texts, in order; of one text or of documents."""

    def add(self, text: str, losses: list[float]) -> None:
        """Append characters with their losses in nats."""

    def add_document(self, text: str, between: str, losses: list[float]) -> None:
        """Append a document with the losses of its characters and of its end.

        `between` stands for its end where a text is written; empty for a file.
        """


class HeatMap:
    """The beginning of a text, each character colored by its surprise."""

    def __init__(self, first: str = "") -> None:
        """Start with the text's first character, if it has no score."""
        self._shown = [safe_text.safe(first, keep="\n\t")]
        self._room = MAX_CHARACTERS - len(first)
        self._colors = SurpriseColors()

    def add_document(self, text: str, between: str, losses: list[float]) -> None:
        """Append a document and its end, up to the limit."""
        if self._room > 0:
            end = between or "\n"
            self.add(text + end, losses + [0.0] * (len(end) - 1))

    def add(self, text: str, losses: Sequence[float]) -> None:
        """Append characters with their losses in nats, up to the limit."""
        shown, scores = text[: self._room], [-nats for nats in losses[: self._room]]
        self._shown.append(self._colors.add(shown, scores))
        self._room -= len(shown)

    def show(self) -> None:
        """Write the map and an empty line."""
        self._shown.append(self._colors.finish())
        console.write_styled("".join(self._shown) + "\n\n")


class TotalScore:
    """Number and sum of the losses of a whole text."""

    def __init__(self, characters: int = 0, nats: float = 0.0) -> None:
        self._characters, self._nats = characters, nats

    def add(self, losses: list[float]) -> None:
        """Add losses in nats."""
        self._characters += len(losses)
        self._nats += math.fsum(losses)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as an object for JSON."""
        return score_to_json(self._characters, self._nats / self._characters)


def score_to_json(characters: int, nats: float) -> dict[str, Any]:
    """Return the mean loss of characters, in nats, as an object for JSON."""
    return {
        "characters": characters,
        "loss": nats,
        "bpc": bits_per_character(nats),
        "perplexity": math.exp(nats) if nats < MAX_EXPONENT else math.inf,
    }


def without_score(checkpoint: str, problem: str) -> dict[str, Any]:
    """Return the object for JSON of a model that cannot score the text."""
    scores = dict.fromkeys(("loss", "bpc", "perplexity"))
    return {"checkpoint": checkpoint, "characters": None, **scores, "problem": problem}


class LineScores:
    """Mean losses of a text's lines; a newline belongs to the line that it ends.

    The end of a document belongs to its last line.
    """

    def __init__(self, first: str = "") -> None:
        """Start with the text's first character, if it has no score."""
        self._lines: list[dict[str, Any]] = []
        self._pieces = [first] if first else []
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

    def add_document(self, text: str, between: str, losses: list[float]) -> None:
        """Append the lines of a document; its last line ends with it."""
        self.add(text, losses[:-1])
        self._losses.append(losses[-1])
        self._end_line()

    def finish(self) -> list[dict[str, Any]]:
        """End the last line, and return one object per line."""
        if self._pieces:
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


class ItemScores:
    """The bits of each item of a list, its end included."""

    def __init__(self) -> None:
        self._items: list[dict[str, Any]] = []

    def add(self, text: str, losses: list[float]) -> None:
        """Append an item whose end has no loss of its own."""
        self._append(text, losses)

    def add_document(self, text: str, between: str, losses: list[float]) -> None:
        """Append an item and its end."""
        self._append(text, losses)

    def finish(self) -> list[dict[str, Any]]:
        """Return one object per item."""
        return self._items

    def _append(self, text: str, losses: list[float]) -> None:
        nats = math.fsum(losses)
        self._items.append(
            {
                "line": len(self._items) + 1,
                "characters": len(losses),
                "bits": nats / math.log(2),
                "bpc": bits_per_character(nats / len(losses)),
                "text": text,
            }
        )


def show_scores(rows: list[dict[str, Any]]) -> None:
    """Write a table with one row per model; a model without a score has its problem there."""
    columns = [
        Column("checkpoint", lambda row: row["checkpoint"]),
        Column("characters", lambda row: format_number(row["characters"], ","), number=True),
        Column("loss", lambda row: format_number(row["loss"], ".4f"), number=True),
        Column("bpc", lambda row: format_number(row["bpc"], ".4f"), number=True),
        Column("perplexity", lambda row: format_number(row["perplexity"], ".3f"), number=True),
    ]
    if any("problem" in row for row in rows):
        columns.append(Column("problem", lambda row: row.get("problem", "")))
    write_table(columns, rows)


def show_lines(row: dict[str, Any]) -> None:
    """Write a table with one row per line or item of the text, under one model."""
    if "problem" in row:
        console.say("skipped", f"{row['checkpoint']}: {row['problem']}")
        return
    console.say("score", f"{row['checkpoint']}: loss {format_both_units(row['loss'])}")
    has_items = any("bits" in line for line in row["lines"])
    bits = [Column("bits", lambda line: f"{line['bits']:.2f}", number=True)] if has_items else []
    columns = [
        Column("item" if has_items else "line", lambda line: str(line["line"]), number=True),
        *bits,
        Column("bpc", lambda line: format_number(line["bpc"], ".2f"), number=True),
        Column("text", lambda line: line["text"]),
    ]
    write_table(columns, row["lines"])
