"""What can be said about each character of a text by counting, to compare with a model's units."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_cli.errors import ConfigError
from charrnn_cli.model.inspection.trace import Trace

# N characters

QUOTES = (("“", "”"), ("«", "»"), ("„", "“"), ("‘", "’"), ("`", "'"))
VOWELS = "aeiouyáéíóúàèìòùâêîôûäëïöüæøåаеёиоуыэюя"
MOST_DEPTH = 8  # of brackets that are counted
MOST_INDENTATION = 40  # spaces

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Feature:
    """A number for each character, with what came before it."""

    name: str
    values: Floats
    """After each character, (N,)."""


def compiled_patterns(patterns: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """Compile regular expressions by name; `^` and `$` match at lines. Raises ConfigError."""
    compiled = {}
    for name, pattern in patterns.items():
        try:
            compiled[name] = re.compile(pattern, re.MULTILINE)
        except re.error as error:
            raise ConfigError(f"the pattern of {name!r} is not valid: {error}") from error
    return compiled


def text_features(
    trace: Trace, patterns: Mapping[str, re.Pattern[str]] | None = None
) -> list[Feature]:
    """Return the features that vary in a text, and those of patterns by name.

    A pattern's feature is 1 inside its matches.
    """
    text = trace.text
    marks = _Marks(text, trace.starts)
    found = {
        "space": marks.where(" "),
        "new line": marks.where("\n"),
        "capital": marks.that(str.isupper),
        "vowel": marks.that(lambda each: each.lower() in VOWELS),
        "digit": marks.that(str.isdigit),
        "place in the word": _run_lengths(marks.is_letter_N),
        "place in the line": _since(marks.line_N),
        "place in the line (log)": np.log1p(_since(marks.line_N)),
        "place in the sentence (log)": np.log1p(_since(marks.sentence_N)),
        "place in the paragraph (log)": np.log1p(_since(marks.paragraph_N)),
        "indentation": marks.indentation(),
        'inside "…"': marks.inside_toggle('"'),
        **{f"inside {first}…{last}": marks.inside(first, last) for first, last in QUOTES},
        "inside (…)": marks.inside("(", ")"),
        "inside […]": marks.inside("[", "]"),
        "depth of brackets": marks.depth(),
    }
    for name, pattern in (patterns or {}).items():
        found[name] = _inside_matches(text, pattern)
    return [
        Feature(name, values_N.astype(np.float32))
        for name, values_N in found.items()
        if len(values_N) and values_N.min() < values_N.max()
    ]


class _Marks:
    """Where lines, sentences, paragraphs and words of a text are."""

    def __init__(self, text: str, starts_D: npt.NDArray[np.int64]) -> None:
        self._text = text
        self._codes_N = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        self._codes, self._inverse_N = np.unique(self._codes_N, return_inverse=True)
        self.is_letter_N = self.that(str.isalpha)
        is_line_end_N, is_start_N = self.where("\n"), np.zeros(len(text), bool)
        is_start_N[starts_D] = True
        # Offsets of the character that each place counts from; the text starts a document.
        self.line_N = _last(is_line_end_N | is_start_N)
        self.sentence_N = _last(self.that(lambda each: each in ".!?。！？") | is_start_N)
        is_blank_N = np.zeros(len(text), bool)
        is_blank_N[1:] = is_line_end_N[1:] & is_line_end_N[:-1]
        self.paragraph_N = _last(is_blank_N | is_start_N)

    def where(self, character: str) -> Mask:
        """Return the mask of a character."""
        mask_N: Mask = self._codes_N == ord(character)
        return mask_N

    def that(self, holds: Callable[[str], bool]) -> Mask:
        """Return the mask of the characters for which a function holds."""
        mask_N: Mask = np.array([holds(chr(code)) for code in self._codes], bool)[self._inverse_N]
        return mask_N

    def inside(self, first: str, last: str) -> Mask:
        """Return the mask of what stands after an opening mark, up to its closing mark.

        A paragraph begins outside. A closing mark between letters is an apostrophe.
        """
        is_end_N = self.where(last)
        if last in "'’":
            is_end_N[:-1] &= ~self.is_letter_N[1:]
        opened_N, closed_N = _last(self.where(first)), _last(is_end_N)
        mask_N: Mask = (opened_N > closed_N) & (opened_N >= self.paragraph_N)
        return mask_N if is_end_N.any() else np.zeros_like(mask_N)

    def inside_toggle(self, mark: str) -> Mask:
        """Return the mask of what stands between two equal marks; a paragraph begins outside."""
        is_mark_N = self.where(mark).astype(np.int64)
        # The first character of a document, which its paragraph counts from, may be a mark.
        counts_N = np.cumsum(is_mark_N)
        before_N = (counts_N - is_mark_N)[self.paragraph_N]
        return np.asarray((counts_N - before_N) % 2 == 1)

    def depth(self) -> npt.NDArray[np.int64]:
        """Return the number of brackets that are open; those that nothing opened count nothing."""
        steps_N = self.that(lambda each: each in "([{").astype(np.int64)
        steps_N -= self.that(lambda each: each in ")]}")
        sums_N = np.cumsum(steps_N)
        open_N = sums_N - np.minimum(np.minimum.accumulate(sums_N), 0)
        depth_N: npt.NDArray[np.int64] = np.minimum(open_N, MOST_DEPTH)
        return depth_N

    def indentation(self) -> Places:
        """Return the number of spaces and tabs that begin the line, up to each place."""
        size = len(self._text)
        is_indent_N = self.where(" ") | self.where("\t")
        others = np.append(np.where(is_indent_N, size, np.arange(size)), size)
        next_other = np.minimum.accumulate(others[::-1])[::-1]
        begin_N = self.line_N + 1
        indent_N = np.minimum(np.arange(1, size + 1), next_other[begin_N]) - begin_N
        capped_N: Places = np.minimum(indent_N, MOST_INDENTATION)
        return capped_N


def _last(is_mark_N: Mask) -> Places:
    """Return the offset of the last mark up to each place, itself included, or -1."""
    places_N: Places = np.maximum.accumulate(np.where(is_mark_N, np.arange(len(is_mark_N)), -1))
    return places_N


def _since(marks_N: Places) -> Places:
    """Return the number of characters after the last mark."""
    return np.arange(len(marks_N)) - marks_N


def _run_lengths(is_in_N: Mask) -> Places:
    """Return how many characters in a row are in a mask, up to each place, itself included."""
    return np.arange(len(is_in_N)) - _last(~is_in_N)


def _inside_matches(text: str, pattern: re.Pattern[str]) -> Mask:
    mask_N = np.zeros(len(text), bool)
    for match in pattern.finditer(text):
        mask_N[match.start() : match.end()] = True
    return mask_N
