"""Kneser-Ney smoothing with dictionaries, a formula at a time; tests compare with it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

Occurrence = tuple[tuple[int, ...], int]
"""All characters before a position in its span, and the character there."""
Counts = dict[tuple[int, ...], Counter[int]]
"""The counts of the next characters after each context of one length."""


def occurrences(spans: Sequence[Sequence[int]]) -> list[Occurrence]:
    """Return all characters but the first of each span."""
    return [(tuple(span[:at]), span[at]) for span in spans for at in range(1, len(span))]


@dataclass
class SlowModel:
    """Counts of every order, and discounts, which may be those of other counts."""

    size: int
    counts: list[Counts]
    discounts: list[list[float]]

    def probability(self, past: tuple[int, ...], target: int) -> float:
        """Return the probability of a character after others, the nearest last."""
        q = 1 / self.size
        for length, (counts, discounts) in enumerate(zip(self.counts, self.discounts, strict=True)):
            following = counts.get(past[len(past) - length :]) if length <= len(past) else None
            if not following:
                break
            total = sum(following.values())
            reserved = sum(discounts[min(count, 3)] for count in following.values())
            count = following[target]
            q = (count - discounts[min(count, 3)] + reserved * q) / total
        return q


def slow_model(
    found: Sequence[Occurrence], order: int, size: int, discounts: list[list[float]] | None = None
) -> SlowModel:
    """Count occurrences, and estimate the discounts unless they are given."""
    counts = [
        count_occurrences(found, length)
        if length == order - 1
        else count_continuations(found, length)
        for length in range(order)
    ]
    return SlowModel(size, counts, discounts or [estimate(each) for each in counts])


def count_occurrences(found: Sequence[Occurrence], length: int) -> Counts:
    """Count the characters after each context of a length."""
    counts: Counts = defaultdict(Counter)
    for past, target in found:
        if length <= len(past):
            counts[past[len(past) - length :]][target] += 1
    return counts


def count_continuations(found: Sequence[Occurrence], length: int) -> Counts:
    """Count the different characters before each pair, and its occurrences at a span's start."""
    counts: Counts = defaultdict(Counter)
    seen = set()
    for past, target in found:
        if length > len(past):
            continue
        longer = (past[-length - 1 :], target)
        if length == len(past) or longer not in seen:
            counts[past[len(past) - length :]][target] += 1
        if length < len(past):
            seen.add(longer)
    return counts


def estimate(counts: Counts) -> list[float]:
    """Return the discounts of the counts 0, 1, 2, and 3 or more."""
    of_counts = Counter(count for following in counts.values() for count in following.values())
    n = [of_counts[count] for count in range(5)]
    share = n[1] / (n[1] + 2 * n[2]) if n[1] + n[2] else 0
    discounts = [0.0]
    for j in (1, 2, 3):
        d = j - (j + 1) * share * n[j + 1] / n[j] if n[j] else 0
        discounts.append(d if 0 < d <= j else j / 2)
    return discounts
