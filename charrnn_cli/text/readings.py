"""A line that cannot be decoded, as the likeliest encodings would have it."""

import codecs
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from charrnn_cli.errors import Example
from charrnn_cli.storage.opening import CHUNK_BYTES
from charrnn_cli.text.byte_encodings import is_ascii_superset
from charrnn_cli.text.detector import likely_encodings
from charrnn_cli.text.encoding_choice import decodes

MAX_READINGS = 3
MAX_SHOWN = 60  # characters of a line
_SHOWN_BEFORE = 24  # of them before the byte in question
_SHOWN_BYTES = 4 * MAX_SHOWN  # of a line, from that byte on
_BEFORE_BYTES = 1 << 16  # of the file before that byte
_AFTER_BYTES = 1 << 21
_SAMPLE_BYTES = 1 << 15  # of lines that are not ASCII
_LINE_BYTES = 1 << 13  # of the line before that byte
_CHECKED_BYTES = 1 << 24  # decoded with each reading that is shown, which takes 0.1 s
# For data without letters that the detector knows; the last two decode any bytes.
_LAST_RESORTS = ("utf-16-le", "utf-16-be", "cp437", "latin-1")
_PLACES = 500  # that are tried, to find one that tells the readings apart
_DAMAGED_SHARE = 0.5  # share of damaged characters up to which a text may still be UTF-8
_FIRST_TRAIL_BYTE = 0x30  # smaller bytes are no part of a longer character

Line = tuple[bytes, int]
"""A line, and the offset of a byte in it that is not ASCII."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of a file around a byte that cannot be decoded."""

    data: bytes
    """Starts at a multiple of 4 bytes in the file, so that UTF-16 and UTF-32 stay whole."""
    place: int
    """Offset of that byte in `data`."""
    line: int
    """Number of its line in the file, from 1."""
    is_end: bool
    """Whether `data` extends to the end of the file."""


def read_excerpt(file: BinaryIO, offset: int) -> Excerpt:
    """Read the surroundings of a byte of a file. Its line is counted only here, to save time."""
    file.seek(0)
    line, position, before = 1, 0, b""
    while position < offset and (chunk := file.read(min(CHUNK_BYTES, offset - position))):
        line += chunk.count(b"\n")
        position += len(chunk)
        before = (before + chunk)[-_BEFORE_BYTES:]
    before = before[-(position - len(before)) % 4 :]
    after = file.read(_AFTER_BYTES)
    return Excerpt(before + after, len(before), line, len(after) < _AFTER_BYTES)


def readings(file: BinaryIO, excerpt: Excerpt, failed: str) -> list[Example]:
    """Show a line of the excerpt as up to three encodings would have it, the likeliest first.

    It is the line that cannot be decoded or, if some readings of that agree, a line that tells them
    apart. Of a text that is UTF-8 except for a few bytes, `--errors replace` is shown first.
    """
    lines = [] if 0 in excerpt.data else _foreign_lines(excerpt)
    wide_start = max(0, excerpt.place - _LINE_BYTES) // 4 * 4
    sample = b"".join(line for line, _ in lines) or excerpt.data[wide_start:]
    shown = [("--errors replace", failed)] if _is_damaged(sample, failed) else []
    found = (each.encoding for each in likely_encodings(sample[:_SAMPLE_BYTES]))
    shown += itertools.islice(_decoding(file, found, failed), MAX_READINGS - len(shown))
    if not shown:
        shown = list(itertools.islice(_decoding(file, _LAST_RESORTS, failed), MAX_READINGS))
    elif len(shown) == 1 and lines:
        # One reading alone would look like a fact; the last resort of another kind contradicts it.
        shown += itertools.islice(_decoding(file, _LAST_RESORTS[-2:], failed), 1)
    return _examples(excerpt, lines, shown)


def _decoding(file: BinaryIO, encodings: Iterable[str], failed: str) -> Iterator[tuple[str, str]]:
    """Yield the options and encodings that decode a file, without the one that failed."""
    for encoding in encodings:
        if not _is_same(encoding, failed) and _decodes(file, encoding):
            yield f"--encoding {encoding}", encoding


def marked_readings(excerpt: Excerpt, encoding: str) -> list[Example]:
    """Show the line of a file whose byte order mark names its encoding, with damaged bytes."""
    return _examples(excerpt, [], [("--errors replace", encoding)])


