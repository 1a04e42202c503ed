"""Commands to suggest after a run."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.architecture import automatic_ngram
from charrnn_cli.config import MODEL, OPTIMIZATION, TrainConfig
from charrnn_cli.errors import InterruptionError
from charrnn_cli.events import TrainingFinished
from charrnn_cli.settings import about, fields_of, option_name
from charrnn_cli.shell import path_word
from charrnn_cli.storage.source import Source, is_read_once
from charrnn_cli.training.command_line import source_words, train_command
from charrnn_cli.training.diagnosis import Diagnosis, Remedy
from charrnn_cli.training.recipe import automatic_embed

if TYPE_CHECKING:
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.resume import ResumePoint

AFRESH = "none"  # as `--init-from`: start from random weights, whatever the text


def option_to_continue(point: "ResumePoint") -> str:
    """Return the option with which a finished run continues."""
    from charrnn_cli.training.resume import needed_patience

    needed, recorded = needed_patience(point), point.snapshot.checkpoint.train
    if needed is not None:
        return f"--patience {max(needed, 2 * recorded['patience'])}"
    return f"--max-steps {max(2 * point.step, recorded['max_steps'] or 0)}"


def complete_facts(
    point: "ResumePoint", settings: Mapping[str, Any], texts: Sequence[Path]
) -> list[tuple[str, str]]:
    """Say that nothing is left to do in a run, and how it continues."""
    name, max_steps = point.run.name, settings.get("max_steps")
    state = "already" if max_steps is not None and max_steps < point.step else "complete"
    words = ["charrnn train", *(path_word(str(path)) for path in texts), "--resume", name]
    return [
        ("done", f"run {name} is {state} at step {point.step:,}"),
        ("next", " ".join([*words, option_to_continue(point)])),
    ]


def try_facts(
    job: "TrainingJob",
    diagnosis: Diagnosis | None,
    *,
    seconds: float,
    starts_afresh: bool,
    to_continue: str = "",
) -> list[tuple[str, str]]:
    """Return the command that a diagnosis of a run suggests, if any, under its label.

    `seconds` are those that the run takes, `starts_afresh` says whether `--init-from none` was
    typed, and `to_continue` has the words that make a finished run go on.
    """
    source = job.source
    if source is None or diagnosis is None:
        return []
    match diagnosis.remedy:
        case Remedy.CHANGE if "init_from" in diagnosis.change:
            start = diagnosis.change["init_from"]
            source = dataclasses.replace(source, init_from=start, unknown="extend")
            command = command_for_time(job, source, job.config.max_time)
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
    start_option = option_name("init_from")
    if starts_afresh and not {start_option, option_name("resume")} & set(command.split()):
        command += f" {start_option} {AFRESH}"
    return [("try", command)]


def words_to_continue(job: "TrainingJob", finished: TrainingFinished) -> str:
    """Return the options with which a run that has just finished goes on."""
    more = f"--max-steps {2 * finished.step}"
    if finished.reason == "patience":
        more = f"--patience {2 * (job.config.patience or 1)}"
    return f"--resume {finished.run} {more}"


def _with_change(job: "TrainingJob", source: Source, change: Mapping[str, Any]) -> str:
    """Return a run's command with a change; settings chosen on this machine stay open."""
    wanted = {**job.config.to_json(), "seed": None, "batch_size": job.requested_batch_size}
    wanted |= {**_not_typed(job), **change}
    model = {**job.model.to_json(), "ngram": job.requested_ngram, **change}
    if source.init_from is not None:  # sets the architecture
        model = {"ngram": model["ngram"]}
    automatic = {
        "ngram": automatic_ngram(job.model.vocabulary_size),
        "embed": automatic_embed(job.model.vocabulary_size),
    }
    model = {name: value for name, value in model.items() if value != automatic.get(name)}
    return train_command(model, wanted, source_words(source))


def command_for_time(job: "TrainingJob", source: Source, limit: float | None) -> str:
    """Return the command that lets a time limit, in seconds, choose the model and the recipe.

    With a checkpoint to start from, this chooses them, and the limit may be open.
    """
    kept = {
        name: getattr(job.config, name)
        for name, each in fields_of(TrainConfig).items()
        if about(each).group not in {MODEL, OPTIMIZATION}
    }
    wanted = {**kept, "seed": None, "eval_every": None, "max_time": limit}
    return train_command({}, wanted | _not_typed(job), source_words(source))


def _not_typed(job: "TrainingJob") -> dict[str, None]:
    """Return settings that a resumed run has, but that were chosen on this machine."""
    chosen = ("device", "precision", "threads", "eval_every") if job.first_step else ()
    return dict.fromkeys(chosen)


def command_to_sample(run: str, *, has_items: bool) -> str:
    """Return the command that writes what a run has learned: some items, or a text."""
    return f"charrnn sample {run} {'--count 20' if has_items else '-n 2000'}"


def interruption(event: TrainingFinished, signum: int) -> InterruptionError:
    """Return the error of a run that a signal has stopped, with the command that resumes it."""
    if event.step == 0:
        return InterruptionError("stopped before the first step", signum=signum)
    return InterruptionError(
        f"stopped at step {event.step}, saved {event.run}@{event.step}",
        signum=signum,
        hint=f"charrnn train --resume {event.run}",
    )
