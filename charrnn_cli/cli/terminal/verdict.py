"""The diagnosis of a run in words: before it from its plan, after it from its losses."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.cli.terminal.formats import format_both_units
from charrnn_cli.cli.terminal.run_facts import Facts
from charrnn_cli.cli.terminal.safe_text import to_json
from charrnn_cli.config import TrainConfig
from charrnn_cli.events import Evaluated, TrainingFinished, TrainingStarted
from charrnn_cli.storage.clock import utc_now
from charrnn_cli.training.diagnosis import (
    Diagnosis,
    cannot_learn,
    diagnose,
)
from charrnn_cli.training.evidence import Losses, RunFacts, rounded
from charrnn_cli.training.recipe import automatic_dropout
from charrnn_cli.units import nats_per_character

if TYPE_CHECKING:
    from charrnn_cli.training.job import TrainingJob

BUILT_IN_HELPS = 600_000  # characters; going on from other text gains little on longer ones


def plan_verdict(
    job: "TrainingJob", started: TrainingStarted, *, is_planned: bool
) -> tuple[Facts, Diagnosis | None]:
    """Compare the model, the text and the plan; None if a warning takes the diagnosis' place.

    `is_planned` says whether the time has chosen the model.
    """
    facts = _facts(job, started, started.total_steps, None, is_planned=is_planned)
    figure = sizes(job.model, started.train_characters)
    warning = cannot_learn(facts)
    if warning is not None:
        return [("advice", figure), ("warning", warning)], None
    diagnosis = diagnose(facts)
    return [("advice", f"{figure}: {diagnosis}")], diagnosis


def run_verdict(
    job: "TrainingJob",
    started: TrainingStarted,
    finished: TrainingFinished,
    evaluations: Sequence[Evaluated],
    *,
    is_planned: bool,
) -> tuple[Facts, Diagnosis | None]:
    """Judge a finished run, by its losses on both texts; nothing is said of a run without them.

    `is_planned` is as in `plan_verdict`.
    """
    losses = _losses(started, finished, evaluations, job.scale)
    if losses is None:
        return [], None
    diagnosis = diagnose(_facts(job, started, finished.step, losses, is_planned=is_planned))
    train, val = format_both_units(losses.train), format_both_units(losses.val)
    figures = f"train {train}, val {val}, gap {losses.gap:z.2f}"  # z: never -0.00
    return [("advice", f"{figures}: {diagnosis}")], diagnosis


def verdict_to_json(run: str, diagnosis: Diagnosis, command: str | None) -> str:
    """Return the verdict on a run as a line of JSON, like the events before it."""
    found = {"event": "Verdict", "time": utc_now(), "run": run, "diagnosis": diagnosis.kind.value}
    return to_json({**found, "reason": diagnosis.reason, "try": command})


def default_verdict(model: ModelConfig, characters: int) -> str:
    """Compare a text with a model that is trained on it with the default settings."""
    config = TrainConfig()
    positions, epochs = config.batch_size * config.seq_len, config.epochs or 1
    facts = RunFacts(
        model=model,
        train_characters=characters,
        evaluated_characters=characters,
        steps=max(1, epochs * characters // positions),
        passes=epochs,
        positions=positions,
        dropout=automatic_dropout(epochs, characters),
        weight_decay=config.weight_decay,
        seconds_per_step=0.0,
        limit="epochs",
    )
    return f"{sizes(model, characters)}: {diagnose(facts)}"


def sizes(model: ModelConfig, characters: int) -> str:
    """Compare the number of parameters with that of the characters of training text."""
    ratio = model.num_parameters / characters
    figure = f"{model.num_parameters:,} parameters for {characters:,} characters"
    return f"{figure} ({rounded(ratio)} per character)"


def _facts(
    job: "TrainingJob",
    started: TrainingStarted,
    steps: int,
    losses: Losses | None,
    *,
    is_planned: bool,
) -> RunFacts:
    return RunFacts(
        model=job.model,
        train_characters=started.train_characters,
        evaluated_characters=started.evaluated_characters,
        steps=steps,
        passes=steps / started.steps_per_epoch,
        positions=started.batch_size * started.seq_len,
        dropout=started.dropout,
        weight_decay=job.config.weight_decay,
        seconds_per_step=started.seconds_per_step,
        limit=_limit(job.config, started),
        start=started.init_from or "",
        is_list=job.corpus.has_items,
        is_planned=is_planned,
        built_in=None if losses is None else _built_in_loss(job, started),
        losses=losses,
    )


def _limit(config: TrainConfig, started: TrainingStarted) -> str:
    """Return the setting that limits the steps of a plan."""
    if config.max_steps == started.total_steps:
        return "max_steps"
    if config.epochs is not None and config.epochs * started.steps_per_epoch == started.total_steps:
        return "epochs"
    return "max_time"


def _losses(
    started: TrainingStarted,
    finished: TrainingFinished,
    evaluations: Sequence[Evaluated],
    scale: Mapping[str, float],
) -> Losses | None:
    val, best = finished.val_loss, finished.best_val_loss
    if finished.train_loss is None or val is None or best is None:
        return None
    quarter = 0.75 * finished.step
    earlier = [event.val_loss for event in evaluations if 0 < event.step <= quarter]
    counted = {name: nats_per_character(bits) for name, bits in scale.items()}
    ngrams = [loss for name, loss in counted.items() if name.endswith("-gram")]
    return Losses(
        train=finished.train_loss,
        val=val,
        best_val=best,
        best_passes=(finished.best_step or 0) / started.steps_per_epoch,
        fall=earlier[-1] - val if earlier else 0.0,
        trigram=counted.get("3-gram"),
        best_ngram=min(ngrams, default=None),
        initial=next((event.val_loss for event in evaluations if event.step == 0), None),
    )


def _built_in_loss(job: "TrainingJob", started: TrainingStarted) -> float | None:
    """Return the loss of the built-in model on a short text that a run could start from it."""
    source = job.source
    if source is None or source.init_from is not None or job.initial is not None:
        return None
    if job.first_step or started.train_characters > BUILT_IN_HELPS or job.corpus.has_items:
        return None
    from charrnn_cli.training.built_in_start import compare_with_built_in

    found = compare_with_built_in(job)
    return None if found is None else found.built_in
