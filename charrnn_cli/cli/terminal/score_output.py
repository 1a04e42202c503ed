"""Scores of a text on a terminal or in a pipe: a table, the lines, or a heat map."""

from collections.abc import Sequence
from typing import Any

from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.sample_output import shaded

MAX_CHARACTERS = 1_000  # in a heat map


class HeatMap:
    """The beginning of a text, each character colored by its surprise."""

    def __init__(self, first: str) -> None:
        """`first` is the text's first character, which has no score."""
        self._shown = [console.safe(first, keep="\n\t")]

    def add(self, text: str, losses: Sequence[float]) -> None:
        """Append characters with their losses in nats, while there is room."""
        room = MAX_CHARACTERS - len(self._shown)
        scored = zip(text[:room], losses[:room], strict=True)
        self._shown += [shaded(character, -nats) for character, nats in scored]

    def show(self) -> None:
        """Write the map and an empty line."""
        console.write("".join(self._shown) + "\n\n")


def show_scores(rows: list[dict[str, Any]]) -> None:
    """Write a table with one row per model."""
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


def show_lines(row: dict[str, Any]) -> None:
    """Write a table with one row per line of the text, under one model."""
    console.say("score", f"{row['checkpoint']}: {row['bpc']:.4f} bits per character")
    console.write_table(
        ["line>", "bpc>", "text"],
        [
            [str(line["line"]), "–" if line["bpc"] is None else f"{line['bpc']:.2f}", line["text"]]
            for line in row["lines"]
        ],
    )