def byte_orders(file: BinaryIO, encoding: str) -> list[Example]:
    """Show the first line in each byte order of UTF-16 or UTF-32 in which it can be read."""
    excerpt = read_excerpt(file, 0)
    likely = [each.encoding for each in likely_encodings(excerpt.data[:_SAMPLE_BYTES])]
    orders = [order for order in (f"{encoding}-le", f"{encoding}-be") if _decodes(file, order)]
    orders.sort(key=lambda order: order not in likely)
    return _examples(excerpt, [], [(f"--encoding {order}", order) for order in orders])


def _is_same(encoding: str, other: str) -> bool:
    return codecs.lookup(encoding).name == codecs.lookup(other).name


def _foreign_lines(excerpt: Excerpt) -> list[Line]:
    """Return lines that are not ASCII: that of the excerpt's place, later ones, earlier ones."""
    data, place = excerpt.data, excerpt.place
    start = data.rfind(b"\n", 0, place) + 1
    end = data.find(b"\n", place) + 1 or len(data)
    if place - start > _LINE_BYTES:
        start = place - _LINE_BYTES
        while start < place and data[start] >= _FIRST_TRAIL_BYTE:
            start += 1
    found, size = [(data[start:end], place - start)], end - start
    for line in itertools.chain(_lines(data, end, len(data)), _lines(data, 0, start)):
        if size > _SAMPLE_BYTES:
            break
        foreign = next(_foreign_places(line), None)
        if foreign is not None:
            found.append((line, foreign))
            size += len(line)
    return found


def _lines(data: bytes, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        end = data.find(b"\n", start, stop) + 1
        if not end:
            return  # perhaps incomplete
        yield data[start:end]
        start = end


def _foreign_places(line: bytes, start: int = 0) -> Iterator[int]:
    if not line.isascii():
        yield from (place for place in range(start, len(line)) if line[place] > 0x7F)


def _is_damaged(sample: bytes, encoding: str) -> bool:
    """Return whether a text is probably UTF-8 with a few damaged bytes, or without its end."""
    if not _is_same(encoding, "utf-8"):
        return False
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(sample)
    foreign = sum(character > "\x7f" for character in text)
    damaged = text.count("\ufffd") - sample.count("\ufffd".encode())
    is_cut = len(decoder.getstate()[0]) > 1
    return damaged <= _DAMAGED_SHARE * foreign if foreign else is_cut


def _decodes(file: BinaryIO, encoding: str) -> bool:
    """Return whether a file, or its first 16 MB, can be decoded."""
    file.seek(0)
    return decodes(file, encoding, most=_CHECKED_BYTES)


def _examples(
    excerpt: Excerpt, lines: Sequence[Line], shown: Sequence[tuple[str, str]]
) -> list[Example]:
    """Show the readings, each an option and its encoding, at a place that tells them apart.

    Readings that are equal there are shown once.
    """
    encodings = [encoding for _, encoding in shown]
    best = [_cropped(excerpt.data, excerpt.place, encoding) for encoding in encodings]
    if all(map(is_ascii_superset, encodings)):
        others = ((line, place) for line, start in lines for place in _foreign_places(line, start))
        for line, place in itertools.islice(others, _PLACES):
            if len(set(best)) == len(best):
                break
            texts = [_cropped(line, place, encoding) for encoding in encodings]
            if len(set(texts)) > len(set(best)):
                best = texts
    distinct: dict[str, str] = {}
    for (option, _), text in zip(shown, best, strict=True):
        distinct.setdefault(text, option)
    return [Example(option, text) for text, option in distinct.items()]


def _cropped(data: bytes, place: int, encoding: str) -> str:
    """Decode the line around a byte, and shorten it to the characters around that byte."""
    start = data.rfind(b"\n", 0, place) + 1 if is_ascii_superset(encoding) else 0
    stop = place + _SHOWN_BYTES
    decoder = codecs.getincrementaldecoder(encoding)
    before = decoder("replace").decode(data[start:place])
    text = decoder("replace").decode(data[start:stop], final=stop >= len(data))
    first = text.rfind("\n", 0, len(before)) + 1
    last = text.find("\n", len(before))
    is_whole = last >= 0 or stop >= len(data)
    last = len(text) if last < 0 else last
    left = max(first, len(before) - _SHOWN_BEFORE)
    right = min(last, left + MAX_SHOWN)
    left = max(first, min(left, right - MAX_SHOWN))
    shown = text[left:right].removeprefix("\ufeff").strip(" \t\r")
    return f"{'…' if left > first else ''}{shown}{'' if right == last and is_whole else '…'}"
