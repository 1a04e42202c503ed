"""The time that a run needs after its last step, and the rows of a test text that fit into it."""

from dataclasses import dataclass

from charrnn_cli.training.evaluation_plan import FORWARD, train_share
from charrnn_cli.training.job import TrainingJob

EXIT_RESERVE = 1.5  # seconds from the last save to the end of the process
TEST_SHARE = 0.03  # largest fraction of a time limit that the test text takes


@dataclass(frozen=True, slots=True)
class Ending:
    """What follows the last save of a run."""

    test_rows: int
    """Rows of the test text on which the best checkpoint is scored."""
    seconds: float
    """Estimated seconds for them, and for the work of the caller after the last event."""

    def seconds_from_last_step(self, evaluation_seconds: float) -> float:
        """Estimate the seconds of the last evaluation, the last saves, the rest and the exit."""
        return EXIT_RESERVE + 1.5 * evaluation_seconds + self.seconds


def plan_ending(
    job: TrainingJob,
    seconds_per_step: float,
    evaluation_seconds: float,
    seconds_left: float | None,
    reserve: float,
) -> Ending:
    """Decide how much of the test text is read: all of it, unless the time is limited.

    `evaluation_seconds` are those of all rows of validation text, 0 without. `reserve` are those
    that the caller needs.
    """
    rows, characters = len(job.split.test), job.split.test_characters
    if not rows:
        return Ending(0, reserve)
    per_character = FORWARD * seconds_per_step / (job.config.batch_size * job.config.seq_len)
    if job.split.val:
        evaluated = job.split.val_characters * (1 + train_share(job.split.val_characters))
        per_character = evaluation_seconds / evaluated
    seconds = max(per_character * characters, 1e-9)
    if seconds_left is None:
        return Ending(rows, reserve + seconds)
    fitting = max(1, min(rows, int(rows * TEST_SHARE * seconds_left / seconds)))
    return Ending(fitting, reserve + seconds * fitting / rows)
