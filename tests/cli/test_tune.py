"""`charrnn tune`: studies, their ends, and how they go on."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.cli.terminal.tuning_output import round_words
from charrnn_cli.cli.training_run import TrainingRun
from charrnn_cli.errors import ConfigError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import best
from charrnn_cli.storage.studies import JournalLock, StudyFiles
from charrnn_cli.training.tuning.rounds import plan_rounds
from tests.cli.test_help import TREE
from tests.cli.test_options import SETTINGS, options_of
from tests.helpers import TIMEOUT, Charrnn, Inside, Outcome, first_of

SMALL = [
    *("--layers", "1", "--embed", "6", "--ngram", "0", "--init-from", "none"),
    *("--batch-size", "4", "--seq-len", "16"),
]
SPACE = ("--set", "size=8,12,16", "--set", "lr=1e-3..1e-1:log")
SHORT = [*SMALL, *SPACE, "--max-steps", "20", "--eval-every", "10", "--seed", "1"]
LONG = [*SMALL, *SPACE, "--max-steps", "400", "--eval-every", "100", "--threads", "1"]
LONG += ["--seed", "1", "--trials", "3"]
NOT_SHARED = {
    "--run",
    "--resume",
    "--resume-if-exists",
    "--allow-new-data",
    "--seeds",
    "--print-config",
    "--dry-run",
}


def tune(inside: Inside, story: Path, *arguments: str, trials: int = 3) -> Outcome:
    return inside("tune", story, *SHORT, "--trials", str(trials), "--name", "s", *arguments)


def events(result: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def losses(names: list[str]) -> list[float]:
    found = [best(Registry().run(name).checkpoints()) for name in names]
    return [entry.val_loss for entry in found if entry is not None and entry.val_loss is not None]


def journal(name: str = "s") -> Path:
    return StudyFiles.existing(name).journal


# ---- without optuna


def test_without_optuna_a_line_names_the_command(
    inside: Inside, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra, an error of two lines has the command that installs it."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = inside("tune", story, "--budget", "1h")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: `charrnn tune` requires optuna\nhint: pip install 'charrnn[tune]'\n"
    )


def test_without_a_budget_the_plan_is_explained(inside: Inside, story: Path) -> None:
    """Without a budget, rounds and space are shown, and the error asks for one."""
    result = inside("tune", story, "--layers", "1", "--init-from", "none")
    assert (result.returncode, result.stdout) == (2, "")
    plan, search, error, hint = result.stderr.splitlines()
    assert plan == "plan    in 1h: 27 trials of 29 s, 9 of 1:27, 3 of 4:20, then one of 21:00"
    assert search == (
        "search  size 256, 384, 512, 768; dropout auto -0.2 to +0.3; lr 0.001 to 0.008 (log); "
        "weight decay 0.03 to 0.5 (log)"
    )
    assert error == "error: a study requires a budget of time, or --trials with --max-steps"
    assert hint == f"hint: charrnn tune {story} --budget 1h"


def test_a_study_offers_the_options_of_train() -> None:
    """Every option of train that describes a run is one of tune, and has the same help."""
    assert options_of("train") - NOT_SHARED == options_of("tune") & options_of("train") - NOT_SHARED
    both = {words: command for words, command in TREE if words in (("train",), ("tune",))}
    ours = {each.name: each.help for each in both["tune",].params}
    theirs = {each.name: each.help for each in both["train",].params}
    assert all(theirs[name] == ours[name] for name in theirs.keys() & ours if name != "resume")


@pytest.mark.parametrize("typed", [each for each in SETTINGS if "--config" not in each])
def test_a_study_obeys_the_options_of_train(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    """The text, the settings and the reading options that train gets are those of all trials."""
    if set(typed.split()) & {*NOT_SHARED, "--quiet", "--json", "--tensorboard"}:
        pytest.skip("an option of one run, or of what is shown")
    received: list[Any] = []

    def stop(request: Any, *_: object) -> None:
        received.append((request.source, request.settings, request.options, request.preset))
        raise ConfigError("received")

    def new(_: TrainingRun, source: Any, settings: Any, **others: Any) -> None:
        received.append((source, settings, others["options"], others["preset"]))

    monkeypatch.setattr("charrnn_cli.cli.new_study.new_spec", stop)
    monkeypatch.setattr("charrnn_cli.cli.commands.tune._check_installed", lambda: None)
    monkeypatch.setattr(TrainingRun, "new", new)
    end = ["--trials", "3"] if {"--max-steps", "--epochs", "--max-time"} & {*typed.split()} else []
    inside("tune", "text.txt", *typed.split(" "), *(end or ["--budget", "1h"]))
    inside("train", "text.txt", *typed.split(" "))
    assert len(received) == 2
    assert received[0] == received[1]


def test_a_torn_line_is_removed(tmp_path: Path) -> None:
    """Whoever writes next removes the rest of a line that a killed process left."""
    path = tmp_path / "journal.jsonl"
    for content, kept in (
        (b'{"a":1}\n{"b', b'{"a":1}\n'),
        (b"x" * 200_000, b""),
        (b"{}\n", b"{}\n"),
    ):
        path.write_bytes(content)
        lock = JournalLock(path)
        lock.acquire()
        lock.release()
        assert path.read_bytes() == kept


# ---- with optuna


def test_a_study_ends_with_its_winner(inside: Inside, story: Path) -> None:
    """Trials are runs; the table is sorted; the winner has the lowest loss; losers are pruned."""
    pytest.importorskip("optuna")
    result = tune(inside, story)
    assert result.returncode == 0, result.stderr
    names = ["s-00", "s-01", "s-02"]
    assert [run.name for run in Registry().runs()] == names
    table, comparison = result.stdout.split("\n\n")
    rows = [line.split("\t") for line in table.splitlines()]
    assert rows[0] == ["run", "round", "val", "bpc", "time", "settings"]
    assert [float(row[2]) for row in rows[1:]] == sorted(float(row[2]) for row in rows[1:])
    assert {row[0]: row[5] for row in rows}["s-00"] == "default"
    winner = rows[1][0]
    assert losses([winner]) == [min(losses(names))]
    assert result.stderr.endswith(f"next    charrnn sample {winner}\n")
    assert comparison.splitlines()[1].startswith(f"{winner}\t")
    for name in names:
        assert len(Registry().run(name).steps()) == (2 if name == winner else 1)
    defaults = load_checkpoint("s-00")
    assert (defaults.model.size, defaults.train["lr"]) == (16, 0.003)
    assert {load_checkpoint(name).train["val_rows"] for name in names} == {4}


def test_a_seeded_study_is_the_same_twice(inside: Inside, story: Path) -> None:
    """Without a clock, the same seed gives the same parameters and the same weights."""
    pytest.importorskip("optuna")
    for name in ("one", "two"):
        words = [*SHORT, "--trials", "6", "--name", name, "-q"]
        result = inside("tune", story, *words)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith(f"{name}-0")
    for number in range(6):
        one, two = (load_checkpoint(f"{name}-{number:02}") for name in ("one", "two"))
        assert {**one.train} == {**two.train}
        assert all((one.weights[each] == two.weights[each]).all() for each in one.weights)


def test_a_trial_is_what_train_trains(inside: Inside, story: Path) -> None:
    """`train` with a trial's settings gives its weights, a relative dropout included."""
    pytest.importorskip("optuna")
    words = [*SMALL, "--size", "12", "--max-steps", "20", "--eval-every", "10", "--seed", "1"]
    assert inside("tune", story, *words, "--trials", "2", "--name", "s", "-q").returncode == 0
    trial = load_checkpoint("s-01")
    settings = {"lr": trial.train["lr"], "dropout": trial.train["dropout"]}
    settings["weight-decay"] = trial.train["weight_decay"]
    typed = [word for name, value in settings.items() for word in (f"--{name}", repr(value))]
    assert inside("train", story, *words, *typed, "--run", "alone", "-q").returncode == 0
    alone = load_checkpoint(f"alone@{trial.step}")
    assert all((alone.weights[each] == trial.weights[each]).all() for each in alone.weights)


