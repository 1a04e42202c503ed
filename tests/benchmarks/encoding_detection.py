"""Compare ways to detect the encoding of a text that is not UTF-8.

    pip install charset-normalizer
    python -m tests.benchmarks.encoding_detection

The pieces are made of passages in 22 languages and 20 encodings: single lines, and texts of 1, 10
and 100 kB. Every detector may name three encodings. An answer is right if it decodes the piece to
the same text. `fragments` are three words each.
"""

import time
from collections.abc import Callable

import chardet

from charrnn_cli.text.detector import likely_encodings
from tests.passages import ENCODINGS, PASSAGES, encodable, is_undecodable, pieces

Piece = tuple[str, str, str]
"""Language, encoding and text."""
SAMPLE = 1 << 15  # bytes that the shipped detector is given


def former_rules(data: bytes) -> list[str]:
    """Name UTF-16, or the first encoding in which most characters are East Asian."""
    if data[1::2].count(0) > 0.2 * len(data):
        return ["utf-16-le"]
    if data[::2].count(0) > 0.2 * len(data):
        return ["utf-16-be"]
    for encoding in ("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"):
        text = decoded(data, encoding)
        foreign = [character for character in text or "" if character > "\x7f"]
        common = sum(
            "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"
            for character in foreign
        )
        if text is not None and common > 0.8 * len(foreign):
            return [encoding]
    return ["latin-1", "cp1252"]


def charset_normalizer(data: bytes) -> list[str]:
    import charset_normalizer  # type: ignore[import-not-found, unused-ignore]

    return [match.encoding for match in charset_normalizer.from_bytes(data)]


def plain_chardet(data: bytes) -> list[str]:
    found = chardet.detect_all(data, ignore_threshold=True, compat_names=False)
    return [each["encoding"] for each in found if each["encoding"]]


def shipped(data: bytes) -> list[str]:
    return [each.encoding for each in likely_encodings(data[:SAMPLE])]


DETECTORS: dict[str, Callable[[bytes], list[str]]] = {
    "former rules": former_rules,
    "charset-normalizer": charset_normalizer,
    "chardet": plain_chardet,
    "shipped": shipped,
}


def decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def rank(data: bytes, text: str, encodings: list[str]) -> int | None:
    """Return the place of the right text among the first three distinct ones."""
    texts = [each for encoding in encodings if (each := decoded(data, encoding)) is not None]
    first_three = list(dict.fromkeys(texts))[:3]
    return first_three.index(text) if text in first_three else None


def fragments() -> list[Piece]:
    """Return three words each, in encodings of whole bytes."""
    found = []
    for language, encodings in ENCODINGS.items():
        for encoding in encodings:
            for sentence in PASSAGES[language]:
                words = encodable(sentence, encoding).split()
                groups = [" ".join(words[start : start + 3]) for start in range(0, len(words), 3)]
                found += [(language, encoding, group) for group in groups if not group.isascii()]
    return found


def measure(title: str, found: list[Piece]) -> None:
    found = [piece for piece in found if is_undecodable(*piece[1:])]
    print(f"\n{title}: {len(found)} (pieces, and how many were shown/first)")
    ranks: dict[str, list[int | None]] = {}
    for name, detector in DETECTORS.items():
        started = time.perf_counter()
        ranks[name] = []
        for _, encoding, text in found:
            data = text.encode(encoding)
            ranks[name].append(rank(data, text, detector(data)))
        seconds = time.perf_counter() - started
        shown = sum(each is not None for each in ranks[name]) / len(found)
        first = sum(each == 0 for each in ranks[name]) / len(found)
        print(
            f"{name:20} shown {shown:6.1%}  first {first:6.1%}  {seconds / len(found):.4f} s each"
        )
    kinds = [(language, encoding) for language, encoding, _ in found]
    print(f"{'':24}{'pieces':>8}" + "".join(f"{name:>20}" for name in ranks))
    for kind in dict.fromkeys(kinds):
        places = [place for place, other in enumerate(kinds) if other == kind]
        cells = ""
        for each in ranks.values():
            own = [each[place] for place in places]
            cells += f"{f'{sum(r is not None for r in own)}/{own.count(0)}':>20}"
        print(f"{kind[0]:12}{kind[1]:12}{len(places):8}{cells}")


def main() -> None:
    measure("pieces", pieces((0, 1_000, 10_000, 100_000)))
    measure("fragments", fragments())


if __name__ == "__main__":
    main()
