"""A decoded text that arrives in pieces."""

from collections.abc import Iterable, Iterator
from itertools import chain

Piece = str | bytes
"""A piece of decoded text: a str, or bytes that are all ASCII, one per character."""

PIECE_CHARACTERS = 1 << 16  # at least, where short strings are joined


def as_text(piece: Piece) -> str:
    """Return a piece as a str."""
    return piece if isinstance(piece, str) else piece.decode("ascii")


def whole_lines(pieces: Iterable[Piece]) -> Iterator[str]:
    """Yield lines with their ends; only `\\n` ends a line, and the last one may have no end."""
    held: list[str] = []
    for piece in pieces:
        *complete, rest = as_text(piece).split("\n")
        for line in complete:
            if held:
                line, held = "".join([*held, line]), []
            yield f"{line}\n"
        if rest:
            held.append(rest)
    if held:
        yield "".join(held)


def peeked(pieces: Iterable[Piece]) -> tuple[str, Iterator[Piece]]:
    """Return the first line with text, or as much of it as the first piece has; and all pieces."""
    held: list[Piece] = []
    all_pieces = iter(pieces)
    for piece in all_pieces:
        held.append(piece)
        if line := as_text(piece).lstrip("\n").partition("\n")[0]:
            return line, chain(held, all_pieces)
    return "", iter(held)


def joined(texts: Iterable[str]) -> Iterator[str]:
    """Join short strings to pieces."""
    parts: list[str] = []
    length = 0
    for text in texts:
        parts.append(text)
        length += len(text)
        if length >= PIECE_CHARACTERS:
            yield "".join(parts)
            parts, length = [], 0
    if parts:
        yield "".join(parts)
