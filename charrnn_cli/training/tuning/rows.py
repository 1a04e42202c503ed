"""The rows of validation text on which the trials of a study are compared."""

from charrnn_cli.training.job import TrainingJob


def rows_of_every_trial(job: TrainingJob, least: int) -> int:
    """Return how many rows of validation text all trials evaluate, with `least` characters."""
    rows, characters = len(job.split.val), job.split.val_characters
    given = job.config.val_rows
    if given is not None or characters <= least:
        return given or rows
    return max(1, -(-rows * least // characters))
