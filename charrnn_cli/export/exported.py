"""The content of an exported file."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Exported:
    """The content of an exported file."""

    data: bytes
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of its largest parts, by name."""
    note: str = ""
    """What a user of the file must know; empty for most."""
