"""How references are written: `RUN`, `RUN@best`, `RUN@1200`, or a path; and what they name."""

import os

from charrnn_cli.errors import ConfigError, NotFoundError
from charrnn_cli.storage.built_in import is_built_in, missing_built_in
from charrnn_cli.storage.runs import SUFFIX, CheckpointEntry, Run, best, latest


def is_path(reference: str) -> bool:
    """Return whether a reference is a path: it has a path separator or ends in .safetensors."""
    return "/" in reference or os.sep in reference or reference.endswith(SUFFIX)


def names_checkpoint(reference: str) -> bool:
    """Return whether a reference names one checkpoint; otherwise it is the name of a run."""
    return is_path(reference) or "@" in reference or reference in ("best", "latest")


def is_digits(which: str) -> bool:
    """Return whether the part of a reference after the @ is the number of a step."""
    return which.isascii() and which.isdigit()


def names_step(digits: str, step: int) -> bool:
    """Return whether digits, of which there may be thousands, are the number of a step."""
    return (digits.lstrip("0") or "0") == str(step)


def spread(run: Run, number: int) -> list[CheckpointEntry]:
    """Return up to `number` (at least 2) readable checkpoints of a run, spread evenly by step.

    The first and the last are among them. Raises NotFoundError, StorageError.
    """
    entries = [entry for entry in run.checkpoints() if entry.header is not None]
    if not entries:
        raise NotFoundError(f"run {run.name!r} has no readable checkpoint", hint=run.next_command())
    number = min(number, len(entries))
    first, last = entries[0].step, entries[-1].step
    chosen, start = [], 0
    for position in range(number):
        target = first + (last - first) * position / max(number - 1, 1)
        stop = len(entries) - (number - 1 - position)  # enough are left for the other positions
        nearest = min(range(start, stop), key=lambda index: abs(entries[index].step - target))
        chosen.append(entries[nearest])
        start = nearest + 1
    return chosen


def choose(run: Run, which: str) -> CheckpointEntry:
    """Return the checkpoint of a run that the part of a reference after the @ names.

    Raises NotFoundError, ConfigError.
    """
    entries = run.checkpoints()
    newest, lowest = latest(entries), best(entries)
    match which:
        case "":
            entry = lowest or newest
        case "latest":
            entry = newest
        case "best":
            entry = lowest
            if entry is None and newest is not None:
                raise NotFoundError(
                    f"run {run.name!r} has no best checkpoint: it was trained without validation",
                    hint=f"use {run.name}@latest",
                )
        case step if is_digits(step):
            entry = next((entry for entry in entries if names_step(step, entry.step)), None)
        case _:
            raise ConfigError(
                f"{which!r} is not a step, best or latest",
                hint=f"use {run.name}@best, {run.name}@latest or {run.name}@STEP",
            )
    if entry is None:
        if is_built_in(run) and not is_digits(which):
            raise missing_built_in()
        steps = ", ".join(str(entry.step) for entry in entries[-8:] if entry.header is not None)
        missing = f"checkpoint at step {which}" if is_digits(which) else "readable checkpoint"
        raise NotFoundError(
            f"run {run.name!r} has no {missing}",
            hint=f"use one of its steps: {steps}" if steps else run.next_command(),
        )
    return entry
