"""The first pass over a text: it finds the readable documents and counts the characters."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import TextError
from charrnn_cli.text.corpus import Ids
from charrnn_cli.text.decoding import read_pieces
from charrnn_cli.text.documents import Document, Gathered, printable
from charrnn_cli.text.facts import TextFacts
from charrnn_cli.text.file_kinds import OTHER, NotTextError, check_controls, num_counted_controls
from charrnn_cli.text.symbol_table import CODE_POINTS, Counts, code_points


@dataclass(slots=True)
class CountedText:
    """Results of the first pass."""

    documents: list[Document] = field(default_factory=list)
    """Documents that could be read and are not empty."""
    starts: list[int] = field(default_factory=list)
    """Offset of each document's first character in the text."""
    characters: "CharacterCounts" = field(default_factory=lambda: CharacterCounts())
    facts: TextFacts = field(default_factory=TextFacts)


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
    found: Gathered, options: TextOptions, progress: Callable[[int], None]
) -> CountedText:
    """Read every document once; add unreadable optional documents to `found.skipped`.

    `progress` is called with the bytes read so far. Raises TextError.
    """
    counted, earlier = CountedText(), dict[str, Document]()  # by the digest of its bytes
    separator = code_points(options.separator)
    own = CharacterCounts()  # of one document; added only after all of it has been read
    for document in found.documents:
        facts = TextFacts()
        own.clear()
        try:
            for piece in read_pieces(document.path, options, facts, document.title):
                own.add_codes(code_points(piece))
                progress(counted.facts.num_bytes + facts.num_bytes)
            if not options.force_text:
                controls = num_counted_controls(own.counts)
                check_controls(document.title, controls, own.total)
        except TextError as error:
            if not document.optional:
                raise
            found.skipped.append((document.name, _reason(error, document)))
            continue
        if not own.total:
            found.skipped.append((document.name, "is empty"))
            continue
        same = earlier.setdefault(facts.digests[0], document)
        if same is not document and not options.keep_duplicates:
            found.skipped.append((document.name, _copy_of(same.name, document.name)))
            continue
        if counted.documents:
            counted.characters.add_codes(separator)
        counted.starts.append(counted.characters.total)
        counted.characters.add(own)
        counted.documents.append(document)
        counted.facts.add(facts)
    return counted


def _reason(error: TextError, document: Document) -> str:
    """Return an error's message without the document's path, as valid text for a header."""
    path = document.path
    if isinstance(error, NotTextError):
        remedy = "" if error.hint == OTHER else f"; {error.hint}"
        return printable(error.message.removeprefix(f"{path} ") + remedy)
    if error.message == f"no file named {path}":
        return "no longer exists"
    return printable(error.message.removeprefix(f"{path} ").replace(f" {path}:", " it:"))


def _copy_of(earlier: str, name: str) -> str:
    return "was read already" if name == earlier else f"is a copy of {earlier}"


def _bincount_bytes(codes: Ids) -> npt.NDArray[np.int64]:
    """Return the count of each byte, (256,). Counting in pairs takes half the time."""
    even = codes[: len(codes) // 2 * 2]
    pairs = np.bincount(even.view(np.uint16), minlength=1 << 16).reshape(256, 256)
    counts: npt.NDArray[np.int64] = pairs.sum(axis=0) + pairs.sum(axis=1)
    if len(codes) % 2:
        counts[codes[-1]] += 1
    return counts
