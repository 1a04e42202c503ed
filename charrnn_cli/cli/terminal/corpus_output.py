"""Facts about a text for the terminal: its files, how they were read, and their contents."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.verdict import default_verdict
from charrnn_cli.config import END_OF_DOCUMENT
from charrnn_cli.shell import shell_word
from charrnn_cli.storage.source import STANDARD_INPUT
from charrnn_cli.text.character_names import character_name, is_invisible
from charrnn_cli.text.facts import is_loss

if TYPE_CHECKING:
    from charrnn_cli.storage.corpus_header import CorpusHeader
    from charrnn_cli.text.corpus import Corpus

MAX_SKIPPED_SHOWN = 20  # files
MAX_SYMBOLS_SHOWN = 200
MAX_NAMES_SHOWN = 3  # files per encoding
RAREST_SHOWN = 5  # characters
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", " ": "␣"}

Line = tuple[str, str]
"""A label and its text."""


def describe_texts(paths: Sequence[Path]) -> str:
    """Name the first text, and count the others."""
    first = "standard input" if paths[0] == STANDARD_INPUT else str(paths[0])
    return f"{first} and {len(paths) - 1} more" if len(paths) > 1 else first


def describe_corpus(corpus: "Corpus") -> list[Line]:
    """Summarize how a text was read."""
    is_several = corpus.num_documents > 1 and not corpus.has_items
    documents = f", {corpus.num_documents:,} documents" if is_several else ""
    read = _describe_encoding(corpus.header)
    read = "" if read == "read as utf-8" else f", {read}"  # needs no mention
    return [
        ("text", f"{corpus.name}: {_counts(corpus)}{documents}{read}"),
        *describe_items(corpus),
        *describe_files(corpus),
        *describe_line_ends(corpus.header),
        *describe_unusual(corpus),
        *describe_held_out(corpus),
    ]


def describe_held_out(corpus: "Corpus") -> list[Line]:
    """Summarize the texts that are held out in files of their own."""
    from charrnn_cli.text.held_out import held_out_of

    lines, held_out = [], held_out_of(corpus)
    for label, text in (("val", held_out.val), ("test", held_out.test)):
        if text is not None:
            kind = "items" if text.has_items else "documents"
            documents = f", {text.num_documents:,} {kind}" if text.num_documents > 1 else ""
            lines += [(label, f"{text.name}: {text.num_characters:,} characters{documents}")]
            lines += describe_unusual(text)
    return lines


def _counts(corpus: "Corpus") -> str:
    distinct = len(corpus.vocab)
    symbols = f"{distinct:,} distinct"
    if corpus.end == END_OF_DOCUMENT:
        symbols = f"{distinct - 1:,} distinct and the end of a document"
    return f"{corpus.num_characters:,} characters, {symbols}"


def describe_items(corpus: "Corpus") -> list[Line]:
    """Count the items of a list, their lengths, and those that occur more than once."""
    if not corpus.has_items:
        return []
    import numpy as np

    from charrnn_cli.text.item_split import document_hashes

    lengths_D = np.diff(corpus.document_spans())[:, 0] - 2
    _, counts = np.unique(document_hashes(corpus), return_counts=True)
    lengths = format_count(int(lengths_D.max()), "character")
    if lengths_D.min() < lengths_D.max():
        lengths = f"{lengths_D.min():,} to {lengths}, {lengths_D.mean():.1f} on average"
    repeated = np.count_nonzero(counts > 1)
    return [("items", f"{len(lengths_D):,} of {lengths}; {repeated:,} occur more than once")]


def describe_line_ends(facts: "CorpusHeader") -> list[Line]:
    """List the line ends that were converted, if there were any."""
    kinds = [("CRLF", facts.crlf), ("CRCRLF", facts.crcrlf), ("CR", facts.cr)]
    counts = [f"{count:,} {name}" for name, count in kinds if count]
    if not counts:
        return []
    *others, last = counts
    listed = f"{', '.join(others)} and {last}" if others else last
    return [("endings", f"{listed} converted to LF")]


def describe_files(corpus: "Corpus") -> list[Line]:
    """Count the files of directories by suffix: those that were read, and those that were not."""
    facts = corpus.header
    if not facts.files and not facts.left_out:
        return []
    from charrnn_cli.text.selection import described_suffixes

    left_out = f"; left out {described_suffixes(facts.left_out)}" if facts.left_out else ""
    return [("files", described_suffixes(facts.files) + left_out)]


def list_files(corpus: "Corpus") -> list[Line]:
    """List the first files of directories that were read."""
    facts = corpus.header
    more = sum(facts.files.values()) - len(facts.names)
    return [("file", name) for name in facts.names] + (
        [("file", f"and {more:,} more")] if more > 0 else []
    )


def describe_unusual(corpus: "Corpus") -> list[Line]:
    """List replaced characters, characters outside a given vocabulary, and skipped files."""
    facts, lines = corpus.header, []
    if "\ufffd" in corpus.vocab:
        replaced = int(corpus.counts_V[corpus.vocab.encode("\ufffd")[0]])
        if replaced:
            times = format_count(replaced, "time")
            why = f", because of --min-count {facts.reading.min_count}"
            why = why if facts.reading.min_count > 1 else ""
            lines.append(("U+FFFD", f"the replacement character (�) occurs {times}{why}"))
    if facts.unseen:
        from charrnn_cli.text.symbol_table import described_characters

        described = described_characters(facts.unseen, facts.num_unseen)
        lines.append(("unseen", f"the vocabulary lacked {described}"))
    if facts.held_out:
        from charrnn_cli.text.selection import excluding

        option = f"--include {shell_word(excluding(facts.held_out, facts.reading.include))}"
        which, pronoun = " and ".join(facts.held_out), "it" if len(facts.held_out) == 1 else "them"
        is_test = [name.lower().startswith("test") for name in facts.held_out]
        own = [
            *([] if all(is_test) else ["--val FILE"]),
            *(["--test FILE"] if any(is_test) else []),
        ]
        use = f"leave {pronoun} out with {option}, and train with {' and '.join(own)}"
        lines.append(("advice", f"the text includes {which}; {use}"))
    if facts.web_page:
        page = "the text looks like a web page; if you want only its text, "
        lines.append(("warning", f"{page}save it as plain text (UTF-8) in your browser"))
    return lines + describe_skipped(corpus)


def describe_skipped(corpus: "Corpus") -> list[Line]:
    """List the files that were skipped, with their reasons."""
    facts = corpus.header
    shown = facts.skipped[:MAX_SKIPPED_SHOWN]
    lines = [("skipped", ": ".join(name_and_reason)) for name_and_reason in shown]
    more = facts.num_skipped - MAX_SKIPPED_SHOWN
    lines += [("skipped", f"and {more:,} more")] if more > 0 else []
    return lines + describe_unread(corpus)


def describe_unread(corpus: "Corpus") -> list[Line]:
    """Count the files that could not be read, of all those that were chosen."""
    unread = sum(is_loss(reason) for _, reason in corpus.header.skipped)
    if not unread:
        return []
    # Older files do not count those that were read; their documents are files.
    read = sum(corpus.header.files_per_encoding.values()) or corpus.num_documents
    chosen = unread + read
    return [("warning", f"{unread:,} of {format_count(chosen, 'file')} could not be read")]


def _describe_encoding(facts: "CorpusHeader") -> str:
    """Name the encoding in which a text was read, or count the files per encoding."""
    files = facts.files_per_encoding
    if sum(files.values()) < 2:  # or the text was encoded before files were counted
        mark = " (from its byte order mark)" if facts.byte_order_mark else ""
        return f"read as {facts.encoding}{mark}"
    if len(files) == 1:
        return f"read as {_with_mark(*files)}"
    parts: list[str] = []
    for read_as, number in sorted(files.items(), key=lambda each: -each[1]):
        counted = f"{number:,}" if parts else format_count(number, "file")
        named = _listed([name for name, other in facts.other_files if other == read_as], number)
        parts.append(f"{counted} as {_with_mark(read_as)}{named}")
    return ", ".join(parts)


def _with_mark(read_as: str) -> str:
    encoding, _, mark = read_as.partition(" + ")
    return f"{encoding} from its byte order mark" if mark else encoding


def _listed(names: Sequence[str], number: int) -> str:
    """List the first names of a number of files, of which some or all names may be unknown."""
    shown = names[:MAX_NAMES_SHOWN]
    more = f" and {number - len(shown):,} more" if number > len(shown) else ""
    return f" ({', '.join(shown)}{more})" if shown else ""


def summary_lines(corpus: "Corpus", model: ModelConfig, summary: Mapping[str, Any]) -> list[Line]:
    """Return the lines of the summary that `encode` prints; `summary` has the same facts.

    `model` is the default model for the text.
    """
    from charrnn_cli.text.corpus_file import ids_dtype

    first_ids = " ".join(str(index) for index in summary["first_ids"])
    lines = [
        ("text", f"{_counts(corpus)}, {_describe_encoding(corpus.header)}"),
        *describe_items(corpus),
        *describe_files(corpus),
        *list_files(corpus),
        ("ids", f"{ids_dtype(len(corpus.vocab)).lower()}, starting with {first_ids}"),
        ("symbols", _symbols(corpus.vocab.characters)),
    ]
    if len(corpus.vocab) > RAREST_SHOWN:
        lines.append(("rarest", _rarest(corpus)))
    lines += describe_line_ends(corpus.header)
    steps = f"{summary['windows_per_epoch']:,} of 100 x 100 characters per epoch"
    lines.append(("steps", f"{steps}, as in --preset notebook"))
    advice = default_verdict(model, corpus.num_characters)
    lines.append(("advice", f"with the default settings, {advice}"))
    lines.append(("wrote", summary["output"]))
    return lines


def _symbols(characters: str) -> str:
    shown = " ".join(_symbol(character) for character in characters[:MAX_SYMBOLS_SHOWN])
    more = len(characters) - MAX_SYMBOLS_SHOWN
    return f"{shown} … and {more:,} more" if more > 0 else shown


def _symbol(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    return character_name(character) if is_invisible(character) else character


def _rarest(corpus: "Corpus") -> str:
    shown = []
    for index in corpus.counts_V.argsort(kind="stable")[:RAREST_SHOWN].tolist():
        character = corpus.vocab.characters[index]
        name = f"{_symbol(character)} U+{ord(character):04X}"
        shown.append(f"{name} {int(corpus.counts_V[index]):,}x")
    return ", ".join(shown)
