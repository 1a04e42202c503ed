"""Which state a run continues from, and what may change."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.errors import (
    ConfigError,
    FileFormatError,
    MismatchError,
    NotFoundError,
    RunBusyError,
    TextError,
)
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.resume import (
    is_complete,
    needed_patience,
    open_resume_point,
    resumed_config,
)
from charrnn_cli.training.resume_text import check_text, resumed_source
from charrnn_cli.training.saver import Saver
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.helpers import (
    STORY,
    TINY,
    forge,
    make_checkpoint,
    new_run,
    resume_state,
    resume_training,
    run_held,
    run_training,
    save,
    train_until,
)


def test_an_interruption_in_the_last_evaluation_can_be_finished(corpus: Corpus) -> None:
    """A run that stopped after its last step still owes that step's evaluation."""
    train_until(corpus, 30, TINY, "one")
    assert not is_complete(open_resume_point("one", Registry()), {})
    resume_training(corpus, "one")
    run_training(corpus, TINY, "whole")
    one, whole = (
        [(entry.step, entry.val_loss) for entry in Registry().run(name).checkpoints()]
        for name in ("one", "whole")
    )
    assert one == whole
    assert is_complete(open_resume_point("one", Registry()), {})


def test_a_run_that_moved_on_is_not_thrown_back(corpus: Corpus) -> None:
    """A job prepared before another process trained the run is refused under the lock."""
    train_until(corpus, 10, TINY, "one")
    late = TrainingJob.resumed("one", texts=corpus)
    resume_training(corpus, "one")
    with pytest.raises(RunBusyError) as caught:
        next(train(late))
    assert caught.value.message == "another process has trained run 'one' to step 30"
    assert caught.value.hint == "charrnn train --resume one"


def test_only_limits_and_the_machine_may_change(corpus: Corpus) -> None:
    """A setting of equal value is no change; any other change is a clash that names the option."""
    run_training(corpus, TINY, "one")
    point = open_resume_point("one", Registry())
    assert resumed_config(point, {"max_steps": 90, "threads": 2, "layers": 2}).max_steps == 90
    assert resumed_config(point, {"epochs": 3}).max_steps is None
    with pytest.raises(MismatchError) as caught:
        resumed_config(point, {"dropout": 0.5})
    assert caught.value.message == "run 'one' was trained with --dropout 0.25, not 0.5"
    assert caught.value.hint == (
        "leave out --dropout, or train a new run with it: "
        "charrnn train TEXT --init-from one@latest --batch-size 4 --seq-len 16 --max-steps 30 "
        "--lr 0.003 --dropout 0.5"
    )
    assert resumed_config(point, {"dropout": None}).dropout == 0.25  # as auto chose it
    with pytest.raises(MismatchError, match="layers 2, not 3"):
        resumed_config(point, {"layers": 3})


def test_settings_that_do_not_exist_or_fit_are_refused(corpus: Corpus) -> None:
    """A misspelled setting or an invalid value is an error of the configuration, with its name."""
    run_training(corpus, TINY, "one")
    for settings, message in (
        ({"max_stpes": 40}, "unknown setting 'max_stpes'"),
        ({"keep": "x"}, "keep must be an integer; got 'x'"),
    ):
        with pytest.raises(ConfigError) as caught:
            TrainingJob.resumed("one", settings, texts=corpus)
        assert (caught.value.message, caught.value.hint) == (message, None)


def test_a_new_limit_beyond_the_end_continues_a_finished_run(corpus: Corpus) -> None:
    """A finished run is complete unless a limit beyond its end is set."""
    run_training(corpus, TINY, "one")
    point = open_resume_point("one", Registry())
    complete = {
        "nothing": is_complete(point, {}),
        "log_every": is_complete(point, {"log_every": 3}),
        "fewer": is_complete(point, {"max_steps": 20}),
        "equal": is_complete(point, {"max_steps": 30}),
        "more": is_complete(point, {"max_steps": 31}),
        "time": is_complete(point, {"max_time": 10.0}),
    }
    assert complete == {
        "nothing": True,
        "log_every": True,
        "fewer": True,
        "equal": True,
        "more": False,
        "time": False,
    }


