"""What can be said of the difference between two compared runs."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from charrnn_cli.cli.compared_runs import ComparedRun

if TYPE_CHECKING:
    from charrnn_cli.model.noise import Difference

Verdict = Literal["distinguishable", "not distinguishable", "not comparable"]


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Two runs, and how far apart their losses are."""

    first: ComparedRun
    second: ComparedRun
    difference: "Difference"
    seed_noise: float
    """How far another seed alone moves a loss, in nats per character."""

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is more than chance, where losses can be compared at all."""
        if self._has_other_text:
            return "not comparable"
        is_clear = self.difference.is_clear(self.seed_noise)
        return (
            "distinguishable"
            if is_clear and not _is_same_recipe(self.first, self.second)
            else "not distinguishable"
        )

    @property
    def reason(self) -> str | None:
        """Why the interval alone does not decide."""
        if self._has_other_text:
            return "their texts differ"
        if _is_same_recipe(self.first, self.second):
            return "they differ in nothing but the seed"
        if self.difference.excludes_zero and self.verdict == "not distinguishable":
            return f"another seed moves a loss by up to {self.seed_noise:.3f}"
        return None if self.difference.is_paired else "their validation texts differ"

    @property
    def _has_other_text(self) -> bool:
        one, other = self.first.settings, self.second.settings
        has_same_text = one.get("text_sha256") == other.get("text_sha256")
        return not self.difference.is_paired and not has_same_text


def pairs_of(runs: Sequence[ComparedRun]) -> list[ComparedPair]:
    """Compare the losses of all pairs of runs that were measured on several rows."""
    from charrnn_cli.model.noise import SEED_NOISE, difference

    found = [
        (
            one,
            other,
            difference(one.losses, other.losses, is_paired=one.rows_sha256 == other.rows_sha256),
        )
        for one, other in itertools.combinations(runs, 2)
        if one.losses is not None and other.losses is not None
        if one.noise is not None and other.noise is not None
    ]
    # Where seeds were tried, their own differences tell more than a constant.
    seeds = [abs(apart.mean) for one, other, apart in found if _is_same_recipe(one, other)]
    seed_noise = max([SEED_NOISE, *seeds])
    return [ComparedPair(*each, seed_noise) for each in found]


def _is_same_recipe(one: ComparedRun, other: ComparedRun) -> bool:
    """Return whether the seed is the only setting that differs, if any does."""
    return set(differing_settings([one, other])) <= {"seed"}


def differing_settings(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the names of the settings that differ between runs."""
    names = dict.fromkeys(name for each in runs for name in each.settings)
    first = runs[0].settings
    return [
        name
        for name in names
        if any(each.settings.get(name) != first.get(name) for each in runs[1:])
    ]
