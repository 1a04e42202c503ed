"""The items of a list: files as pieces of text in which every item ends with the end symbol."""

import re
from collections.abc import Callable, Iterable, Iterator

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import TextError
from charrnn_cli.text.character_names import named_character
from charrnn_cli.text.columns import read_column, table_format
from charrnn_cli.text.decoding import read_pieces
from charrnn_cli.text.documents import Document
from charrnn_cli.text.facts import TextFacts
from charrnn_cli.text.pieces import Piece, as_text, joined, peeked, whole_lines
from charrnn_cli.text.selection import suffix_of

_MARK = "\ufeff"


def read_document(
    document: Document, options: TextOptions, facts: TextFacts, *, examples: bool = True
) -> Iterator[Piece]:
    """Yield the text of a document in pieces, as `read_pieces` does.

    Where documents are items, every item of the file ends with `options.end`. Empty items and byte
    order marks at their beginnings are left out. Raises TextError.
    """
    pieces = read_pieces(document.path, options, facts, document.title, examples=examples)
    if not options.has_items:
        return pieces
    if options.documents != "lines":
        pieces = _without_end(pieces, options.end, document.title)
    return _without_empty_items(_with_ends(pieces, document, options), options.end)


def separate_items(text: str, options: TextOptions) -> list[str]:
    """Return the items of a text in memory, as `read_document` finds those of a file.

    Where items are the cells of a column, the text has one in each line, unless they are separated
    in another way. Raises TextError.
    """
    pieces: Iterable[Piece] = [text]
    if options.documents != "lines":
        pieces = _between_ends(_without_end(pieces, options.end, "the text"), options)
    ended = "".join(map(as_text, _without_empty_items(pieces, options.end)))
    return ended.split(options.end)[:-1]


def _with_ends(
    pieces: Iterable[Piece], document: Document, options: TextOptions
) -> Iterable[Piece]:
    """Put the end symbol between the items of a file."""
    if options.column is not None:
        beginning, pieces = peeked(pieces)
        table = table_format(beginning, suffix_of(document.name))
        if table is not None:
            return read_column(pieces, table, document.title, options)
    return pieces if options.documents == "lines" else _between_ends(pieces, options)


def _between_ends(pieces: Iterable[Piece], options: TextOptions) -> Iterator[str]:
    """Put the end symbol between the items of a text; line ends need no other one."""
    between, end = options.documents, options.end
    if between == "blank-lines":
        return joined(_at_lines(pieces, lambda line: not line.strip(" \t"), end))
    line = between.removeprefix("\n").removesuffix("\n")
    if len(between) == len(line) + 2 and "\n" not in line:
        return joined(_at_lines(pieces, lambda text: text == line, end))
    return _at_text(map(as_text, pieces), between, end)


def end_error(name: str, what: str) -> TextError:
    """Return the error for a text that contains the end symbol of its documents."""
    return TextError(
        f"{name} contains {named_character(TextOptions().end)}, which marks the end of {what}",
        hint="remove this character from the text",
    )


def _without_end(pieces: Iterable[Piece], end: str, name: str) -> Iterator[Piece]:
    """Pass a text on. Raises TextError if it contains the end symbol."""
    for piece in pieces:
        if (end in piece) if isinstance(piece, str) else (end.encode() in piece):
            raise end_error(name, "an item")
        yield piece


def _at_lines(
    pieces: Iterable[Piece], is_between: Callable[[str], bool], end: str
) -> Iterator[str]:
    """Put the end symbol in place of one or more lines that stand between items."""
    before = ""  # the next line of text
    for line in whole_lines(pieces):
        text = line.removesuffix("\n")
        if not is_between(text):
            yield before + text
            before = "\n"
        elif before:
            before = end


def _at_text(pieces: Iterable[str], between: str, end: str) -> Iterator[str]:
    """Put the end symbol in place of a text between items."""
    held = ""
    for piece in pieces:
        *complete, rest = (held + piece).split(between)
        kept = max(0, len(rest) - max(1, len(between) - 1))  # the held part may begin the text
        held = rest[kept:]
        if text := end.join([*complete, rest[:kept]]):
            yield text
    if rest := held.removesuffix("\n"):  # the end of the file's last line
        yield rest


def _without_empty_items(pieces: Iterable[Piece], end: str) -> Iterator[Piece]:
    """Leave out empty items, and end the last one."""
    ends = re.compile(f"{end}[{end}{_MARK}]*")
    many, one = end.encode() * 2, end.encode()
    repeated = re.compile(one + b"+")
    is_start = True
    for piece in pieces:
        cleaned: Piece
        if isinstance(piece, bytes):
            cleaned = repeated.sub(one, piece) if many in piece else piece
            cleaned = cleaned.removeprefix(one) if is_start else cleaned
            is_end = cleaned.endswith(one)
        else:
            cleaned = ends.sub(end, piece)
            cleaned = cleaned.lstrip(end + _MARK) if is_start else cleaned
            is_end = cleaned.endswith(end)
        if cleaned:
            yield cleaned
            is_start = is_end
    if not is_start:
        yield end.encode()