def test_the_text_must_be_the_runs(corpus: Corpus) -> None:
    """A run takes equal text under any name, and new text of its vocabulary if allowed."""
    run_training(corpus, TINY, "one")
    point = open_resume_point("one", Registry())
    same, longer, other = (Corpus.from_text(text) for text in (STORY, STORY * 2, STORY + "X"))
    check_text(point, same.sha256, same.vocab, allow_new_data=False)
    with pytest.raises(MismatchError) as caught:
        check_text(point, longer.sha256, longer.vocab, allow_new_data=False)
    message = "run 'one' was trained on 'story'; this is a different text"
    assert (caught.value.message, caught.value.hint) == (message, "add --allow-new-data")
    check_text(point, longer.sha256, longer.vocab, allow_new_data=True)
    with pytest.raises(MismatchError) as caught:
        check_text(point, other.sha256, other.vocab, allow_new_data=True)
    message = "run 'one' was trained on 'story'; this text has new characters: 'X' (U+0058)"
    hint = (
        "continue in a new run: charrnn train TEXT --init-from one@latest --unknown extend "
        "--batch-size 4 --seq-len 16 --max-steps 30 --lr 0.003 --dropout 0.25"
    )
    assert (caught.value.message, caught.value.hint) == (message, hint)
    with pytest.raises(MismatchError, match="this text has its characters in another order"):
        check_text(point, "", Vocab(same.vocab.characters[::-1]), allow_new_data=True)


def test_what_can_be_resumed() -> None:
    """A run resumes from its resume file's step alone; `latest` is the newest run that has one."""
    run = new_run("one")
    save_resume(run, resume_state(100))
    save(make_checkpoint(run="imported"))
    assert open_resume_point("latest", Registry()).run.name == "one"
    assert open_resume_point("one@100", Registry()).step == 100
    with pytest.raises(NotFoundError, match="can only resume from step 100"):
        open_resume_point("one@50", Registry())
    with pytest.raises(NotFoundError) as caught:
        open_resume_point("imported", Registry())
    assert caught.value.message == "run 'imported' has no resume file"
    assert caught.value.hint == "charrnn train TEXT --init-from imported@100"
    young = new_run("young")
    with hold_lock(young.path), pytest.raises(RunBusyError):
        open_resume_point("young", Registry())
    with pytest.raises(NotFoundError, match="has no resume file") as caught:
        open_resume_point("young", Registry())
    assert caught.value.hint == "charrnn train TEXT --run young"


def test_a_run_does_not_resume_from_its_best_checkpoint() -> None:
    """Only the newest state can be resumed; a reference to another one is an error that says so."""
    save_resume(new_run("one"), resume_state(100))
    for reference in ("one@best", "one@first"):
        with pytest.raises(ConfigError) as caught:
            open_resume_point(reference, Registry())
        assert caught.value.message == f"--resume takes RUN or latest, not {reference!r}"
        assert caught.value.hint == "charrnn train --resume one"
    for reference in ("best", "latest@100", "latest@best"):
        with pytest.raises(ConfigError) as caught:
            open_resume_point(reference, Registry())
        assert caught.value.message == f"--resume takes RUN or latest, not {reference!r}"
        assert caught.value.hint == "charrnn train --resume latest"


def test_a_damaged_resume_file_gives_way_to_the_previous_one() -> None:
    """The previous state is used with a warning; without it the damage is an error."""
    run = new_run("one")
    for step in (100, 200):
        save_resume(run, resume_state(step))
    raw = bytearray(run.resume_path.read_bytes())
    raw[-1] ^= 1
    run.resume_path.write_bytes(raw)
    point = open_resume_point("one", Registry())
    assert point.step == 100
    assert point.warning is not None
    assert point.warning.endswith("resuming from the previous state, at step 100")
    damaged = run.resume_path.read_bytes()
    run.resume_path.unlink()  # as for a moment while a save replaces it
    point = open_resume_point("one", Registry())
    assert (point.step, point.warning) == (100, None)
    run.resume_path.write_bytes(damaged)
    run.previous_resume_path.unlink()
    with pytest.raises(FileFormatError, match="checksum"):
        open_resume_point("one", Registry())


