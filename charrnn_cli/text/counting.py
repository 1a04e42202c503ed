"""The first pass over a text: it finds the readable documents and counts the characters."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import Example, TextError
from charrnn_cli.text.byte_encodings import is_ascii_superset
from charrnn_cli.text.corpus_file import Ids
from charrnn_cli.text.documents import Document, Gathered, printable
from charrnn_cli.text.encoding_choice import encoding_of, preferring_utf8
from charrnn_cli.text.facts import IS_EMPTY, TextFacts, copy_of
from charrnn_cli.text.file_kinds import OTHER, NotTextError, check_controls, num_counted_controls
from charrnn_cli.text.items import end_error, read_document
from charrnn_cli.text.symbol_table import CODE_POINTS, Counts, code_points

Starts = npt.NDArray[np.int64]

MAX_SHOWN = 40  # characters of a line that shows a likely encoding
MAX_SUGGESTED = 3  # skipped files whose likely encodings are named; each takes up to a second


@dataclass(slots=True)
class CountedText:
    """Results of the first pass."""

    documents: list[Document] = field(default_factory=list)
    """Documents that could be read and are not empty."""
    starts: Starts = field(default_factory=lambda: np.zeros(0, np.int64))
    """Offset of each document in the text; with end symbols, that of the symbol before it."""
    end: str = ""
    """The end symbol of the documents; empty if they have none."""
    characters: "CharacterCounts" = field(default_factory=lambda: CharacterCounts())
    facts: TextFacts = field(default_factory=TextFacts)

    @property
    def files_per_encoding(self) -> dict[str, int]:
        """Number of files per encoding; `+ mark` follows one that a byte order mark named."""
        return dict(Counter(self._read_as()))

    @property
    def other_files(self) -> list[list[str]]:
        """Files that were not read as most others, each as [name, encoding]."""
        files = self.files_per_encoding
        usual = max(files, key=lambda read_as: files[read_as], default=None)
        pairs = zip(self.documents, self._read_as(), strict=True)
        return [[document.name, read_as] for document, read_as in pairs if read_as != usual]

    def end_files(self) -> None:
        """Put the end symbol after each file and before the first. Raises TextError."""
        end = TextOptions().end
        if self.characters.counts[ord(end)]:
            raise end_error(f"one of the {len(self.documents):,} files", "a file")
        self.characters.add_codes(np.full(len(self.documents) + 1, ord(end), np.uint8))
        self.starts = self.starts + np.arange(len(self.starts))
        self.end = end

    def _read_as(self) -> list[str]:
        pairs = zip(self.facts.encodings, self.facts.marks, strict=True)
        return [f"{encoding} + mark" if mark else encoding for encoding, mark in pairs]


class CharacterCounts:
    """Number of occurrences of each code point."""

    def __init__(self) -> None:
        self.counts: Counts = np.zeros(CODE_POINTS, np.uint64)
        self.total = 0
        self._stop = 0  # all counts from here on are 0, so adding a small document is cheap

    def add_codes(self, codes: Ids) -> None:
        """Count some code points, (characters,)."""
        found = _bincount_bytes(codes) if codes.dtype == np.uint8 else np.bincount(codes)
        self.counts[: len(found)] += found.astype(np.uint64)
        self.total += len(codes)
        self._stop = max(self._stop, len(found))

    def add(self, other: "CharacterCounts") -> None:
        """Add the counts of another piece of text."""
        self.counts[: other._stop] += other.counts[: other._stop]
        self.total += other.total
        self._stop = max(self._stop, other._stop)

    def clear(self) -> None:
        """Set all counts to 0."""
        self.counts[: self._stop] = 0
        self.total = self._stop = 0


def count_text(
    found: Gathered,
    options: TextOptions,
    progress: Callable[[int], None],
) -> CountedText:
    """Read every document once; add unreadable optional documents to `found.skipped`.

    Each of several documents is read as UTF-8 if it is valid UTF-8. `progress` is called with the
    bytes read so far. Raises TextError.
    """
    counted, suggested = CountedText(), 0
    if len(found.documents) > 1:
        options = preferring_utf8(options)
    earlier = dict[str, Document]()  # by the digest of its bytes
    separator, starts = code_points(options.separator), list[Starts]()
    if options.has_items:
        counted.end = options.end
        counted.characters.add_codes(code_points(options.end))
    ends = _Ends(options)
    own = CharacterCounts()  # of one document; added only after all of it has been read
    for document in found.documents:
        facts = TextFacts()
        own.clear()
        ends.clear()
        examples = not document.optional or suggested < MAX_SUGGESTED
        try:
            check = partial(progress, counted.facts.num_bytes)
            document = with_encoding(document, options, check)
            own_options = document_options(document, options)
            for piece in read_document(document, own_options, facts, examples=examples):
                codes = code_points(piece)
                ends.find(codes, own.total)
                own.add_codes(codes)
                progress(counted.facts.num_bytes + facts.num_bytes)
            if not options.force_text:
                controls = num_counted_controls(own.counts) - ends.num_controls
                check_controls(document.title, controls, own.total)
        except TextError as error:
            if not document.optional:
                if len(found.documents) > 1:
                    error.examples = tuple(_for_several(each, options) for each in error.examples)
                raise
            found.skipped.append((document.name, _reason(error, document, options)))
            suggested += bool(error.examples)
            continue
        if not own.total:
            found.skipped.append((document.name, IS_EMPTY))
            continue
        same = earlier.setdefault(facts.digests[0], document)
        if same is not document and not options.keep_duplicates:
            found.skipped.append((document.name, copy_of(same.name, document.name)))
            continue
        if counted.documents:
            counted.characters.add_codes(separator)
        starts.append(ends.starts + counted.characters.total)
        counted.characters.add(own)
        counted.documents.append(document)
        counted.facts.add(facts)
    if starts:
        counted.starts = np.concatenate(starts)
    return counted


class _Ends:
    """Where the items of a file begin: at the end symbols before them."""

    def __init__(self, options: TextOptions) -> None:
        self._end = ord(options.end) if options.has_items else None
        self._is_control = options.end == TextOptions().end
        self._found: list[Starts] = []

    def clear(self) -> None:
        self._found.clear()

    def find(self, codes: Ids, offset: int) -> None:
        """Find the end symbols of a piece that starts at an offset in the file."""
        if self._end is not None:
            self._found.append(np.flatnonzero(codes == self._end) + offset)

    @property
    def num_controls(self) -> int:
        """The number of end symbols if these are control characters, which are not of the text."""
        return sum(map(len, self._found)) if self._is_control else 0

    @property
    def starts(self) -> Starts:
        """Offsets in the file; of the first item, or of a file that is a document, that is 0.

        With end symbols, the one before the first item is at -1.
        """
        if self._end is None:
            return np.zeros(1, np.int64)
        ends = np.concatenate(self._found)
        return np.concatenate([[-1], ends[:-1]])


def with_encoding(
    document: Document, options: TextOptions, check: Callable[[], None] = lambda: None
) -> Document:
    """Decide the document's encoding, if that is open, as `encoding_of` does.

    `check` is called often.
    """
    if document.encoding is not None:
        return document
    encoding = encoding_of(document.path, options, document.title, check)
    return replace(document, encoding=encoding)


def document_options(document: Document, options: TextOptions) -> TextOptions:
    """Return the options with the document's own encoding, if that is decided."""
    return options if document.encoding is None else replace(options, encoding=document.encoding)


