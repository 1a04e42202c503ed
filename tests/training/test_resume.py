"""What a run needs to go on."""

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.errors import MismatchError, NotFoundError, RunBusyError, TextError
from charrnn_cli.events import StepLogged, TrainingFinished
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.paths import path_from_uri, path_to_uri
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.loop import train
from charrnn_cli.training.resume import (
    check_text,
    is_complete,
    open_resumable,
    resumed_config,
    source_of,
)
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.conftest import STORY, make_checkpoint, save
from tests.model.test_checkpoint import resume_state
from tests.training.test_loop import TINY, run_training, tiny_model


def test_an_interruption_in_the_last_evaluation_can_be_finished(corpus: Corpus) -> None:
    """All steps are done, but not what comes after the last one."""
    run = Registry().create("one")
    reached = [0]
    config = replace(TINY, log_every=1)
    for event in train(
        corpus, tiny_model(corpus), config, run=run, should_stop=lambda: reached[-1] >= 30
    ):
        if isinstance(event, StepLogged):
            reached.append(event.step)
    assert isinstance(event, TrainingFinished)
    assert (event.step, event.reason) == (30, "stopped")
    resumable = open_resumable("one", Registry())
    assert not is_complete(resumable, resumed_config(resumable, {}), {})
    list(
        train(
            corpus, resumable.model, resumed_config(resumable, {}), run=run, resume=resumable.state
        )
    )
    run_training(corpus, TINY, "whole")
    whole = Registry().run("whole").checkpoints()
    assert [(entry.step, entry.val_loss) for entry in run.checkpoints()] == [
        (e.step, e.val_loss) for e in whole
    ]
    resumable = open_resumable("one", Registry())
    assert is_complete(resumable, resumed_config(resumable, {}), {})


def test_a_run_that_moved_on_meanwhile_is_not_thrown_back(corpus: Corpus) -> None:
    """A state that was read before another process went on is refused under the lock."""
    run_training(corpus, TINY, "one")
    run = Registry().run("one")
    old = load_resume(run.previous_resume_path)
    with pytest.raises(RunBusyError, match="trained on to step 30"):
        next(train(corpus, old.checkpoint.model, TINY, run=run, resume=old))


def test_only_limits_and_the_machine_may_change(corpus: Corpus) -> None:
    """Equal values are no change; the rest is a clash that is named."""
    run_training(corpus, TINY, "one")
    resumable = open_resumable("one", Registry())
    assert resumed_config(resumable, {"max_steps": 90, "threads": 2, "layers": 2}).max_steps == 90
    assert resumed_config(resumable, {"epochs": 3}).max_steps is None
    with pytest.raises(MismatchError, match=r"dropout 0\.25, not 0\.5"):
        resumed_config(resumable, {"dropout": 0.5})
    with pytest.raises(MismatchError, match="layers 2, not 3"):
        resumed_config(resumable, {"layers": 3})


def test_the_text_must_be_the_runs(corpus: Corpus) -> None:
    run_training(corpus, TINY, "one")
    resumable = open_resumable("one", Registry())
    check_text(resumable, Corpus.from_text(STORY, "another name"), allow_new_data=False)
    longer = Corpus.from_text(STORY * 2)
    with pytest.raises(MismatchError, match="another text"):
        check_text(resumable, longer, allow_new_data=False)
    check_text(resumable, longer, allow_new_data=True)
    with pytest.raises(MismatchError, match="other characters"):
        check_text(resumable, Corpus.from_text(STORY + "X"), allow_new_data=True)


def test_what_can_be_resumed() -> None:
    """A step that has a state; the newest run that has one, whatever was imported since."""
    run = Registry().create("one")
    save_resume(run, resume_state(100))
    save(make_checkpoint(run="imported"))
    assert open_resumable("latest", Registry()).run.name == "one"
    assert open_resumable("one@100", Registry()).step == 100
    with pytest.raises(NotFoundError, match="only go on from step 100"):
        open_resumable("one@50", Registry())
    with pytest.raises(NotFoundError, match="no state to resume from") as caught:
        open_resumable("imported", Registry())
    assert caught.value.hint == "begin anew: charrnn train TEXT --init-from imported"
    young = Registry().create("young")
    with hold_lock(young.path), pytest.raises(RunBusyError):
        open_resumable("young", Registry())
    with pytest.raises(NotFoundError, match="no state") as caught:
        open_resumable("young", Registry())
    assert caught.value.hint == "begin anew: charrnn train TEXT --run young"


def test_a_source_of_any_bytes(tmp_path: Path) -> None:
    """A path that is no UTF-8 survives; so do spaces and percent signs."""
    for name in (b"caf\xe9.txt", b"a b%20c#?.txt", "漢字.txt".encode()):
        path = tmp_path / name.decode("utf-8", "surrogateescape")
        assert path_to_uri(path).isascii()
        assert path_from_uri(path_to_uri(path)) == path
    with pytest.raises(ValueError, match="not a file URI"):
        path_from_uri("https://example.org/x")


def test_where_the_text_is(corpus: Corpus, tmp_path: Path) -> None:
    """As recorded, with the options it was read by, unless either is given."""
    text = tmp_path / "story.txt"
    source = {"texts": [path_to_uri(text)], "options": TextOptions(encoding="latin-1").to_json()}
    run_training(corpus, TINY, "one", source=source)
    resumable = open_resumable("one", Registry())
    with pytest.raises(TextError, match="is gone"):
        source_of(resumable)
    text.write_text(STORY)
    assert source_of(resumable) == (Source((text,), TextOptions(encoding="latin-1")), None)
    other = tmp_path / "other.txt"
    assert source_of(resumable, [other])[0] == Source((other,), TextOptions(encoding="latin-1"))
    assert source_of(resumable, [other], TextOptions())[0] == Source((other,))
    run_training(corpus, TINY, "two")
    with pytest.raises(TextError, match="does not know"):
        source_of(open_resumable("two", Registry()))
    assert source_of(open_resumable("two", Registry()), [text]) == (Source((text,)), None)


def test_the_recorded_recipe_is_complete(corpus: Corpus) -> None:
    run_training(
        corpus, replace(TINY, seed=None, device="auto", precision="auto", threads=None), "one"
    )
    recorded = TrainConfig.from_json(open_resumable("one", Registry()).state.checkpoint.train)
    assert None not in (
        recorded.seed,
        recorded.threads,
        recorded.max_steps,
        recorded.dropout,
        recorded.eval_every,
    )
    assert "auto" not in (recorded.device, recorded.precision)
