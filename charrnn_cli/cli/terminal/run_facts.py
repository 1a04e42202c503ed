"""Messages about a run before and after training, as labels and lines."""

from typing import TYPE_CHECKING

from charrnn_cli.cli.next_commands import command_for_time
from charrnn_cli.cli.terminal.formats import (
    format_both_units,
    format_count,
    format_duration,
    format_size,
)
from charrnn_cli.config import TrainConfig
from charrnn_cli.events import BestTested, TrainingFinished, TrainingStarted
from charrnn_cli.storage.built_in import NAME, is_built_in
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.advice import (
    advise_on_list,
    advise_on_validation,
    advise_on_vocabulary,
    warn_of_overlap,
    warn_of_shared_items,
)
from charrnn_cli.training.candidates import affordable, training_operations
from charrnn_cli.training.evidence import rounded

if TYPE_CHECKING:
    from charrnn_cli.training.built_in_start import Comparison
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.time_limit import Choice

Facts = list[tuple[str, str]]

LONG_RUN, SHORT_RUN = 20 * 60.0, 5 * 60.0  # seconds


def overlap_facts(job: "TrainingJob") -> Facts:
    """Warn of a validation text that also stands in the training text; takes up to a second."""
    from charrnn_cli.text.held_out import shared_items
    from charrnn_cli.text.overlap import validation_overlap

    if not job.split.val:
        return []
    warnings = (
        warn_of_overlap(validation_overlap(job.corpus, job.split)),
        warn_of_shared_items(shared_items(job.corpus)),
    )
    return [("warning", warning) for warning in warnings if warning is not None]


def name_facts(run: Run) -> Facts:
    """Say that a run has the name of the built-in model."""
    if run.name != NAME or is_built_in(run):
        return []
    return [("note", f"your run {run.name} takes the place of the built-in model of this name")]


def job_facts(job: "TrainingJob") -> Facts:
    """Describe the model, and what is unusual about its text."""
    from charrnn_cli.text.list_shape import list_shape

    model, split = job.model, job.split
    embed = f"embed {model.embed}" if model.embed else "one-hot"
    facts = [("model", f"{model}, {embed}, {model.num_parameters:,} parameters")]
    advice = (
        advise_on_list(list_shape(job.corpus), is_csv=_is_csv(job)),
        advise_on_validation(split.val_characters),
        None if job.initial else advise_on_vocabulary(model, job.corpus.counts_V.tolist()),
    )
    facts += _ngram_facts(job)
    facts += [("advice", each) for each in advice if each is not None]
    rows, requested = job.config.batch_size, job.requested_batch_size
    if rows != requested:
        fitting = format_count(rows, "row")
        facts.append(("batch", f"{fitting} instead of {requested}, because the text is short"))
    return facts


def _is_csv(job: "TrainingJob") -> bool:
    return job.source is not None and any(path.suffix == ".csv" for path in job.source.paths)


def _ngram_facts(job: "TrainingJob") -> Facts:
    """Describe the n-grams, and say if fewer were counted than could be."""
    from charrnn_cli.model.ngram_counts import MAX_COUNTED
    from charrnn_cli.model.ngram_tables import num_bytes

    if job.ngrams is None:
        return []
    lengths = format_count(job.ngrams.order, "character")
    size = f"{format_size(num_bytes(job.ngrams))} in each checkpoint"
    facts = [("n-grams", f"{job.ngrams.num_pairs:,} of up to {lengths}, {size}")]
    if job.ngrams.order < job.requested_ngram:
        facts.append(("n-grams", f"more than {lengths} would make each checkpoint too large"))
    if job.split.train_characters > MAX_COUNTED:
        facts.append(("n-grams", f"counted in an even sample of {MAX_COUNTED:,} characters"))
    return facts


def start_facts(start: "Comparison") -> Facts:
    """Say that a run starts from the built-in model, why, and how it would not."""
    built_in = format_both_units(start.built_in, 2)
    counted = format_both_units(start.counted, 2, unit="")
    losses = f"val loss is {built_in} before the first step, {counted}"
    why = f"from {start.reference}, because {losses} with n-grams of this text alone"
    return [("start", f"{why}; --init-from none starts afresh")]


def no_start_facts(found: "Comparison") -> Facts:
    """Say that a run does not start from the built-in model although that might be better."""
    counted, built_in = format_both_units(found.counted, 2), format_both_units(found.built_in, 2)
    why = f"afresh, because n-grams of this text reach val {counted}, and {NAME} {built_in}"
    return [("start", f"{why} before training; --init-from {NAME} --unknown extend may end lower")]


