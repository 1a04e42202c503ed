"""Commands to suggest after a run."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from charrnn_cli.architecture import automatic_ngram
from charrnn_cli.config import MODEL, OPTIMIZATION, SYSTEM, TrainConfig
from charrnn_cli.settings import about, fields_of
from charrnn_cli.shell import path_word
from charrnn_cli.storage.source import Source, is_read_once
from charrnn_cli.training.command_line import source_words, train_command
from charrnn_cli.training.diagnosis import Diagnosis, Remedy

if TYPE_CHECKING:
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.resume import ResumePoint


def option_to_continue(point: "ResumePoint") -> str:
    """Return the option with which a finished run continues."""
    from charrnn_cli.training.resume import needed_patience

    needed, recorded = needed_patience(point), point.snapshot.checkpoint.train
    if needed is not None:
        return f"--patience {max(needed, 2 * recorded['patience'])}"
    return f"--max-steps {max(2 * point.step, recorded['max_steps'] or 0)}"


def try_facts(
    job: "TrainingJob", diagnosis: Diagnosis | None, *, seconds: float, to_continue: str = ""
) -> list[tuple[str, str]]:
    """Return the command that a diagnosis of a run suggests, if any, under its label.

    `seconds` are those that the run takes, and `to_continue` has the words that make a finished run
    go on.
    """
    source = job.source
    if source is None or diagnosis is None:
        return []
    match diagnosis.remedy:
        case Remedy.CHANGE:
            command = _with_change(job, source, diagnosis.change)
        case Remedy.REPLAN:
            limit = job.config.max_time or 10 * math.ceil(seconds / 10)
            command = command_for_time(job, source, limit)
        case Remedy.CONTINUE:
            texts = [path_word(str(path)) for path in source.paths if is_read_once(path)]
            command = " ".join(["charrnn train", *texts, to_continue])
        case Remedy.NONE:
            return []
    return [("try", command)]


def _with_change(job: "TrainingJob", source: Source, change: Mapping[str, Any]) -> str:
    """Return a run's command with a change; settings chosen on this machine stay open."""
    decided = ["seed"]
    if job.first_step:
        decided += ["device", "precision", "threads", "eval_every"]
    wanted = {**job.config.to_json(), **dict.fromkeys(decided), **change}
    model = {**job.model.to_json(), "ngram": job.requested_ngram, **change}
    if "init_from" in change:
        source = dataclasses.replace(source, init_from=change["init_from"], unknown="extend")
        wanted |= dict.fromkeys(("lr", "dropout", "epochs", "max_steps", "weight_decay"))
    if source.init_from is not None:  # sets the architecture
        model = {"ngram": job.requested_ngram}
    if model["ngram"] == automatic_ngram(job.model.vocabulary_size):
        del model["ngram"]
    return train_command(model, wanted, source_words(source))


def command_for_time(job: "TrainingJob", source: Source, limit: float) -> str:
    """Return the command that lets a time limit, in seconds, choose the model and the recipe."""
    kept = {
        name: getattr(job.config, name)
        for name, each in fields_of(TrainConfig).items()
        if about(each).group not in {MODEL, OPTIMIZATION, SYSTEM}
    }
    wanted = {**kept, "eval_every": None, "max_time": limit}
    return train_command({}, wanted, source_words(source))
