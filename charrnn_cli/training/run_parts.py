"""Parts of a run's texts, read and split as the run did, in the rows of its evaluations."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import ConfigError, MismatchError, TextError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.settings import fields_of
from charrnn_cli.storage.runs import Run
from charrnn_cli.text.corpus import Corpus, ProgressCallback
from charrnn_cli.text.held_out import held_out_of
from charrnn_cli.text.rows import Span
from charrnn_cli.text.splits import Split, matching_rows, split_corpus, split_text
from charrnn_cli.training.evaluation_plan import evenly_spread, train_rows
from charrnn_cli.training.job_text import with_held_out
from charrnn_cli.training.own_text import read_own_text

Part = Literal["train", "val", "test"]

_HINT = "restore it, or pass another text instead of --split"


@dataclass(frozen=True, slots=True)
class PartText:
    """A part of a run's texts."""

    corpus: Corpus
    split: Split
    rows: Sequence[Span]
    """The rows that are read."""
    part_characters: int
    """Characters of the whole part."""

    @property
    def characters(self) -> int:
        """Characters that are read."""
        return sum(stop - start for start, stop in self.rows)


def read_part(
    run: Run, name: str, checkpoint: Checkpoint, part: Part, progress: ProgressCallback
) -> PartText:
    """Read the texts of a checkpoint's run again, and split them as the run did.

    The rows are those of the run's evaluations; all of a test text is read. `name` is the
    checkpoint's reference, for messages. Raises ConfigError for a part that the run does not have,
    TextError if a text is gone or was never recorded, MismatchError if one has changed,
    FileFormatError, StorageError.
    """
    source, corpus = read_own_text(run, name, checkpoint, progress, _HINT)
    if source.missing_held_out is not None:
        raise TextError(
            f"a held-out text of {name} no longer exists: {source.missing_held_out}", hint=_HINT
        )
    corpus, data = with_held_out(corpus, source, progress), checkpoint.data
    held_out = held_out_of(corpus)
    _check_same(name, held_out.val_sha256, data.val_sha256, source.val)
    _check_same(name, held_out.test_sha256, data.test_sha256, source.test)
    split = split_corpus(corpus, recipe_of(checkpoint))
    return PartText(corpus, split, *_rows(checkpoint, name, corpus, split, part))


def _rows(
    checkpoint: Checkpoint, name: str, corpus: Corpus, split: Split, part: Part
) -> tuple[Sequence[Span], int]:
    """Return the rows of a part, and the characters of the whole part."""
    count = recipe_of(checkpoint).val_rows or len(split.val)
    match part:
        case "test":
            if not split.test:
                raise _without(name, "a test text", "--test FILE")
            return split.test, split.test_characters
        case "val":
            if not split.val:
                raise _without(name, "a validation text", "--val FILE")
            return evenly_spread(split.val, count), split.val_characters
        case "train":
            if split.val:
                rows = matching_rows(split)
                return train_rows(rows, split.val_characters, count), split.train_characters
            return matching_rows(_with_rows(corpus, split)), split.train_characters


def _with_rows(corpus: Corpus, split: Split) -> Split:
    """Return a split without validation, with as many rows as it would have by default."""
    fraction = TrainConfig().val_fraction
    if split.whole_documents:
        val = split.train[: max(1, int(fraction * len(split.train)))]
    else:
        val = split_text(len(corpus), fraction, "tail").val
    return dataclasses.replace(split, val=val)


def recipe_of(checkpoint: Checkpoint) -> TrainConfig:
    """Return the recorded recipe, without settings that this version does not know."""
    known = fields_of(TrainConfig)
    return TrainConfig.from_json({k: v for k, v in checkpoint.train.items() if k in known})


def _without(name: str, what: str, option: str) -> ConfigError:
    return ConfigError(f"the run of {name} has no {what[2:]}", hint=f"train with {option}")


def _check_same(name: str, found: str | None, recorded: str | None, path: Path | None) -> None:
    """Raise MismatchError if a held-out text is not the one that was recorded."""
    if found != recorded:
        raise MismatchError(
            f"{path or 'a held-out text'} has changed since {name} was trained", hint=_HINT
        )
