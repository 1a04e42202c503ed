"""The loss of a run's best checkpoint on its test text."""

from collections.abc import Callable, Iterator

from charrnn_cli.events import BestTested
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.training.evaluation import evaluate
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.plan import Plan
from charrnn_cli.training.run_state import RunState


def final_test(
    job: TrainingJob, plan: Plan, state: RunState, should_stop: Callable[[], bool]
) -> Iterator[BestTested]:
    """Score the best checkpoint, or the last without validation, as evaluations score val rows.

    Yields nothing without a test text, or once `should_stop` returns True. Raises NotFoundError,
    FileFormatError, StorageError.
    """
    if not plan.test:
        return
    model, best = state.trainer.evaluated, state.counters.best_step
    step = state.trainer.step if best is None else best
    if step != state.trainer.step:
        checkpoint = load_checkpoint(job.run.step_path(step))
        model = CharRNN(checkpoint.model)
        model.load(checkpoint.weights)
        model.to(state.trainer.device)
    precision = plan.decisions.precision
    ngrams = state.trainer.ngrams
    loss = evaluate(model, job.corpus, plan.test, precision, should_stop, ngrams)
    if loss is None:
        return
    yield BestTested(
        step=step,
        test_loss=loss,
        evaluated_characters=sum(stop - start for start, stop in plan.test),
        test_characters=job.split.test_characters,
        seconds=state.seconds,
    )
