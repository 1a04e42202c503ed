"""How files become one text: the options, and what was met while reading."""

import codecs
import hashlib
from dataclasses import dataclass, field
from typing import Literal

from charrnn_cli.config import Settings
from charrnn_cli.errors import TextError

Newlines = Literal["normalize", "keep"]
Errors = Literal["strict", "replace", "ignore"]
Normalize = Literal["none", "nfc", "nfkc"]
_NOT_STREAMS = {"idna", "punycode"}  # host names


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOptions(Settings):
    """How files become one text."""

    encoding: str = "utf-8"
    """Used unless a byte order mark says otherwise."""
    errors: Errors = "strict"
    """What cannot be decoded is an error, or becomes U+FFFD, or is left out."""
    newlines: Newlines = "normalize"
    """`normalize` turns \\r\\n and \\r into \\n, as reading a file in Python does."""
    normalize: Normalize = "none"
    """Unicode's composed form, or its compatibility form, which makes wide and ligature forms plain."""
    separator: str = ""
    """Stands between two documents; without one the model starts afresh with each."""
    min_count: int = 1
    """Characters that occur less often become U+FFFD."""
    include: str = "*"
    """Pattern of the files that are taken from a directory."""

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        try:
            "".encode(self.encoding)
            codecs.getincrementaldecoder(self.encoding)("strict").decode(b"")
            if codecs.lookup(self.encoding).name in _NOT_STREAMS:
                raise LookupError
        except (LookupError, TypeError, ValueError) as error:
            raise TextError(
                f"unknown encoding {self.encoding!r}",
                hint="for example utf-8, latin-1, cp1252, shift_jis, gb18030",
            ) from error

    def _problems(self) -> list[str | None]:
        return [f"min count must be at least 1; got {self.min_count}" if self.min_count < 1 else None]


@dataclass(slots=True)
class TextFacts:
    """What was met while reading; complete once all was read to its end."""

    num_bytes: int = 0
    """Of the files, compressed where they are."""
    encodings: list[str] = field(default_factory=list)
    """Different ones, in the order in which they were met."""
    byte_order_mark: bool = False
    crlf: int = 0
    """Windows line ends, `\\r\\n`, that became `\\n`."""
    cr: int = 0
    """Lone `\\r` that became `\\n`."""
    digests: list[str] = field(default_factory=list)
    """SHA-256 of each file's bytes, decompressed."""

    @property
    def encoding(self) -> str:
        return ", ".join(self.encodings)

    @property
    def sha256(self) -> str:
        """Of one file's bytes; of several, of their digests."""
        return self.digests[0] if len(self.digests) == 1 else hashlib.sha256("".join(self.digests).encode()).hexdigest()

    def add(self, other: "TextFacts") -> None:
        """Take over what was met in one more file."""
        self.num_bytes += other.num_bytes
        self.encodings += [encoding for encoding in other.encodings if encoding not in self.encodings]
        self.byte_order_mark |= other.byte_order_mark
        self.crlf += other.crlf
        self.cr += other.cr
        self.digests += other.digests
