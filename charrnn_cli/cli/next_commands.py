"""Commands to suggest after a run."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from charrnn_cli.architecture import automatic_ngram
from charrnn_cli.storage.source import Source
from charrnn_cli.training.command_line import source_words, train_command

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


def command_to_try(job: "TrainingJob", source: Source, change: Mapping[str, float]) -> str:
    """Return this run's command with a change; settings chosen on this machine stay open."""
    if "size" in change:  # the initial checkpoint has another size
        source = dataclasses.replace(source, init_from=None, unknown="error")
    decided = ["seed"]
    if job.first_step:
        decided += ["device", "precision", "threads", "eval_every"]
    wanted = {**job.config.to_json(), **dict.fromkeys(decided), **change}
    model = {**job.model.to_json(), **change, "ngram": job.requested_ngram}
    if source.init_from is not None:  # sets the architecture
        model = {"ngram": job.requested_ngram}
    if job.requested_ngram == automatic_ngram(job.model.vocabulary_size):
        del model["ngram"]
    return train_command(model, wanted, source_words(source))
