"""The characters of a text or a model, and their ids."""

from collections.abc import Iterable, Sequence
from typing import Self

from charrnn_cli.errors import FileFormatError, UnknownCharacterError
from charrnn_cli.text.character_names import named_character


def named_characters(characters: Sequence[str], number: int = 5) -> str:
    """Name the first of several characters: `'é' (U+00E9), 'ß' (U+00DF) and 3 more`."""
    named = ", ".join(map(named_character, characters[:number]))
    more = f" and {len(characters) - number:,} more" if len(characters) > number else ""
    return f"{named}{more}"


class Vocab:
    """Characters in the order of their ids: `characters[i]` has id i.

    Raises ValueError if a character occurs twice.
    """

    __slots__ = ("_ids", "characters")

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._ids = {character: index for index, character in enumerate(characters)}
        if len(self._ids) != len(characters):
            raise ValueError("a character occurs twice in the vocabulary")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Make the vocabulary of a text: its distinct characters, sorted."""
        return cls("".join(sorted(set(text))))

    @classmethod
    def from_code_points(cls, raw: bytes | memoryview) -> Self:
        """Read code points in u32 little-endian, as stored in files. Raises FileFormatError."""
        try:
            # The decoder refuses surrogates and numbers above U+10FFFF.
            return cls(bytes(raw).decode("utf-32-le"))
        except ValueError as error:
            raise FileFormatError(f"the vocabulary is damaged: {error}") from error

    def to_code_points(self) -> bytes:
        """Return the code points in u32 little-endian, as stored in files."""
        return self.characters.encode("utf-32-le")

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: object) -> bool:
        return character in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and other.characters == self.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        return f"Vocab({self.characters!r})"

    def encode(self, text: str) -> list[int]:
        """Return the ids of the characters.

        Raises UnknownCharacterError with the unknown characters and their positions.
        """
        try:
            return [self._ids[character] for character in text]
        except KeyError:
            raise self._unknown(text) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Return the characters of the ids. Raises IndexError for an id beyond the last."""
        return "".join([self.characters[index] for index in ids])

    def _unknown(self, text: str) -> UnknownCharacterError:
        first_seen: dict[str, int] = {}
        for position, character in enumerate(text, start=1):
            if character not in self._ids:
                first_seen.setdefault(character, position)
        named = [
            f"{named_character(character)} at position {position}"
            for character, position in list(first_seen.items())[:3]
        ]
        more = f" and {len(first_seen) - 3} more" if len(first_seen) > 3 else ""
        return UnknownCharacterError(
            f"the vocabulary lacks {', '.join(named)}{more}",
            hint=f"use only its {len(self)} characters",
        )