def _reason(error: TextError, document: Document, options: TextOptions) -> str:
    """Return an error's message without the document's path, as valid text for a header."""
    path = document.path
    if isinstance(error, NotTextError):
        remedy = "" if error.hint == OTHER else f"; {error.hint}"
        return printable(error.message.removeprefix(f"{path} ") + remedy)
    if error.message == f"no file named {path}":
        return "no longer exists"
    reason = printable(error.message.removeprefix(f"{path} ").replace(f" {path}:", " it:"))
    shown = [example for example in error.examples if example.name == "--encoding"]
    if not shown or len(shown) < len(error.examples):
        is_undecodable = isinstance(error.__cause__, UnicodeError)
        return f"{reason}; it may need another --encoding" if is_undecodable else reason
    choices = (_for_several(example, options) for example in shown)
    return f"{reason}; it may need " + " or ".join(
        f"{option} ({line[:MAX_SHOWN]})" for option, line in choices
    )


def _for_several(example: Example, options: TextOptions) -> Example:
    """Return an example for one of several files whose option is right for the others too."""
    if example.name != "--encoding":
        return example
    others = [each for each in options.encodings if each != "utf-8"]
    if not others and not is_ascii_superset(example.value):
        others = ["utf-8"]  # otherwise, all files would be read in this encoding
    return example._replace(option=f"--encoding {','.join([*others, example.value])}")


def _bincount_bytes(codes: Ids) -> npt.NDArray[np.int64]:
    """Return the count of each byte, (256,). Counting in pairs takes half the time."""
    even = codes[: len(codes) // 2 * 2]
    pairs = np.bincount(even.view(np.uint16), minlength=1 << 16).reshape(256, 256)
    counts: npt.NDArray[np.int64] = pairs.sum(axis=0) + pairs.sum(axis=1)
    if len(codes) % 2:
        counts[codes[-1]] += 1
    return counts