def test_the_events_of_a_study(inside: Inside, story: Path) -> None:
    """With --json, every trial has two events, and the end has the winner and the comparison."""
    pytest.importorskip("optuna")
    found = events(tune(inside, story, "--json"))
    kinds = [each["event"] for each in found]
    assert kinds == [
        "TuningStarted",
        *(["TrialStarted", "TrialFinished"] * 3),
        "TuningFinished",
        "RunsCompared",
    ]
    assert found[-2]["val_loss"] == min(losses(["s-00", "s-01", "s-02"]))
    assert next(each["run"] for each in found[-1]["runs"]) == found[-2]["run"]


def test_a_trial_that_fails_is_told(inside: Inside, story: Path) -> None:
    """A diverging trial is reported with its reason, and the study goes on without it."""
    pytest.importorskip("optuna")
    space = ("--set", "lr=0.003,90", "--clip", "0", "--size", "8")
    words = [*SMALL, *space, "--max-steps", "40", "--seed", "1", "--trials", "4", "--name", "s"]
    result = inside("tune", story, *words)
    assert result.returncode == 0, result.stderr
    failed = [line for line in result.stderr.splitlines() if line.startswith("failed  ")]
    assert failed
    assert all(": the loss diverged at step " in line for line in failed)
    assert f"{len(failed)}" == str(result.stdout.split("\n\n")[0].count("(the loss diverged"))


