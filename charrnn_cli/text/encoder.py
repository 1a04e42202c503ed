"""The second pass over a text: its documents as ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn_cli.config import TextOptions
from charrnn_cli.storage.tensor_writer import TensorWriter
from charrnn_cli.text.corpus_file import Ids
from charrnn_cli.text.counting import Starts, document_options
from charrnn_cli.text.documents import Document
from charrnn_cli.text.facts import TextFacts
from charrnn_cli.text.items import read_document
from charrnn_cli.text.pieces import Piece
from charrnn_cli.text.symbol_table import SymbolTable, code_points


@dataclass(frozen=True, slots=True)
class Encoder:
    """The second pass: reads the documents again, as ids."""

    documents: Sequence[Document]
    options: TextOptions
    table: SymbolTable
    end: str
    """The end symbol of the documents; empty if they have none."""

    def measure(self, progress: Callable[[int], None]) -> tuple[Starts, int]:
        """Return each document's start and the number of characters, without skipped ones."""
        starts, characters = list[Starts](), 0
        for is_start, ids in self._ids(TextFacts(), progress):
            if self.end:
                starts.append(np.flatnonzero(ids == self._end_id) + characters)
            elif is_start:
                starts.append(np.array([characters]))
            characters += len(ids)
        starts_D = np.concatenate(starts)
        return starts_D[:-1] if self.end else starts_D, characters

    def write(
        self, tensors: TensorWriter, characters: int, progress: Callable[[int], None]
    ) -> TextFacts:
        """Write exactly `characters` ids and return the facts, whose digests show any change."""
        facts, written = TextFacts(), 0
        for _, ids in self._ids(facts, progress):
            written += len(ids)
            if written <= characters:
                tensors.write(ids.tobytes())
        if written < characters:
            tensors.write(bytes((characters - written) * self.table.ids.itemsize))
        return facts

    def _ids(self, facts: TextFacts, progress: Callable[[int], None]) -> Iterator[tuple[bool, Ids]]:
        """Yield the text as ids, in pieces; each comes with whether it starts a document."""
        pieces = self._pieces(facts, progress)
        if not self.end or self.table.skipped is None:
            for is_start, piece in pieces:
                yield is_start, self._encoded(piece)
            return
        is_end = False  # a document without known characters is left out
        for is_start, piece in pieces:
            ids = self._encoded(piece)
            ends = np.concatenate([[is_end], ids == self._end_id])
            ids = ids[~(ends[1:] & ends[:-1])]
            is_end = bool(ends[-1])
            yield is_start, ids

    def _pieces(
        self, facts: TextFacts, progress: Callable[[int], None]
    ) -> Iterator[tuple[bool, Piece]]:
        if self.end:
            yield False, self.end
        for number, document in enumerate(self.documents):
            if number and self.options.separator:
                yield False, self.options.separator
            own, is_start = TextFacts(), True
            options = document_options(document, self.options)
            for piece in read_document(document, options, own):
                yield is_start, piece
                is_start = False
                progress(facts.num_bytes + own.num_bytes)
            if self.end and not self.options.has_items:
                yield False, self.end
            facts.add(own)

    @property
    def _end_id(self) -> int:
        return int(self.table.ids[ord(self.end)])

    def _encoded(self, piece: Piece) -> Ids:
        table = self.table
        if isinstance(piece, bytes) and table.ids.itemsize == 1 and table.skipped is None:
            return np.frombuffer(piece.translate(table.ids[:256].tobytes()), np.uint8)
        codes = code_points(piece)
        ids: Ids = table.ids[codes]
        return ids if table.skipped is None else ids[~table.skipped[codes]]
