"""The characters a model knows, and their numbers."""

from collections.abc import Iterable
from typing import Self

from charrnn_cli.errors import FileFormatError, UnknownCharacterError
from charrnn_cli.text.similar_characters import closest


def named_character(character: str) -> str:
    """`'é' (U+00E9)`: for messages."""
    return f"{character!r} (U+{ord(character):04X})"


class Vocab:
    """Characters in the order of their ids: `characters[i]` has id i."""

    __slots__ = ("_ids", "characters")

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._ids = {character: index for index, character in enumerate(characters)}
        if len(self._ids) != len(characters):
            raise ValueError("a vocabulary holds each character once")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The vocabulary of a text: its different characters, sorted."""
        return cls("".join(sorted(set(text))))

    @classmethod
    def from_code_points(cls, raw: bytes | memoryview) -> Self:
        """From u32 little-endian code points, as the files hold them. Raises FileFormatError."""
        try:
            return cls(
                bytes(raw).decode("utf-32-le")
            )  # refuses surrogates and what lies beyond U+10FFFF
        except ValueError as error:
            raise FileFormatError(f"the vocabulary is damaged: {error}") from error

    def to_code_points(self) -> bytes:
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
        """Ids of the characters. Raises UnknownCharacterError, which names each and where it stands."""
        try:
            return [self._ids[character] for character in text]
        except KeyError:
            raise self._unknown(text) from None

    def decode(self, ids: Iterable[int]) -> str:
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
        noun = "a character" if len(first_seen) == 1 else "characters"
        likes = [(character, closest(character, self)) for character in first_seen]
        known = [f"{like!r} for {character!r}" for character, like in likes[:3] if like is not None]
        other = f"use only the model's {len(self)} characters, or --unknown skip"
        return UnknownCharacterError(
            f"{noun} the model never saw: {', '.join(named)}{more}",
            hint=f"it knows {', '.join(known)}: use --unknown closest" if known else other,
        )
