"""One diagnosis of a run, before it from its plan and after it from its losses. Pure functions."""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from charrnn_cli.storage.built_in import NAME as BUILT_IN
from charrnn_cli.training.evaluation_plan import SHARE
from charrnn_cli.training.evidence import OTHER_DROPOUT, RISE, Losses, RunFacts, rounded
from charrnn_cli.training.recipe import SHORT_TEXT_DECAY

FEW_STEPS, FEW_PASSES = 50, 0.2  # with fewer, nothing is learned
START_AND_END = 6.0  # seconds of a limited time without training, about
UNTRAINED_PASSES = 2
GAP_SMALL = 0.05  # nats between train and val loss
FALLING = 0.1  # nats of val loss in the last quarter of a run; the decay of the rate takes less
WARM_GAIN = 0.2  # nats that going on from a model of other text gains at least


class Kind(Enum):
    """The state of a run, as it is called in messages."""

    UNDERTRAINED = "undertrained"
    UNDERFITTING = "underfitting"
    OVERFITTING = "overfitting"
    NOISE = "uncertain"
    BEATEN = "beaten by counting"
    BALANCED = "in balance"


class Remedy(Enum):
    """The kind of command to try."""

    CHANGE = "the same command with a change"
    REPLAN = "the same time, with the model and the recipe chosen for it"
    CONTINUE = "the same run, for twice as many steps"
    NONE = "nothing that is known to help"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The state of a run, why, and what to do about it."""

    kind: Kind
    reason: str
    remedy: Remedy
    change: dict[str, Any] = field(default_factory=dict)
    """Settings of `CHANGE`, by name, and the checkpoint to start from; None is automatic."""

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.reason}"


def diagnose(facts: RunFacts) -> Diagnosis:
    """Return the diagnosis of a run: of its plan before it, of its losses after it."""
    if facts.losses is None:
        return _of_plan(facts)
    found = _of_losses(facts, facts.losses)
    if facts.built_in is None or facts.built_in > facts.losses.best_val + WARM_GAIN:
        return found
    why = "this text alone is short; start from the built-in model, with a recipe for that"
    return Diagnosis(found.kind, why, Remedy.CHANGE, {"init_from": BUILT_IN})


def cannot_learn(facts: RunFacts) -> str | None:
    """Return why a plan leaves a model almost untrained, and a setting that fits.

    None for a plan of at least 50 steps and 0.2 epochs.
    """
    if facts.steps < FEW_STEPS:
        figure = "1 step is" if facts.steps == 1 else f"{facts.steps} steps are"
        problem, enough = f"{figure} too few to learn much", 2 * FEW_STEPS
    elif facts.passes < FEW_PASSES:
        problem = f"{facts.passes:.2g} epochs leave most of this text unread"
        enough = math.ceil(facts.steps / facts.passes)
    else:
        return None
    if facts.limit == "epochs" and facts.passes >= facts.epochs_that_help():
        return f"{problem}; this text is too short"
    match facts.limit:
        case "epochs":
            remedy = f"--epochs {math.ceil(enough * facts.passes / facts.steps)}"
        case "max_steps":
            remedy = f"--max-steps {enough}"
        case _:
            seconds = START_AND_END + enough * facts.seconds_per_step / (1 - SHARE)
            remedy = f"--max-time {10 * math.ceil(seconds / 10)}s"
    return f"{problem}; use at least {remedy}"


def _of_plan(facts: RunFacts) -> Diagnosis:
    resized = facts.resized()
    if resized < 0:
        return _replan(Kind.UNDERTRAINED, "a smaller model learns more in this time")
    if facts.passes < UNTRAINED_PASSES and not facts.is_warm:
        return Diagnosis(Kind.UNDERTRAINED, "more epochs would lower the loss", Remedy.NONE)
    if resized > 0:
        return _replan(Kind.UNDERFITTING, "a larger model learns more in this time")
    if facts.has_many_epochs:
        return _replan(Kind.OVERFITTING, "fewer epochs memorize a short text less")
    if facts.has_little_dropout:
        return _automatic_dropout(facts, Kind.OVERFITTING, "little")
    return Diagnosis(Kind.BALANCED, "model, text and time fit each other", Remedy.NONE)


def _of_losses(facts: RunFacts, losses: Losses) -> Diagnosis:
    return (
        _noise(facts, losses)
        or _without_counts(facts, losses)
        or _overfitting(facts, losses)
        or _too_much_dropout(facts, losses)
        or _undertrained(facts, losses)
        or _in_vain(facts, losses)
        or _beaten(facts, losses)
        or _fitting(facts, losses)
    )


def _in_vain(facts: RunFacts, losses: Losses) -> Diagnosis | None:
    if losses.initial is None or losses.initial > losses.best_val:
        return None
    why = f"val was {losses.initial:.3f} before the first step, and never lower"
    better = f"{why}; {facts.start} predicts this text better"
    return Diagnosis(Kind.OVERFITTING, better, Remedy.NONE)


def _overfitting(facts: RunFacts, losses: Losses) -> Diagnosis | None:
    if not losses.is_overfit:
        return None
    if facts.has_little_dropout:
        return _automatic_dropout(facts, Kind.OVERFITTING, "little")
    if facts.has_many_epochs:
        return _replan(Kind.OVERFITTING, "fewer epochs memorize a short text less")
    if losses.val - losses.best_val > RISE:
        epochs = max(1, math.ceil(1.3 * losses.best_passes))
        where = f"val was lowest, {losses.best_val:.3f}, after {losses.best_passes:.2g} epochs"
        change: dict[str, Any] = {"epochs": epochs, "max_steps": None}
        plan = f"plan {epochs} epoch{'' if epochs == 1 else 's'}"
        return Diagnosis(Kind.OVERFITTING, f"{where}; {plan}", Remedy.CHANGE, change)
    if facts.resized():
        return _replan(Kind.OVERFITTING, "another model learns more in this time")
    if facts.weight_decay < SHORT_TEXT_DECAY:
        more = {"weight_decay": SHORT_TEXT_DECAY}
        why = f"use weight decay {SHORT_TEXT_DECAY}, or more text"
        return Diagnosis(Kind.OVERFITTING, why, Remedy.CHANGE, more)
    return Diagnosis(Kind.OVERFITTING, "more text would help most", Remedy.NONE)


def _too_much_dropout(facts: RunFacts, losses: Losses) -> Diagnosis | None:
    if facts.dropout < facts.usual_dropout + OTHER_DROPOUT or losses.gap > GAP_SMALL + facts.noise:
        return None
    return _automatic_dropout(facts, Kind.UNDERFITTING, "much")


def _undertrained(facts: RunFacts, losses: Losses) -> Diagnosis | None:
    is_above = losses.trigram is not None and losses.val > losses.trigram
    has_read_enough = facts.is_warm or facts.passes >= UNTRAINED_PASSES
    is_short = facts.steps < FEW_STEPS or losses.fall > FALLING
    if not is_above and has_read_enough and not is_short:
        return None
    return _other_size(facts) or _continue(facts, Kind.UNDERTRAINED)


def _other_size(facts: RunFacts) -> Diagnosis | None:
    """Let the time choose the model if it would choose another size."""
    resized = facts.resized()
    if resized < 0:
        return _replan(Kind.UNDERTRAINED, "a smaller model learns more in the same time")
    if resized > 0:
        return _replan(Kind.UNDERFITTING, "a larger model learns more in the same time")
    return None


def _without_counts(facts: RunFacts, losses: Losses) -> Diagnosis | None:
    if facts.model.ngram or facts.is_warm or not _is_beaten(facts, losses):
        return None
    why = f"counts of this text reach {losses.best_ngram:.3f}; give them to the model"
    return Diagnosis(Kind.BEATEN, why, Remedy.CHANGE, {"ngram": None})


def _beaten(facts: RunFacts, losses: Losses) -> Diagnosis | None:
    if not _is_beaten(facts, losses):
        return None
    why = f"counts of this text reach {losses.best_ngram:.3f}"
    if facts.resized():
        return _replan(Kind.BEATEN, f"{why}; another model learns more in the same time")
    return _continue(facts, Kind.BEATEN, f"{why}; ")


def _is_beaten(facts: RunFacts, losses: Losses) -> bool:
    return losses.best_ngram is not None and losses.val > losses.best_ngram + facts.noise


def _noise(facts: RunFacts, losses: Losses) -> Diagnosis | None:
    if facts.noise < GAP_SMALL or losses.gap > 4 * facts.noise:
        return None
    held_out = f"{facts.evaluated_characters:,} characters of validation text"
    change = {"val_fraction": 0.3}
    why = f"{held_out} are too few to tell; hold out more"
    return Diagnosis(Kind.NOISE, why, Remedy.CHANGE, change)


def _fitting(facts: RunFacts, losses: Losses) -> Diagnosis:
    kind = Kind.UNDERFITTING if losses.gap < GAP_SMALL else Kind.BALANCED
    return _other_size(facts) or _continue(facts, kind)


def _replan(kind: Kind, reason: str) -> Diagnosis:
    return Diagnosis(kind, f"{reason}; --max-time chooses the model and the recipe", Remedy.REPLAN)


def _automatic_dropout(facts: RunFacts, kind: Kind, how: str) -> Diagnosis:
    epochs = f"{rounded(facts.passes)} epochs of this text"
    why = f"dropout {facts.dropout:.2g} is too {how} for {epochs}"
    usual = f"--dropout auto would use {facts.usual_dropout:.2g}"
    return Diagnosis(kind, f"{why}; {usual}", Remedy.CHANGE, {"dropout": None})


def _continue(facts: RunFacts, kind: Kind, why: str = "") -> Diagnosis:
    """Train the run for longer, unless the text is too short for that."""
    if 2 * facts.passes > 1.5 * facts.epochs_that_help():
        return Diagnosis(kind, f"{why}more text would help most", Remedy.NONE)
    more = "twice as many steps would lower the loss"
    return Diagnosis(kind, f"{why}{more}", Remedy.CONTINUE)
