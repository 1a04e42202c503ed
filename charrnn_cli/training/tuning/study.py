"""A study: which trials there are and what became of them, kept in optuna's journal."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import optuna
from optuna.storages.journal import JournalFileBackend

from charrnn_cli.storage.record import as_object
from charrnn_cli.storage.studies import JournalLock, StudyFiles
from charrnn_cli.training.tuning.journal import translated_damage
from charrnn_cli.training.tuning.proposal import params_of, propose, suggested
from charrnn_cli.training.tuning.rounds import (
    Adopt,
    Begin,
    Enqueue,
    Finished,
    Known,
    Next,
    State,
    Wait,
    next_of,
)
from charrnn_cli.training.tuning.spec import StudySpec

_STATES: Mapping[Any, State] = {
    optuna.trial.TrialState.WAITING: "waiting",
    optuna.trial.TrialState.RUNNING: "running",
    optuna.trial.TrialState.COMPLETE: "done",
    optuna.trial.TrialState.PRUNED: "done",
    optuna.trial.TrialState.FAIL: "failed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """A trial, with what the journal has of it."""

    number: int
    round: int
    state: State
    params: Mapping[str, Any]
    val_loss: float | None
    """The lowest of its run, nats per character."""
    seconds: float
    """Time that it took from the study's budget; of a running one, before an interruption."""
    problem: str | None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class Task:
    """A trial to train, which this process has claimed."""

    number: int
    round: int
    params: Mapping[str, Any]
    is_adopted: bool


class Study:
    """An open study. Several processes may have it open."""

    def __init__(self, files: StudyFiles, spec: StudySpec | None = None) -> None:
        """Open a study, or create it with a task. Raises DamagedFileError, StorageError."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.files = files
        files.create()
        with _quiet(), translated_damage(files):
            lock: Any = JournalLock(files.journal)
            backend = JournalFileBackend(str(files.journal), lock_obj=lock)
            storage = optuna.storages.JournalStorage(backend)
            with files.choosing():
                self._study = optuna.create_study(
                    storage=storage, study_name=files.name, load_if_exists=True
                )
                if spec is not None:
                    self._study.set_user_attr("spec", spec.to_json())
            self.spec = StudySpec.from_json(as_object(self._study.user_attrs.get("spec")))

    def set_budget(self, seconds: float) -> None:
        """Replace the budget; of whole runs, it has as many more trials as it is larger."""
        trials, before = self.spec.trials, self.spec.budget
        if self.spec.is_whole and before is not None:
            trials = max(1, round(trials * seconds / before))
        self.spec = dataclasses.replace(self.spec, budget=seconds, trials=trials)
        self._study.set_user_attr("spec", self.spec.to_json())

    def trials(self) -> list[TrialRecord]:
        """Return all trials in the order of their numbers."""
        with translated_damage(self.files):
            return [
                TrialRecord(
                    number=each.number,
                    round=int(each.user_attrs.get("round", 0)),
                    state=_STATES[each.state],
                    params=params_of(each),
                    val_loss=each.value if each.state == optuna.trial.TrialState.COMPLETE else None,
                    seconds=float(each.user_attrs.get("seconds", 0.0)),
                    problem=each.user_attrs.get("problem"),
                )
                for each in self._study.get_trials(deepcopy=False)
            ]

    def known(self) -> list[Known]:
        """Return what decides on the next trial."""
        return [
            Known(
                each.number,
                each.round,
                each.state,
                each.val_loss,
                each.state == "running" and self.files.is_claimed(each.number),
            )
            for each in self.trials()
        ]

    def add_final_round(self, number: int) -> None:
        """Enqueue a trial once more, in a round after the last."""
        rounds = [each.round for each in self.trials()]
        with self.files.choosing():
            (record,) = (each for each in self.trials() if each.number == number)
            self._enqueue(record.params, max(rounds) + 1)

    @contextlib.contextmanager
    def next_task(self) -> Iterator[Task | Wait | Finished]:
        """Choose a trial and hold the claim on it for a `with` block, if there is one to train.

        Raises RunBusyError, StorageError.
        """
        with contextlib.ExitStack() as claim:
            with self.files.choosing(), _quiet(), translated_damage(self.files):
                task = self._choose()
                if isinstance(task, Task):
                    claim.enter_context(self.files.claim(task.number))
            yield task

    def count_time(self, task: Task, seconds: float) -> None:
        """Record the time of a trial that is interrupted."""
        with _quiet(), translated_damage(self.files):
            self._trial(task.number).set_user_attr("seconds", seconds)

    def tell(self, task: Task, val_loss: float | None, seconds: float, problem: str | None) -> None:
        """Record the end of a trial: its loss or, without one, why it failed."""
        with _quiet(), translated_damage(self.files):
            trial = self._trial(task.number)
            trial.set_user_attr("seconds", seconds)
            if val_loss is None:
                trial.set_user_attr("problem", problem or "unknown")
                self._study.tell(task.number, state=optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(task.number, val_loss)

    def _choose(self) -> Task | Wait | Finished:
        while True:
            action: Next = next_of(self.known(), self.spec.rounds)
            match action:
                case Enqueue(round_number, numbers):
                    records = {each.number: each for each in self.trials()}
                    for number in numbers:
                        self._enqueue(records[number].params, round_number)
                case Adopt(number):
                    return self._task(self._trial(number), is_adopted=True)
                case Begin():
                    return self._task(self._ask(), is_adopted=False)
                case Wait() | Finished():
                    return action

    def _enqueue(self, params: Mapping[str, Any], round_number: int) -> None:
        self._study.enqueue_trial(dict(params), user_attrs={"round": round_number})

    def _ask(self) -> Any:
        """Begin a trial that is enqueued or, without one, a new one of the first round."""
        trials = self._study.get_trials(deepcopy=False)
        if all(_STATES[each.state] != "waiting" for each in trials):
            self._enqueue(propose(self.spec, trials), 0)
        return self._study.ask()

    def _trial(self, number: int) -> Any:
        (found,) = (
            each for each in self._study.get_trials(deepcopy=False) if each.number == number
        )
        return optuna.trial.Trial(self._study, found._trial_id)

    def _task(self, trial: Any, *, is_adopted: bool) -> Task:
        """Draw the parameters that a trial lacks: all, or those after the one of a kill."""
        params = suggested(trial, self.spec.space)
        return Task(trial.number, trial.user_attrs.get("round", 0), params, is_adopted)

    @classmethod
    def existing(cls, name: str) -> Self:
        """Open a study that exists. Raises NotFoundError, DamagedFileError, StorageError."""
        return cls(StudyFiles.existing(name))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide optuna's warnings of experimental features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
