"""The scale of a run: the losses of simple models on its text."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from charrnn_cli.cli.terminal.formats import format_scale
from charrnn_cli.cli.terminal.phases import Phases
from charrnn_cli.cli.terminal.run_facts import Facts

if TYPE_CHECKING:
    from charrnn_cli.training.job import TrainingJob

LEAST_TIME = 120.0  # seconds; in a shorter run, the scale is not measured
MOST_SHARE = 0.02  # of the time of a longer run, to measure it


def measured_scale(
    job: "TrainingJob", phases: Phases, should_stop: Callable[[], None]
) -> dict[str, float]:
    """Return bits per character of simple models on a text; empty for a short or a resumed run."""
    if job.first_step:
        return {}
    from charrnn_cli.model.baselines import baselines, seconds_to_measure

    seconds = seconds_to_measure(job.split)
    limit = job.config.max_time
    if limit is not None and limit < max(LEAST_TIME, seconds / MOST_SHARE):
        return {}
    phases.announce("measuring simple models, for the scale", seconds)
    return baselines(job.corpus, job.split, should_stop).labelled


def scale_facts(scale: Mapping[str, float]) -> Facts:
    """Show the scale, from the highest to the lowest."""
    return [("scale", ", ".join(format_scale(scale)))] if scale else []