def choice_facts(choice: "Choice", limit: float) -> Facts:
    """Say which model was chosen for a time limit, why, and which options choose it."""
    best, job = choice.candidate, choice.job
    options = f"--layers {best.layers} --size {best.size} --lr {job.config.lr:g}"
    if job.config.weight_decay != TrainConfig().weight_decay:
        options += f" --weight-decay {job.config.weight_decay:g}"
    if choice.is_whole:
        options += f" --epochs {job.config.epochs}"
        why = f"for this text, a larger model or more than {job.config.epochs} epochs would overfit"
    else:
        why = f"it learns most in {format_duration(limit)} on this machine"
        if choice.larger is not None:
            why += f"; {choice.larger} needs at least {format_duration(choice.larger_seconds)}"
    return [("model", f"{best}, because {why} (fixed by {options})")]


def plan_facts(event: TrainingStarted) -> Facts:
    """Describe the planned steps, their time, and the device."""
    epochs = event.total_steps / event.steps_per_epoch
    passes = f"{epochs:.3g} epochs" if f"{epochs:.3g}" != "1" else "1 epoch"
    plan = (
        f"{format_count(event.total_steps, 'step')} of "
        f"{event.batch_size} x {event.seq_len} characters, "
        f"{passes}, about {format_duration(event.seconds_planned)}, "
        f"{event.seconds_per_step:.2g} s per step"
    )
    setup = (
        f"{event.device}, {event.precision}, {format_count(event.threads, 'thread')}, "
        f"dropout {event.dropout:.2g}, seed {event.seed}"
    )
    resume = [("resume", f"from step {event.first_step:,}")] if event.first_step else []
    facts = [("plan", plan), *resume, ("setup", setup)]
    if event.evaluated_characters < event.val_characters:
        read = f"{event.evaluated_characters:,} of {event.val_characters:,} characters held out"
        facts.append(("val", f"evaluations read {read}, to take at most 15 % of the time"))
    if event.disk_bytes > event.disk_free:
        needed, free = format_size(event.disk_bytes), format_size(event.disk_free)
        warning = f"the checkpoints will take up to {needed}, but only {free} is free; "
        facts.append(("warning", warning + "the oldest will be deleted when the disk is full"))
    return facts


def shorter_run_facts(job: "TrainingJob", event: TrainingStarted) -> Facts:
    """Say what five minutes would buy, before a run that takes more than twenty."""
    if job.source is None or event.seconds_planned <= LONG_RUN:
        return []
    positions = event.batch_size * event.seq_len
    rate = training_operations(job.model, positions) / event.seconds_per_step
    best, steps = affordable(SHORT_RUN * rate, job.model, positions, event.train_characters)
    epochs = rounded(steps / event.steps_per_epoch)
    what = f"5 minutes would train a {best} model for {epochs} epochs"
    return [("shorter", f"{what}: {command_for_time(job, job.source, SHORT_RUN)}")]


def thread_facts(recorded: int | None, used: int) -> Facts:
    """Report that a resumed run uses fewer threads than it recorded."""
    if recorded is None or recorded <= used:
        return []
    fewer = f"{format_count(used, 'thread')}, the number of cores here, instead of {recorded:,}"
    return [("threads", f"{fewer}; results may differ in rounding")]


def end_facts(event: TrainingFinished, tested: BestTested | None) -> Facts:
    """Describe how the run ended, and name the best checkpoint, with its loss on a test text."""
    losses = ""
    if event.val_loss is not None:
        losses = f", val {format_both_units(event.val_loss)}"
    why = {"time": ", time limit reached", "patience": ", stopped early"}.get(event.reason, "")
    steps = format_count(event.step, "step")
    facts = [("done", f"{steps} in {format_duration(event.seconds)}{why}{losses}")]
    best_step, best_loss = event.best_step, event.best_val_loss
    if best_step is not None and best_step != event.step and best_loss is not None:
        facts.append(("best", f"{event.run}@{best_step}, val {format_both_units(best_loss)}"))
    if tested is not None:
        read, characters = tested.evaluated_characters, f"{tested.test_characters:,} characters"
        part = characters if read == tested.test_characters else f"{read:,} of {characters}"
        loss = format_both_units(tested.test_loss)
        facts.append(("test", f"{loss} on {part}, by {event.run}@{tested.step}"))
    return facts
