"""The end of a study: the winner tested, the table, and the best compared."""

import math
import time
from typing import TYPE_CHECKING, Any, Protocol

from charrnn_cli.cli.compared_pairs import pairs_of
from charrnn_cli.cli.compared_runs import MOST_WORK, compare_runs, say_reading
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.comparison_output import comparison_to_json, show_comparison
from charrnn_cli.cli.terminal.phases import Phases
from charrnn_cli.cli.terminal.tuning_output import Fact, show_trials, winner_facts
from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.tuning.events import TuningFinished
from charrnn_cli.training.tuning.rounds import ranked, winner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from charrnn_cli.training.tuning.study import Study

BEST = 5  # runs that are compared
MOST_COPYING = 10.0  # seconds to draw samples of a run
WORK_PER_SECOND = 5e9  # multiplications of numpy, on one busy core
LEAST_LEFT = 3.0  # seconds; with less, the comparison is left to the user
TEST_SHARE = 0.25  # of the time that is left, for the test text


class Reporter(Protocol):
    """What the end of a study reports to."""

    quiet: bool
    as_json: bool
    only_reference: bool
    stop: StopRequest

    def say(self, facts: "Iterable[Fact]") -> None: ...

    def emit(self, event: Any) -> None: ...


def end_study(reporter: Reporter, study: "Study", left: float | None) -> None:
    """Show what became of a study. `left` are seconds of its budget, None without one.

    Raises ConfigError if every trial failed.
    """
    from charrnn_cli.training.tuning.trial_job import belongs, run_of_trial, trial_run

    deadline = math.inf if left is None else time.monotonic() + left
    name, records = study.files.name, study.trials()
    best = winner(study.known())
    if best is None or best.val_loss is None:
        problems = {each.problem for each in records if each.problem}
        raise ConfigError(
            f"every trial of study {name!r} failed: {'; '.join(sorted(problems))}",
            hint="start a new study with other options"
            + ("" if study.spec.budget is None else ", or with a longer --budget"),
        )
    names = {each.number: run_of_trial(name, each.number) for each in records}
    runs = [trial_run(name, each.number) for each in ranked(study.known())]
    present = [run for run in runs if run.has_checkpoint() and belongs(run, study.spec)]
    is_gone = names[best.number] not in {run.name for run in present}
    finished = TuningFinished(
        study=name,
        run=names[best.number],
        val_loss=best.val_loss,
        test_loss=None if is_gone else _test_loss(reporter, study, names[best.number], left),
        seconds=sum(each.seconds for each in records),
    )
    reporter.emit(finished)
    if reporter.only_reference:
        console.write_line(finished.run)
        return
    if not reporter.as_json:
        show_trials(records, names, study.spec.default)
    reporter.say(winner_facts(finished))
    if len(present) > 1:
        _compare(reporter, present[:BEST], deadline)
    if is_gone:
        reporter.say([("note", f"run {finished.run} is gone, or is another one now")])
    first = present[0].name if present else None
    reporter.say([("next", f"charrnn sample {first}" if first else "charrnn checkpoints list")])


def _compare(reporter: Reporter, chosen: list[Run], deadline: float) -> None:
    """Compare the best runs, with as much of their text as there is time for."""
    names = " ".join(run.name for run in chosen)
    left = deadline - time.monotonic() if math.isfinite(deadline) else None
    if left is not None and left < LEAST_LEFT:
        reporter.say([("compare", f"charrnn checkpoints compare {names}")])
    else:
        each = None if left is None else left / (2 * len(chosen))
        compared = compare_runs(
            chosen,
            reporter.stop,
            MOST_WORK if each is None else min(MOST_WORK, each * WORK_PER_SECOND),
            MOST_COPYING if each is None else min(MOST_COPYING, each),
            deadline=deadline,
            quiet=reporter.quiet,
        )
        reporter.stop.check()
        pairs = pairs_of(compared)
        if reporter.as_json:
            record = {"event": "RunsCompared", **comparison_to_json(compared, pairs)}
            from charrnn_cli.cli.terminal.safe_text import to_json

            console.write_line(to_json(record))
        else:
            console.write_line()
            say_reading(compared)
            show_comparison(compared, [pair for pair in pairs if pair.first is compared[0]])
    reporter.say([("report", f"charrnn checkpoints report {names} -o report.html")])


def _test_loss(reporter: Reporter, study: "Study", run: str, left: float | None) -> float | None:
    """Score the winner alone on the study's test text, if it has one."""
    if study.spec.source.test is None:
        return None
    from charrnn_cli.training.tuning.winner_test import score_winner

    with Phases(reporter.stop, quiet=reporter.quiet) as phases:
        phases.announce(f"scoring {run} on the test text")
        seconds = None if left is None else TEST_SHARE * left
        loss = score_winner(
            study.spec, Registry().run(run), reporter.stop, phases.progress, seconds
        )
    reporter.stop.check()
    return loss
