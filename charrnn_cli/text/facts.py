"""How files become one text: the options, and what was met while reading."""

import hashlib
from dataclasses import dataclass, field


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
        return (
            self.digests[0]
            if len(self.digests) == 1
            else hashlib.sha256("".join(self.digests).encode()).hexdigest()
        )

    def add(self, other: "TextFacts") -> None:
        """Take over what was met in one more file."""
        self.num_bytes += other.num_bytes
        self.encodings += [
            encoding for encoding in other.encodings if encoding not in self.encodings
        ]
        self.byte_order_mark |= other.byte_order_mark
        self.crlf += other.crlf
        self.cr += other.cr
        self.digests += other.digests