def test_the_winner_alone_is_tested(inside: Inside, story: Path, tmp_path: Path) -> None:
    """--test scores the winner, by the definition of the val loss, and no other trial."""
    pytest.importorskip("optuna")
    test = tmp_path / "test.txt"
    shutil.copy(story, test)
    found = events(tune(inside, story, "--test", str(test), "--json", trials=2))
    (end,) = (each for each in found if each["event"] == "TuningFinished")
    assert end["test_loss"] == pytest.approx(end["val_loss"], abs=0.2)
    assert all(load_checkpoint(name).data.test_sha256 is None for name in ("s-00", "s-01"))


def test_a_finished_study_shows_its_table_again(inside: Inside, story: Path) -> None:
    """Resuming a finished study trains nothing, and a name is taken for ever."""
    pytest.importorskip("optuna")
    first = tune(inside, story)
    again = inside("tune", "--resume", "s")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    taken = tune(inside, story)
    assert taken.stderr == (
        "error: a study called 's' already exists\n"
        "hint: charrnn tune --resume s, or choose another --name\n"
    )


def test_a_study_leaves_later_work_alone(inside: Inside, story: Path) -> None:
    """Checkpoints that the user trains from a trial, or under its name, are not pruned."""
    assert tune(inside, story).returncode == 0
    loser, other = sorted(f"s-{number:02}" for number in range(3) if number != winner_of(inside))
    assert inside("train", "--resume", loser, "--max-steps", "60", "-q").returncode == 0
    shutil.rmtree(Registry().root / other)
    story.with_name("other.txt").write_text(story.read_text("utf-8").upper(), "utf-8")
    words = ("--max-steps", "30", "--eval-every", "10", "--run", other, "-q")
    assert inside("train", "other.txt", *SMALL, *words).returncode == 0
    before = {name: step_files(name) for name in (loser, other)}
    assert all(len(files) > 2 for files in before.values())
    assert inside("tune", "--resume", "s").returncode == 0
    assert {name: step_files(name) for name in (loser, other)} == before


