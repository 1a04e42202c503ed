"""A job made in Python and one made by the command are the same job."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, MismatchError, TextError, UnknownCharacterError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.settings import option_name
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from tests.helpers import STORY, TIMEOUT, Inside, make_checkpoint, save

SETTINGS: dict[str, Any] = {
    "layers": 1,
    "size": 8,
    "max_steps": 6,
    "eval_every": 3,
    "seed": 7,
    "threads": 1,
    "precision": "fp32",
}
OPTIONS = [word for name, value in SETTINGS.items() for word in (option_name(name), str(value))]


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    """A text of 800 characters, too short for the default batch."""
    path = tmp_path / "fox.txt"
    path.write_text("the quick brown fox " * 40, "utf-8")
    return path


def assert_equal_files(one: str, other: str) -> None:
    """Compare two runs' step files: every tensor to the bit, and the headers but for the names."""
    pairs = zip(Registry().run(one).checkpoints(), Registry().run(other).checkpoints(), strict=True)
    assert Registry().run(one).checkpoints()
    for first, second in pairs:
        headers = [read_header(entry.path).metadata for entry in (first, second)]
        for header in headers:
            header.pop("header_sha256")
            header.pop("run")
        assert headers[0] == headers[1]


def test_a_short_text(fox: Path, inside: Inside) -> None:
    """Python and the command shrink the batch for a short text, and write equal step files."""
    result = inside("train", fox, "--run", "command", *OPTIONS)
    assert result.returncode == 0, result.stderr
    assert "because the text is short" in result.stderr
    list(train(TrainingJob.new(fox, SETTINGS, name="python")))
    assert_equal_files("command", "python")
    recorded = load_checkpoint("python").train["batch_size"]
    assert recorded < 32


def test_a_warm_start(fox: Path, inside: Inside, tmp_path: Path) -> None:
    """With `init_from` and a grown vocabulary, Python and the command write equal step files."""
    list(train(TrainingJob.new(fox, SETTINGS, name="base")))
    text = tmp_path / "vixen.txt"
    text.write_text("THE QUICK RED VIXEN " * 40, "utf-8")
    options = [*OPTIONS, "--init-from", "base", "--unknown", "extend"]
    result = inside("train", text, "--run", "command", *options)
    assert result.returncode == 0, result.stderr
    source = Source((text,), init_from="base", unknown="extend")
    list(train(TrainingJob.new(source, SETTINGS, name="python")))
    assert_equal_files("command", "python")
    assert load_checkpoint("python").vocab.characters.startswith(
        load_checkpoint("base").vocab.characters
    )


def test_a_resume(fox: Path, inside: Inside) -> None:
    """Resumed by Python or by the command, a run gets equal step files."""
    for name in ("command", "python"):
        list(train(TrainingJob.new(fox, SETTINGS, name=name)))
    result = inside("train", "--resume", "command", "--max-steps", "9")
    assert result.returncode == 0, result.stderr
    list(train(TrainingJob.resumed("python", {"max_steps": 9})))
    assert_equal_files("command", "python")
    assert [entry.step for entry in Registry().run("python").checkpoints()] == [3, 6, 9]


def test_settings_that_were_left_open(fox: Path) -> None:
    """A job chooses the embedding, the batch and the name; a setting fixes each of them."""
    job = TrainingJob.new(fox, {"size": 8})
    assert (job.model.embed, job.run.name) == (64, "fox-lstm-2x8")
    assert (job.requested_batch_size, job.config.batch_size) == (32, 1)
    wide = Corpus.from_text("".join(map(chr, range(0x4E00, 0x4E00 + 3000))))
    assert TrainingJob.new(wide, {"size": 8}).model.embed == 192
    assert TrainingJob.new(wide, {"size": 8, "embed": 64}).model.embed == 64
    assert TrainingJob.new(wide, {"size": 8}, preset="notebook").model.embed == 0
    assert TrainingJob.new(fox, {"batch_size": 4}, name="own").config.batch_size == 4