def test_counters_must_be_the_known_ones() -> None:
    """A resume file whose counters are missing or unknown is refused, with their names."""
    run = new_run("one")
    save_resume(run, resume_state(100))
    forge(run.resume_path, progress={"best_step": 3})
    with pytest.raises(FileFormatError, match="missing counter 'best_val_loss'"):
        load_resume(run.resume_path)


def without(name: str) -> Callable[[dict[str, Any]], None]:
    """Return a change of a header for `forge` that removes one of its keys."""

    def remove(header: dict[str, Any]) -> None:
        inner = json.loads(header["__metadata__"]["charrnn"])
        del inner[name]
        text = json.dumps(inner, sort_keys=True, separators=(",", ":"))
        header["__metadata__"]["charrnn"] = text

    return remove


@pytest.mark.parametrize("name", ["progress", "source"])
def test_a_resume_file_of_another_version_is_never_replaced(corpus: Corpus, name: str) -> None:
    """A file of correct digests that is not valid is an error, and nothing is replaced."""
    train_until(corpus, 20, TINY, "one")
    run = Registry().run("one")
    previous = run.previous_resume_path.read_bytes()
    for tensors, changes in ((without(name), {}), (None, {name: []}), (None, {name: None})):
        forge(run.resume_path, tensors, **changes)
        invalid = run.resume_path.read_bytes()
        with pytest.raises(FileFormatError) as caught:
            open_resume_point("one", Registry())
        assert caught.value.message.startswith(f"{run.resume_path} has an invalid header: ")
        assert caught.value.hint == "move it away to resume from the previous state"
        with pytest.raises(FileFormatError), run_held(run) as held:
            Saver(held, keep=1)
        assert run.resume_path.read_bytes() == invalid
        assert run.previous_resume_path.read_bytes() == previous
    run.resume_path.rename(run.path / "invalid")
    point = open_resume_point("one", Registry())
    assert point.step == load_resume(run.previous_resume_path).checkpoint.step < 20


def test_where_the_text_is(corpus: Corpus, tmp_path: Path) -> None:
    """The recorded text and options count unless others are given; a missing text is an error."""
    text = tmp_path / "story.txt"
    text.write_text(STORY)
    latin = TextOptions(encoding="latin-1")
    job = TrainingJob.new(Source((text,), latin), {"max_steps": 2, "size": 4}, name="one")
    list(train(job))
    point = open_resume_point("one", Registry())
    assert resumed_source(point) == (Source((text,), latin), None)
    text.unlink()
    with pytest.raises(TextError) as caught:
        resumed_source(point)
    assert caught.value.message == f"the text of run 'one' no longer exists: {text}"
    assert caught.value.hint == "charrnn train TEXT --resume one"
    other = tmp_path / "other.txt"
    assert resumed_source(point, [other])[0] == Source((other,), latin)
    changed = TextOptions(encoding="latin-1", normalize="nfc")
    assert resumed_source(point, [other], {"normalize": "nfc"})[0] == Source((other,), changed)
    run_training(corpus, TINY, "two")
    point = open_resume_point("two", Registry())
    with pytest.raises(TextError, match="run 'two' does not record where its text is"):
        resumed_source(point)
    assert resumed_source(point, [text]) == (Source((text,), TextOptions()), None)


def test_the_recorded_configuration_is_complete(corpus: Corpus) -> None:
    """A checkpoint records what was decided: no setting is open, and none is `auto`."""
    config = replace(TINY, seed=None, device="auto", precision="auto", threads=None)
    run_training(corpus, config, "one")
    point = open_resume_point("one", Registry())
    recorded = TrainConfig.from_json(point.snapshot.checkpoint.train)
    assert None not in (
        recorded.seed,
        recorded.threads,
        recorded.max_steps,
        recorded.dropout,
        recorded.eval_every,
    )
    assert "auto" not in (recorded.device, recorded.precision)


