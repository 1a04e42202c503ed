"""What a sample and a text have in common, against the plain definition."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.model import memorization
from charrnn_cli.model.memorization import find_memorized
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.window_hashes import window_hashes

AB = st.text("ab", min_size=1, max_size=40)


def longest_shared(sample: str, text: str) -> int:
    return max(
        (
            stop - start
            for start in range(len(sample))
            for stop in range(start + 1, len(sample) + 1)
            if sample[start:stop] in text
        ),
        default=0,
    )


def share_copied(sample: str, text: str, span: int) -> float:
    covered = {
        where
        for start in range(len(sample) - span + 1)
        if sample[start : start + span] in text
        for where in range(start, start + span)
    }
    return len(covered) / len(sample)


@given(AB, AB, st.integers(1, 8), st.integers(1, 9), st.integers(0, 3))
def test_the_definition(sample: str, text: str, span: int, piece: int, intervals: int) -> None:
    """Length, place and share are right for texts of two letters, read in pieces of any size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memorization, "SPAN", span)
        patch.setattr(memorization, "PIECE_CHARACTERS", piece)
        patch.setattr(memorization, "_MAX_INTERVALS", intervals)
        copied = find_memorized(sample, Corpus.from_text(text))
    assert copied.longest == longest_shared(sample, text)
    assert copied.share == pytest.approx(share_copied(sample, text, span))
    span_found = sample[copied.sample_start : copied.sample_start + copied.longest]
    assert text[copied.text_start : copied.text_start + copied.longest] == span_found


@given(st.lists(st.integers(0, 2**21), max_size=20), st.integers(1, 21))
def test_the_hash_of_a_window(ids: list[int], length: int) -> None:
    """A window's hash is the polynomial of its ids, each increased by one, modulo 2^64."""
    base = int(window_hashes(np.zeros(2, np.uint64), 2)[0]) - 1
    expected = []
    for start in range(len(ids) - length + 1):
        value = 0
        for each in ids[start : start + length]:
            value = (value * base + each + 1) % 2**64
        expected.append(value)
    assert window_hashes(np.array(ids, np.uint64), length).tolist() == expected


def test_a_long_copy_is_found() -> None:
    """A long span is found in both texts, and characters that the text lacks end it."""
    text = "".join(chr(97 + (index * index) % 26) + str(index) for index in range(5000))
    sample = "é" * 100 + text[7000:7300] + "é" * 100
    copied = find_memorized(sample, Corpus.from_text(text))
    assert (copied.longest, copied.sample_start, copied.text_start) == (300, 100, 7000)
    assert copied.share == pytest.approx(300 / 500)


def test_unknown_characters_are_not_shared() -> None:
    """Characters that the text lacks are never part of a shared span."""
    copied = find_memorized("é" * 50, Corpus.from_text("abc" * 50))
    assert (copied.longest, copied.share) == (0, 0)


@pytest.mark.parametrize("copied", [0, 40, 20_000])
def test_memory_does_not_grow_with_the_copy(copied: int) -> None:
    """Many short copies and one long one take no more memory than a sample without any."""
    text = "".join(f"{number * number % 9973} " for number in range(200_000))
    spans = [text[start : start + copied] for start in range(1000, 41_000, copied or 40_000)]
    sample = "x".join(spans).ljust(40_000, "x")
    corpus = Corpus.from_text(text)
    tracemalloc.start()
    found = find_memorized(sample, corpus)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.longest >= copied
    assert peak < 32 << 20
