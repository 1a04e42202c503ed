"""Runs with all that a comparison shows of them, measured again on their validation texts."""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.phases import Phases
from charrnn_cli.config import CHECKPOINTS, DISPLAY, TrainConfig
from charrnn_cli.errors import (
    ConfigError,
    FileFormatError,
    MismatchError,
    StorageError,
    TextError,
    UnknownCharacterError,
)
from charrnn_cli.settings import about, fields_of
from charrnn_cli.storage.metrics_log import read_metrics
from charrnn_cli.storage.references import choose
from charrnn_cli.storage.runs import Run

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.row_losses import RowLosses
    from charrnn_cli.text.corpus import Corpus
    from charrnn_cli.training.run_parts import Part, PartText

SEED = 1  # of the samples that are compared with the text
# Multiplications on validation text: about ten seconds on one core.
MOST_WORK = 2e11
_UNCOMPARED = {"val_rows", "eval_every", "replanned_at", "replanned_from"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedRun:
    """The best checkpoint of a run, and what it does on the run's own text."""

    run: str
    step: int
    parameters: int
    recorded: float | None
    """The validation loss in the header, nats per character."""
    seconds: float | None
    """Wall time of the run; None if it is not recorded."""
    settings: dict[str, Any]
    losses: "RowLosses | None"
    """On the rows of validation text; None if they cannot be read again."""
    noise: float | None
    """Standard error of the loss over these rows."""
    characters: int
    """Characters of validation text that were read."""
    part_characters: int
    """Characters of the whole validation text."""
    rows_sha256: str
    """Digest of the characters that were read, whatever their ids."""
    copied: float | None
    """Fraction of a sample, or of sampled items, that stands in the training text."""
    problem: str | None = None
    """Why nothing was measured again."""

    @property
    def loss(self) -> float | None:
        """Nats per character: measured again or, where that is not possible, recorded."""
        return self.recorded if self.losses is None else self.losses.mean


def compare_runs(
    runs: Sequence[Run],
    stop: StopRequest,
    most_work: float = MOST_WORK,
    copy_seconds: float = math.inf,
    *,
    deadline: float = math.inf,
    quiet: bool = False,
) -> list[ComparedRun]:
    """Measure the best checkpoint of every run. torch is not imported.

    The last runs are left out if measuring them would probably end after the deadline, on
    `time.monotonic`'s clock.

    `most_work` limits the multiplications on the validation text of each run, and `copy_seconds`
    the time in which samples are drawn to be compared with its text.
    Raises NotFoundError, FileFormatError, StorageError, InterruptionError.
    """
    from charrnn_cli.model.checkpoint import load_checkpoint

    # Rows are compared only if all models read the same characters of them.
    loaded = [load_checkpoint(run.reference(choose(run, "").step)) for run in runs]
    costs = [max(1, each.model.multiplications) for each in loaded]
    characters = most_work / max(costs, default=1)
    found, longest = list[ComparedRun](), 0.0
    for run, checkpoint in zip(runs, loaded, strict=True):
        before = time.monotonic()
        if before + longest > deadline:
            break
        with Phases(stop, quiet=quiet) as phases:
            found.append(_compared(run, checkpoint, characters, copy_seconds, phases))
        longest = max(longest, time.monotonic() - before)
    return found


def say_reading(runs: Sequence[ComparedRun]) -> None:
    """Say which runs were not measured, and how much of a long validation text was read."""
    for each in runs:
        if each.problem is not None:
            console.say("note", f"{each.run}: {each.problem}; its loss is the recorded one")
    parts = {
        (each.characters, each.part_characters)
        for each in runs
        if each.losses is not None and each.characters < each.part_characters
    }
    for read, whole in sorted(parts):
        console.say(
            "note",
            f"losses on {read:,} of {format_count(whole, 'character')} of validation text: "
            "the beginning of every row",
        )


def _compared(
    run: Run,
    checkpoint: "Checkpoint",
    most_characters: float,
    copy_seconds: float,
    phases: Phases,
) -> ComparedRun:
    losses: RowLosses | None = None
    noise, copied, problem, digest = None, None, None, ""
    characters = part_characters = 0
    try:
        phases.announce(f"reading the text of {run.name}")
        text, known = _own_text(run, checkpoint, phases)
        if checkpoint.val_loss is not None:
            losses, digest, characters = _measured(
                run, checkpoint, text, known, most_characters, phases
            )
            part_characters = text.part_characters
            noise = _standard_error(losses)
        phases.announce(f"comparing samples of {run.name} with its text")
        copied = _copied(checkpoint, known, copy_seconds)
    except MismatchError:
        problem = "its text has changed since it was trained on"
    except (TextError, StorageError, ConfigError, UnknownCharacterError) as error:
        problem = error.message
    except FileFormatError:
        problem = "its text cannot be read"
    return ComparedRun(
        run=run.name,
        step=checkpoint.step,
        parameters=checkpoint.model.num_parameters,
        recorded=checkpoint.val_loss,
        seconds=_seconds(run),
        settings=_settings(checkpoint),
        losses=losses,
        noise=noise,
        characters=characters,
        part_characters=part_characters,
        rows_sha256=digest,
        copied=copied,
        problem=problem,
    )


def _own_text(run: Run, checkpoint: "Checkpoint", phases: Phases) -> "tuple[PartText, Corpus]":
    """Return a run's text and, in the ids of the model, the whole text."""
    from charrnn_cli.model.reading import in_model_vocabulary
    from charrnn_cli.training.run_parts import read_part

    part: Part = "train" if checkpoint.val_loss is None else "val"
    text = read_part(run, run.name, checkpoint, part, phases.progress)
    return text, in_model_vocabulary(text.corpus, checkpoint)


def _measured(
    run: Run,
    checkpoint: "Checkpoint",
    text: "PartText",
    known: "Corpus",
    most_characters: float,
    phases: Phases,
) -> "tuple[RowLosses, str, int]":
    """Return the losses on all validation rows, a digest of their characters, and their number."""
    from charrnn_cli.model.row_losses import beginnings, row_losses
    from charrnn_cli.model.scoring import NumpyPredictor

    rows = beginnings(text.split.val, most_characters)
    phases.announce(f"scoring {run.name}")
    losses = row_losses(NumpyPredictor(checkpoint), text.corpus, rows, phases.progress)
    digest = hashlib.sha256()
    for start, stop in rows:
        digest.update(known.vocab.decode(text.corpus.read(start, stop).tolist()).encode())
        digest.update(b"\xff")  # in no UTF-8 text: rows of other lengths have another digest
    return losses, digest.hexdigest(), sum(stop - start for start, stop in rows)


def _standard_error(losses: "RowLosses") -> float | None:
    from charrnn_cli.model.noise import standard_error

    return standard_error(losses)


def _copied(checkpoint: "Checkpoint", known: "Corpus", seconds: float) -> float:
    """Return how much of a sample stands in the text, as the report of a run says it."""
    from charrnn_cli.model.memorized_items import compare_items
    from charrnn_cli.model.memorized_samples import compare_samples
    from charrnn_cli.model.reading import has_items

    if has_items(checkpoint):
        items = compare_items(checkpoint, known, SEED, seconds)
        return items.known / max(1, items.items)
    return compare_samples(checkpoint, known, [(0, len(known))], SEED, seconds).share


def _seconds(run: Run) -> float | None:
    header = run.resume_header()
    if header is not None:
        return header.progress.seconds
    evaluations = read_metrics(run.metrics_path).evaluations
    return evaluations[-1].seconds if evaluations else None


def _settings(checkpoint: "Checkpoint") -> dict[str, Any]:
    """Return the settings that may change what a run learns, and the name of its text."""
    recipe = {
        name: checkpoint.train.get(name)
        for name, each in fields_of(TrainConfig).items()
        if about(each).group not in {CHECKPOINTS, DISPLAY} and name not in _UNCOMPARED
    }
    model = checkpoint.model.to_json()
    data = {
        "text": checkpoint.data.name,
        "init_from": checkpoint.data.init_from,
        "text_sha256": checkpoint.data.sha256[:16],
    }
    return data | {name: model[name] for name in fields_of(ModelConfig)} | recipe