def test_a_run_that_is_training_is_not_resumed(corpus: Corpus) -> None:
    """A run whose lock another process holds is busy, although its resume file is intact."""
    train_until(corpus, 10, TINY, "one")
    with hold_lock(Registry().run("one").path), pytest.raises(RunBusyError):
        open_resume_point("one", Registry())
    assert open_resume_point("one@latest", Registry()).step == 10


def test_a_new_limit_replaces_the_old_one(corpus: Corpus) -> None:
    """Of epochs, steps and time only those that are set count; other settings keep the limit."""
    train_until(corpus, 10, TINY, "one")
    point = open_resume_point("one", Registry())

    def limits(**settings: float) -> tuple[object, ...]:
        config = resumed_config(point, settings)
        return config.epochs, config.max_steps, config.max_time

    assert limits() == limits(keep=3, eval_every=5) == (None, 30, None)
    assert limits(max_time=60.0) == (None, None, 60.0)
    assert limits(epochs=2) == (2, None, None)
    assert limits(epochs=2, max_steps=90) == (2, 90, None)
    changed = resumed_config(point, {"keep": 3, "eval_every": 5, "sample_every": 7})
    assert (changed.keep, changed.eval_every, changed.sample_every) == (3, 5, 7)
    assert changed.seed == TINY.seed


def test_out_of_patience_is_complete(corpus: Corpus) -> None:
    """A run that ended before its last step is complete, until it gets a limit of its own."""
    train_until(corpus, 10, TINY, "one")
    assert not is_complete(open_resume_point("one", Registry()), {})
    run = Registry().run("one")
    snapshot = load_resume(run.resume_path)
    save_resume(run, replace(snapshot, counters=replace(snapshot.counters, finished=True)))
    point = open_resume_point("one", Registry())
    assert is_complete(point, {})
    assert is_complete(point, {"patience": 9})
    assert not is_complete(point, {"max_steps": 30})
    assert not is_complete(point, {"epochs": 1})


def test_more_patience_continues_a_run_that_patience_ended(corpus: Corpus) -> None:
    """Only a patience above the evaluations without improvement continues such a run."""
    run_training(corpus, replace(TINY, patience=1, lr=1e-30, eval_every=2), "one")
    point = open_resume_point("one", Registry())
    assert point.step == 4
    assert needed_patience(point) == 2
    complete = {
        patience: is_complete(point, {"patience": patience}) for patience in (1, 2, 50, None)
    }
    assert complete == {1: True, 2: False, 50: False, None: False}
    assert is_complete(point, {"patience": 50, "max_steps": 4})
    assert resumed_config(point, {"patience": 50}).max_steps == 30


def test_a_text_from_standard_input_is_asked_for() -> None:
    """A run whose text came from standard input needs its text again."""
    run = new_run("one")
    source = Source((Path("-"),))
    save_resume(run, replace(resume_state(), source=source))
    with pytest.raises(TextError) as caught:
        resumed_source(open_resume_point("one", Registry()))
    assert caught.value.message == "the text of run 'one' came from standard input"
    assert caught.value.hint == "charrnn train TEXT --resume one"


def test_the_vocabulary_of_a_warm_start_is_kept(tmp_path: Path) -> None:
    """A run that began with a checkpoint reads its text with its own vocabulary again."""
    text = tmp_path / "story.txt"
    text.write_text(STORY)
    run = new_run("one")
    for init_from in (None, "base"):
        source = Source((text,), TextOptions(), init_from=init_from)
        save_resume(run, replace(resume_state(), source=source))
        point = open_resume_point("one", Registry())
        vocab = point.snapshot.checkpoint.vocab if init_from else None
        assert resumed_source(point) == (source, vocab)
