"""A study in words: its rounds, its trials as they end, and the table of all."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.terminal.formats import (
    UNKNOWN,
    format_both_units,
    format_count,
    format_duration,
    format_loss,
)
from charrnn_cli.cli.terminal.table import Column, write_table
from charrnn_cli.training.tuning.events import (
    TrialFinished,
    TrialStarted,
    TuningFinished,
    TuningStarted,
)
from charrnn_cli.training.tuning.rounds import Round, number_of_trials
from charrnn_cli.training.tuning.space import described
from charrnn_cli.units import bits_per_character

if TYPE_CHECKING:
    from charrnn_cli.training.tuning.study import TrialRecord

Fact = tuple[str, str]


def round_words(rounds: Sequence[Round], budget: float | None) -> str:
    """Describe the rounds of a study: `9 trials of 40 s, 3 of 2:00, then one of 8:00`."""
    if [each.trials for each in rounds] == [1] and budget is not None:
        one = f"one run of the default recipe, {format_duration(budget)}"
        return f"{one}: too short for several" if number_of_trials(budget) == 1 else one
    if budget is None:
        return format_count(rounds[0].trials, "trial")
    if len(rounds) == 1:
        return f"{rounds[0].trials} whole runs, {format_duration(budget / rounds[0].trials)} each"
    parts = [
        f"{each.trials} {'trials ' if not number else ''}of "
        f"{format_duration(each.share * budget / each.trials)}"
        for number, each in enumerate(rounds[:-1])
    ]
    return f"{', '.join(parts)}, then one of {format_duration(rounds[-1].share * budget)}"


def start_facts(event: TuningStarted, rounds: Sequence[Round]) -> list[Fact]:
    """Describe a study before its first trial in this process."""
    facts = [
        ("study", f"{event.study}, seed {event.seed}"),
        ("search", "; ".join(event.space)),
        ("rounds", round_words(rounds, event.budget)),
    ]
    if event.spent:
        facts.append(("spent", format_duration(event.spent)))
    return facts


def trial_facts(event: TrialStarted, default: Mapping[str, Any]) -> list[Fact]:
    limit = "" if event.max_seconds is None else f", {format_duration(event.max_seconds)}"
    again = ", resumed" if event.resumed else ""
    what = described(event.params, default)
    return [("trial", f"{event.run}, round {event.round}{limit}{again}: {what}")]


def end_facts(event: TrialFinished) -> list[Fact]:
    if event.val_loss is None:
        return [("failed", f"{event.run}: {event.problem}")]
    best = ""
    if event.best_val_loss is not None:
        best = f"; best so far {event.best_run}, {format_loss(event.best_val_loss)}"
    took = format_duration(event.seconds)
    return [("val", f"{event.run}: {format_both_units(event.val_loss)} after {took}{best}")]


def winner_facts(event: TuningFinished) -> list[Fact]:
    """Name the winner, and say that its loss on the validation text is optimistic."""
    facts = [
        ("winner", f"{event.run}, val {format_both_units(event.val_loss)}"),
        ("note", "the winner was chosen for its val loss, which is therefore optimistic"),
    ]
    if event.test_loss is not None:
        facts.insert(1, ("test", format_both_units(event.test_loss)))
    return facts


def show_trials(
    records: "Sequence[TrialRecord]", names: Mapping[int, str], default: Mapping[str, Any]
) -> None:
    """Write a row per trial: the last round first, the lowest loss first."""
    ordered = sorted(
        records, key=lambda each: (-each.round, each.val_loss is None, each.val_loss or 0.0)
    )
    columns = [
        Column("run", lambda each: names[each.number]),
        Column("round", lambda each: str(each.round + 1), number=True),
        Column("val", lambda each: format_loss(each.val_loss), number=True),
        Column("bpc", lambda each: _bits(each.val_loss), number=True, drop_order=1),
        Column("time", lambda each: format_duration(each.seconds), number=True, drop_order=2),
        Column("settings", lambda each: _settings(each, default)),
    ]
    write_table(columns, ordered)


def _bits(loss: float | None) -> str:
    return UNKNOWN if loss is None else f"{bits_per_character(loss):.2f}"


def _settings(record: "TrialRecord", default: Mapping[str, Any]) -> str:
    what = described(record.params, default)
    return f"{what} ({record.problem})" if record.problem is not None else what