def test_a_winner_that_is_gone_is_told(inside: Inside, story: Path) -> None:
    """The next command names a run that exists."""
    assert tune(inside, story).returncode == 0
    gone = f"s-{winner_of(inside):02}"
    shutil.rmtree(Registry().root / gone)
    result = inside("tune", "--resume", "s")
    assert result.returncode == 0
    assert f"note    run {gone} is gone, or is another one now\n" in result.stderr
    name = result.stderr.rsplit(maxsplit=1)[1]
    assert inside("sample", name, "-n", "5").returncode == 0


def winner_of(inside: Inside) -> int:
    """Return the number of the trial that wins study s."""
    return int(inside("tune", "--resume", "s", "-q").stdout.strip().rpartition("-")[2])


def step_files(name: str) -> list[str]:
    return [entry.path.name for entry in Registry().run(name).checkpoints()]


def test_a_run_of_a_trials_name_is_kept(inside: Inside, story: Path) -> None:
    """A study whose trials would be called as a run is not begun."""
    words = [*SMALL, "--size", "8", "--max-steps", "5", "--seed", "1", "-q"]
    inside("train", story, *words, "--run", "s-07")
    assert tune(inside, story).stderr == (
        "error: there is a run called 's-07', as a trial would be\nhint: choose another --name\n"
    )


