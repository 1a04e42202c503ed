"""Compared runs as a table, as JSON, and what can be said of their differences."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from charrnn_cli.cli.compared_pairs import ComparedPair, differing_settings
from charrnn_cli.cli.compared_runs import ComparedRun
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.formats import (
    UNKNOWN,
    format_duration,
    format_loss,
    format_number,
    format_setting,
)
from charrnn_cli.cli.terminal.table import Column, write_table
from charrnn_cli.events import Evaluated
from charrnn_cli.storage.metrics_log import read_metrics
from charrnn_cli.storage.runs import Run
from charrnn_cli.units import bits_per_character

MOST_PAIRS = 15  # of six runs
CURVE_COLUMNS = ("run", "step", "epoch", "train_loss", "val_loss", "val_bpc", "best", "seconds")


def show_comparison(runs: Sequence[ComparedRun], pairs: Sequence[ComparedPair]) -> None:
    """Write a row per run, then say which runs cannot be told apart; of many, from the first."""
    write_table([*_COLUMNS, *map(_setting_column, differing_settings(runs))], runs)
    shown = [pair for pair in pairs if len(pairs) <= MOST_PAIRS or pair.first is runs[0]]
    for label, text in pair_facts(shown):
        console.say(label, text)
    if len(shown) < len(pairs):
        console.say("note", f"these are the pairs with {runs[0].run}; --json has all {len(pairs)}")


def pair_facts(pairs: Sequence[ComparedPair]) -> Iterator[tuple[str, str]]:
    """Describe the difference of every pair of runs."""
    for pair in pairs:
        found, names = pair.difference, f"{pair.first.run} and {pair.second.run}"
        facts = [f"{found.mean:+.3f}, 95 % interval {found.low:+.3f} to {found.high:+.3f}"]
        if pair.verdict == "not comparable":
            facts = []
        if pair.reason is not None:
            facts.append(pair.reason)
        yield "pair", f"{names}: {pair.verdict} ({'; '.join(facts)})"


def comparison_to_json(
    runs: Sequence[ComparedRun], pairs: Sequence[ComparedPair]
) -> dict[str, Any]:
    """Return the runs, with the settings that differ, and the pairs, as one object."""
    names = differing_settings(runs)
    return {
        "runs": [_run_to_json(each, names) for each in runs],
        "pairs": [_pair_to_json(each) for each in pairs],
    }


def curves_to_csv(runs: Sequence[Run]) -> str:
    """Return a header line, and a line per run and evaluated step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CURVE_COLUMNS)
    for run in runs:
        metrics = read_metrics(run.metrics_path, all_evaluations=True)
        if metrics.problem is not None:
            console.say("warning", metrics.problem)
        for event in metrics.evaluations:
            writer.writerow(_curve_row(run, event))
    return text.getvalue()


def _curve_row(run: Run, event: Evaluated) -> list[Any]:
    bits = bits_per_character(event.val_loss)
    losses = [event.train_loss, event.val_loss, bits]
    best = "true" if event.best else "false"
    return [run.name, event.step, event.epoch, *losses, best, event.seconds]


def _run_to_json(each: ComparedRun, names: Sequence[str]) -> dict[str, Any]:
    loss = each.loss
    return {
        "run": each.run,
        "step": each.step,
        "val_loss": loss,
        "val_bpc": None if loss is None else bits_per_character(loss),
        "standard_error": each.noise,
        "recorded_val_loss": each.recorded,
        "characters": each.characters,
        "val_characters": each.part_characters,
        "seconds": each.seconds,
        "parameters": each.parameters,
        "copied": each.copied,
        "settings": {name: each.settings.get(name) for name in names},
        "problem": each.problem,
    }


def _pair_to_json(pair: ComparedPair) -> dict[str, Any]:
    found = pair.difference
    return {
        "runs": [pair.first.run, pair.second.run],
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "paired": found.is_paired,
        "comparable": pair.verdict != "not comparable",
        "distinguishable": pair.verdict == "distinguishable",
        "seed_noise": pair.seed_noise,
    }


def _loss_with_noise(each: ComparedRun) -> str:
    noise = "" if each.noise is None else f" ± {each.noise:.3f}"
    return f"{format_loss(each.loss)}{noise}"


def _bits(each: ComparedRun) -> str:
    return UNKNOWN if each.loss is None else f"{bits_per_character(each.loss):.2f}"


def _seconds(each: ComparedRun) -> str:
    return UNKNOWN if each.seconds is None else format_duration(each.seconds)


def _copied(each: ComparedRun) -> str:
    return UNKNOWN if each.copied is None else f"{100 * each.copied:.1f} %"


def _setting_column(name: str) -> Column:
    def cell(each: ComparedRun) -> str:
        return format_setting(each.settings.get(name))

    return Column(name.replace("_", " "), cell)


_COLUMNS = [
    Column("run", lambda each: each.run),
    Column("val", _loss_with_noise, number=True),
    Column("bpc", _bits, number=True, drop_order=1),
    Column("time", _seconds, number=True, drop_order=2),
    Column("parameters", lambda each: format_number(each.parameters, ","), True, drop_order=3),
    Column("copying", _copied, number=True, drop_order=4),
]
