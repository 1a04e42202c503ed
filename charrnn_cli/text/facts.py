"""Facts about the files of a text, collected while reading them."""

import hashlib
from dataclasses import dataclass, field

IS_EMPTY = "is empty"
_WAS_READ, _IS_A_COPY = "was read already", "is a copy of"


def copy_of(earlier: str, name: str) -> str:
    """Return the reason to skip a file that has the content of an earlier one."""
    return _WAS_READ if name == earlier else f"{_IS_A_COPY} {earlier}"


def is_loss(reason: str) -> bool:
    """Return whether a file that was skipped for this reason may hold text that was not read."""
    return not reason.startswith((IS_EMPTY, _WAS_READ, _IS_A_COPY))


@dataclass(slots=True)
class TextFacts:
    """Facts about one or more files; complete after all of them have been read."""

    num_bytes: int = 0
    """Size of the files, before decompression."""
    encodings: list[str] = field(default_factory=list)
    """Encoding of each file."""
    marks: list[bool] = field(default_factory=list)
    """Whether each file starts with a byte order mark."""
    crlf: int = 0
    """Number of `\\r\\n` (Windows line ends) that became `\\n`."""
    crcrlf: int = 0
    """Number of `\\r\\r\\n` (Windows line ends converted twice) that became `\\n`."""
    cr: int = 0
    """Number of lone `\\r` that became `\\n`."""
    is_web_page: bool = False
    """Whether a file begins as a web page does, but is not named like one."""
    digests: list[str] = field(default_factory=list)
    """SHA-256 of each file's decompressed bytes, in hexadecimal."""

    @property
    def encoding(self) -> str:
        """Names of the distinct encodings in order of first use, separated by commas."""
        return ", ".join(dict.fromkeys(self.encodings))

    @property
    def byte_order_mark(self) -> bool:
        """Whether a file starts with a byte order mark."""
        return any(self.marks)

    @property
    def sha256(self) -> str:
        """SHA-256 of a single file, or SHA-256 of several files' joined digests."""
        return (
            self.digests[0]
            if len(self.digests) == 1
            else hashlib.sha256("".join(self.digests).encode()).hexdigest()
        )

    def add(self, other: "TextFacts") -> None:
        """Add the facts about one more file."""
        self.num_bytes += other.num_bytes
        self.encodings += other.encodings
        self.marks += other.marks
        self.crlf += other.crlf
        self.crcrlf += other.crcrlf
        self.cr += other.cr
        self.is_web_page |= other.is_web_page
        self.digests += other.digests