def start(story: Path, *arguments: str) -> "subprocess.Popen[str]":
    words = [*arguments] if "--join" in arguments else ["tune", str(story), *arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "charrnn_cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def interrupt_second_trial(story: Path, number: int) -> str:
    """Send a signal while trial 1 trains; return standard error."""
    process = start(story, *LONG, "--name", "s")
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("trial   s-01"):
            break
    run = Registry().root / "s-01"
    while process.poll() is None and not list(run.glob("step-*")):
        time.sleep(0.01)
    process.send_signal(number)
    rest = process.communicate(timeout=TIMEOUT)[1]
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    return "".join([*lines, rest])


@pytest.mark.parametrize("number", first_of(signal.SIGKILL, signal.SIGINT))
def test_an_interrupted_study_goes_on(inside: Inside, story: Path, number: int) -> None:
    """After a signal or a kill, --resume ends with the weights of a study that nothing stopped."""
    pytest.importorskip("optuna")
    errors = interrupt_second_trial(story, number)
    if number == signal.SIGINT:
        assert "stopped s-01 at step " in errors
        assert errors.endswith("next    charrnn tune --resume s\n")
    with journal().open("ab") as file:
        file.write(b'{"op_code":')  # as of a kill while writing
    resumed = inside("tune", "--resume", "s")
    assert resumed.returncode == 0, resumed.stderr
    assert "trial   s-01, round 1" in resumed.stderr  # resumed, or anew if nothing was saved
    assert "trial   s-00" not in resumed.stderr
    assert "failed" not in resumed.stderr
    assert inside("tune", story, *LONG, "--name", "whole", "-q").returncode == 0
    for trial in range(3):
        one, two = (load_checkpoint(f"{name}-{trial:02}") for name in ("s", "whole"))
        assert one.step == two.step
        assert all((one.weights[each] == two.weights[each]).all() for each in one.weights)


def test_two_processes_share_a_study(inside: Inside, story: Path, charrnn: Charrnn) -> None:
    """A process that joins takes trials of its own; none is trained twice."""
    pytest.importorskip("optuna")
    first = start(story, *LONG, "--max-steps", "1000", "--trials", "4", "--name", "s", "--json")
    assert first.stdout is not None
    first.stdout.readline()  # the study exists
    joined = charrnn("tune", "--join", "s", "--json")
    out, errors = first.communicate(timeout=TIMEOUT)
    assert (first.returncode, joined.returncode) == (0, 0), errors
    both = [json.loads(line) for line in [*out.splitlines(), *joined.stdout.splitlines()]]
    trained = [each["run"] for each in both if each["event"] == "TrialFinished"]
    assert sorted(trained) == ["s-00", "s-01", "s-02", "s-03"]
    assert any(json.loads(line)["event"] == "TrialFinished" for line in joined.stdout.splitlines())
    assert len(losses(sorted(trained))) == 4


@pytest.mark.slow
def test_a_budget_has_rounds(charrnn: Charrnn, story: Path) -> None:
    """With a budget, the best third goes on, the last round trains one, and the time is kept."""
    pytest.importorskip("optuna")
    words = [*SMALL, "--set", "lr=1e-3..1e-1:log", "--size", "8", "--seed", "1", "--threads", "1"]
    result = charrnn("tune", story, *words, "--budget", "50s", "--trials", "2", "--json")
    assert result.returncode == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    ended = [each for each in found if each["event"] == "TrialFinished"]
    assert [each["round"] for each in ended] == [1, 1, 2]
    best_first = min(ended[:2], key=lambda each: each["val_loss"] or 9.0)
    begun = {each["run"]: each["params"] for each in found if each["event"] == "TrialStarted"}
    assert begun[ended[2]["run"]] == begun[best_first["run"]]
    (end,) = (each for each in found if each["event"] == "TuningFinished")
    assert end["seconds"] <= 52


def test_a_short_budget_is_that_of_one_run() -> None:
    """The rounds in words say why there is one run, unless a small space is the reason."""
    one, words = plan_rounds(1, has_budget=True), "one run of the default recipe, "
    assert round_words(one, 40.0) == f"{words}40 s: too short for several"
    assert round_words(one, 3600.0) == f"{words}1:00:00"


@pytest.mark.slow
def test_a_short_budget_trains_the_default_recipe(charrnn: Charrnn, story: Path) -> None:
    """A budget that is too short for several trials is that of one run, and is kept."""
    pytest.importorskip("optuna")
    before = time.monotonic()
    result = charrnn("tune", story, *SMALL, *SPACE, "--threads", "1", "--budget", "20s")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - before <= 22
    lines = result.stderr.splitlines()
    assert "rounds  one run of the default recipe, 20 s: too short for several" in lines
    (trial,) = (line for line in lines if line.startswith("trial  "))
    assert trial.endswith(" s: default")


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ((), "error: the budget must be at least 15 s\nhint: use --budget 10m\n"),
        (
            ("--trials", "3"),
            (
                "error: a budget of 30 s is too short for 3 trials\n"
                "hint: use at least --budget 70s, or leave out --trials\n"
            ),
        ),
    ],
)
def test_a_budget_that_is_too_short(
    inside: Inside, story: Path, typed: tuple[str, ...], error: str
) -> None:
    """The least budget is told before anything is trained."""
    pytest.importorskip("optuna")
    budget = "30s" if typed else "14s"
    result = inside("tune", story, *SMALL, *SPACE, *typed, "--budget", budget)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(error)
    assert not Registry().runs()


def test_a_small_space_has_as_many_trials(inside: Inside, story: Path) -> None:
    """More trials than points are not planned, and the study says so."""
    pytest.importorskip("optuna")
    words = [*SMALL, "--set", "size=8,16", "--max-steps", "5", "--seed", "2", "--trials", "6"]
    result = inside("tune", story, *words, "--name", "s")
    assert result.returncode == 0, result.stderr
    assert "note    the first round tries all 2 points of the space, none twice\n" in result.stderr
    assert [run.name for run in Registry().runs()] == ["s-00", "s-01"]
    assert {load_checkpoint(run.name).model.size for run in Registry().runs()} == {8, 16}


def test_a_changed_text_is_refused(inside: Inside, story: Path) -> None:
    """A study goes on only with the text that it began with."""
    pytest.importorskip("optuna")
    assert "stopped" in interrupt_second_trial(story, signal.SIGINT)
    story.write_text(story.read_text("utf-8") + "and a dog.\n", "utf-8")
    result = inside("tune", "--resume", "s")
    assert (result.returncode, result.stdout) == (2, "")
    assert "error: " in result.stderr
