"""Scores of a text: a table of models, a table of lines, or a heat map."""

from collections.abc import Sequence
from typing import Any

from charrnn_cli.cli.terminal import console, safe_text
from charrnn_cli.cli.terminal.formats import format_number
from charrnn_cli.cli.terminal.sample_output import shaded
from charrnn_cli.cli.terminal.table import Column, write_table

MAX_CHARACTERS = 1_000  # in a heat map


class HeatMap:
    """The beginning of a text, each character colored by its surprise."""

    def __init__(self, first: str) -> None:
        """Start with the text's first character, which has no score."""
        self._shown = [safe_text.safe(first, keep="\n\t")]

    def add(self, text: str, losses: Sequence[float]) -> None:
        """Append characters with their losses in nats, up to the limit."""
        room = MAX_CHARACTERS - len(self._shown)
        scored = zip(text[:room], losses[:room], strict=True)
        self._shown += [shaded(character, -nats) for character, nats in scored]

    def show(self) -> None:
        """Write the map and an empty line."""
        console.write_styled("".join(self._shown) + "\n\n")


def show_scores(rows: list[dict[str, Any]]) -> None:
    """Write a table with one row per model."""
    columns = [
        Column("checkpoint", lambda row: row["checkpoint"]),
        Column("characters", lambda row: f"{row['characters']:,}", number=True),
        Column("bpc", lambda row: f"{row['bpc']:.4f}", number=True),
        Column("loss", lambda row: f"{row['loss']:.4f}", number=True),
        Column("perplexity", lambda row: f"{row['perplexity']:.3f}", number=True),
    ]
    write_table(columns, rows)


def show_lines(row: dict[str, Any]) -> None:
    """Write a table with one row per line of the text, under one model."""
    console.say("score", f"{row['checkpoint']}: {row['bpc']:.4f} bits per character")
    columns = [
        Column("line", lambda line: str(line["line"]), number=True),
        Column("bpc", lambda line: format_number(line["bpc"], ".2f"), number=True),
        Column("text", lambda line: line["text"]),
    ]
    write_table(columns, row["lines"])