@pytest.mark.parametrize(
    ("text", "settings", "options", "error", "message"),
    [
        (
            "ab" * 9,
            {},
            {},
            TextError,
            "training needs at least 66 characters (--seq-len + 2); this text has 18",
        ),
        (STORY, {"size": 0}, {}, ConfigError, "size must be from 1 to 65,536; got 0"),
        (STORY, {"sample_prime": "ß"}, {}, UnknownCharacterError, "'ß' (U+00DF)"),
        (STORY, {}, {"preset": "noteboek"}, ConfigError, "no preset 'noteboek'"),
        (STORY, {}, {"name": "Best Run"}, ConfigError, "'Best Run'"),
    ],
)
def test_impossible_jobs_make_no_run(
    text: str,
    settings: dict[str, Any],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    """What cannot be trained is an error before the run's directory exists."""
    with pytest.raises(error) as caught:
        TrainingJob.new(Corpus.from_text(text), settings, **options)
    assert message in str(caught.value)
    assert not Registry().root.exists()


def test_the_prime_of_samples_is_checked_before_training(fox: Path) -> None:
    """A new and a resumed run name the option that holds an unknown character."""
    list(train(TrainingJob.new(fox, SETTINGS, name="old")))
    changed = {"sample_prime": "ß"}
    with pytest.raises(UnknownCharacterError) as new:
        TrainingJob.new(fox, {**SETTINGS, **changed})
    with pytest.raises(UnknownCharacterError) as resumed:
        TrainingJob.resumed("old", changed)
    for caught, known in (
        (new, "characters of the text"),
        (resumed, f"the {len(set(fox.read_text()))} characters of the model"),
    ):
        assert caught.value.message == "the vocabulary lacks 'ß' (U+00DF) at position 1"
        assert caught.value.hint == f"in --sample-prime, use only {known}"


def test_unknown_characters_of_a_resumed_run_have_a_hint_that_can_be_followed(fox: Path) -> None:
    """A new text with other characters is refused, without naming options that --resume refuses."""
    save(make_checkpoint(characters="".join(sorted(set(fox.read_text())))))
    source = Source((fox,), TextOptions(), init_from="tiny")
    list(train(TrainingJob.new(source, {"max_steps": 1, "batch_size": 2, "seed": 1}, name="old")))
    other = fox.with_name("other.txt")
    other.write_text("the quick brown fox, " * 40)
    with pytest.raises(UnknownCharacterError) as caught:
        TrainingJob.resumed("old", {"max_steps": 2}, texts=[other], allow_new_data=True)
    assert caught.value.message == "the vocabulary lacks 1 character: ',' (U+002C) 40x"
    assert caught.value.hint == (
        f"continue in a new run: charrnn train {other} --init-from old@latest --unknown extend "
        "--batch-size 2 --max-steps 2 --lr 0.001 --dropout 0.5"
    )


def test_a_short_text_of_a_resumed_run_has_a_hint_that_can_be_followed(fox: Path) -> None:
    """A new text too short for the run's batch asks for a longer one."""
    list(train(TrainingJob.new(fox, {**SETTINGS, "batch_size": 11}, name="old")))
    corpus = Corpus.from_text("the quick brown fox " * 20)
    with pytest.raises(TextError) as caught:
        TrainingJob.resumed("old", texts=corpus, allow_new_data=True)
    assert caught.value.message == (
        "--batch-size 11 x --seq-len 64 needs 705 characters of training text; "
        "the training part of this text has 360"
    )
    assert caught.value.hint == "use a longer text"


def test_the_architecture_comes_with_the_initial_weights(fox: Path) -> None:
    """A setting that clashes with the checkpoint to begin with is named."""
    save(make_checkpoint(characters="".join(sorted(set(fox.read_text())))))
    source = Source((fox,), TextOptions(), init_from="tiny")
    with pytest.raises(MismatchError, match="tiny@100 was trained with --layers 1, not 2"):
        TrainingJob.new(source, {"layers": 2})
    job = TrainingJob.new(source, {"max_steps": 1, "batch_size": 2})
    assert job.initial is not None
    assert (job.model.layers, job.model.size) == (1, 4)
    list(train(job))
    started = load_checkpoint(job.run.step_path(1))
    assert started.data.init_from == "tiny@100"
    assert np.isfinite(started.weights["output.bias"]).all()


def test_the_reference_of_the_initial_weights_is_recorded_as_it_was_resolved(
    fox: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later runs do not change what the recorded reference names; a path becomes absolute."""
    path = save(make_checkpoint(characters="".join(sorted(set(fox.read_text())))))
    settings = {"max_steps": 1, "batch_size": 2, "seed": 1}
    for number, reference in enumerate(("latest", "best", "tiny", "tiny@latest")):
        job = TrainingJob.new(Source((fox,), init_from=reference), settings, name=f"r{number}")
        assert job.source == Source((fox,), TextOptions(), init_from="tiny@100")
    monkeypatch.chdir(path.parent)
    job = TrainingJob.new(Source((fox,), init_from=f"./{path.name}"), settings)
    assert job.source == Source((fox,), TextOptions(), init_from=str(path))
    words = ("--max-steps", "1", "--batch-size", "2", "--init-from", "latest", "--run", "command")
    assert inside("train", fox, *words).returncode == 0
    shown = inside("checkpoints", "show", "command").stdout
    assert f"\ncommand     charrnn train {fox} --init-from tiny@100 " in shown


def test_a_prepared_job_does_not_load_torch(fox: Path) -> None:
    """Errors of preparation come before torch is imported."""
    import subprocess
    import sys

    script = (
        "import sys; from pathlib import Path; import charrnn_cli\n"
        f"job = charrnn_cli.TrainingJob.new(Path({str(fox)!r}), {{'size': 8}})\n"
        "from charrnn_cli.training import actions, advice, plan, recipe, saver, snapshot\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env=dict(os.environ), timeout=TIMEOUT
    )
