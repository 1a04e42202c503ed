"""What a study searches, and what all its trials share; recorded in its journal."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, DamagedFileError
from charrnn_cli.storage.source import Source
from charrnn_cli.training.tuning.rounds import Round, plan_rounds
from charrnn_cli.training.tuning.space import Dimension, Space


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySpec:
    """The task of a study."""

    source: Source
    options: Mapping[str, Any]
    """Options for reading the text that were chosen, by name."""
    settings: Mapping[str, Any]
    """Fixed settings of the model and the recipe, with the seed."""
    preset: str
    space: Space
    default: Mapping[str, Any]
    """The parameters of trial 0."""
    trials: int
    """Of the first round."""
    budget: float | None
    """Seconds for everything; None if the trials have a length of their own."""
    sha256: str
    """Of the encoded text."""
    is_whole: bool = False
    """Whether the budget is enough for a single round of whole runs."""

    @property
    def rounds(self) -> tuple[Round, ...]:
        has_budget = self.budget is not None
        return plan_rounds(self.trials, has_budget=has_budget, is_whole=self.is_whole)

    @property
    def seed(self) -> int:
        return int(self.settings["seed"])

    def to_json(self) -> dict[str, Any]:
        """Return the record of a journal, as plain values."""
        plain = {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if each.name not in ("source", "space")
        }
        space = [each.to_json() for each in self.space]
        return {**plain, "source": self.source.to_json(), "space": space}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], name: str) -> Self:
        """Read a record. Raises DamagedFileError if it is not one."""
        try:
            source = Source.from_json(raw["source"])
            space = tuple(Dimension.from_json(each) for each in raw["space"])
            options = TextOptions().replaced(raw["options"])  # raises for invalid ones
            assert options is not None
            return cls(
                **{
                    **raw,
                    # Read with the chosen options alone, as the first trial was.
                    "source": dataclasses.replace(source, options=None),
                    "space": space,
                }
            )
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise DamagedFileError(f"the journal of study {name!r} is damaged") from error
