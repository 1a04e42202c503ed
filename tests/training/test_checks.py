"""Checks of a run's settings before its text is read."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.errors import ConfigError, DeviceError, UnknownCharacterError, UsageError
from charrnn_cli.storage.source import Source
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.checks import check_machine
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.presets import PRESETS, from_preset
from tests.helpers import make_checkpoint, run_training, save


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"device": "toaster"}, DeviceError),
        ({"device": "cuda:99"}, DeviceError),
        ({"threads": 5000}, ConfigError),
        ({"sample_prime": "ß"}, UnknownCharacterError),
        ({"layers": 3}, UsageError),
    ],
)
def test_settings_are_checked_before_the_text(
    home: Path, story: Path, settings: Mapping[str, Any], error: type[UsageError]
) -> None:
    """A wrong device, number of threads, prime or architecture is refused without reading."""
    save(make_checkpoint())
    source = Source((story,), TextOptions(), init_from="tiny", unknown="skip")
    with pytest.raises(error):
        TrainingJob.new(source, settings)
    assert not (home / "corpora").exists()


def test_a_device_is_checked_before_the_text_of_a_resumed_run(corpus: Corpus) -> None:
    """A resumed run names a wrong device before it asks for its text."""
    run_training(corpus, name="one")
    with pytest.raises(DeviceError) as caught:
        TrainingJob.resumed("one", {"device": "tpu", "max_steps": 40})
    assert caught.value.message == "'tpu' is not the name of a device"
    assert caught.value.hint == "use --device auto, cpu, cuda, cuda:1 or mps"


def test_a_prime_may_have_characters_that_the_text_adds(tmp_path: Path) -> None:
    """With `extend`, a prime may have new characters of the text, but no others."""
    save(make_checkpoint())
    text = tmp_path / "new.txt"
    text.write_text("abcdefghß\n" * 30, "utf-8")
    source = Source((text,), TextOptions(), init_from="tiny", unknown="extend")
    assert TrainingJob.new(source, {"sample_prime": "ß"}).config.sample_prime == "ß"
    with pytest.raises(UnknownCharacterError) as caught:
        TrainingJob.new(source, {"sample_prime": "é"})
    assert caught.value.hint == "in --sample-prime, use only characters of the text"


def test_a_name_of_a_device_is_checked_without_torch() -> None:
    """Only the name of an accelerator loads torch."""
    code = (
        "import sys; from charrnn_cli.config import TrainConfig; "
        "from charrnn_cli.training.checks import check_machine; "
        "check_machine(TrainConfig(), {}); check_machine(TrainConfig(device='cpu'), {}); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["CUDA", "cuda:", "cuda:x", "gpu", "cuda:0\n", "mps:0", ""])
def test_names_that_are_no_device(name: str) -> None:
    """A name that no device can have is refused as a name."""
    with pytest.raises(DeviceError, match="is not the name of a device"):
        check_machine(TrainConfig(device=name), {})


def test_validation_settings_need_a_validation_text() -> None:
    """A setting that has no effect without a validation text is refused if it was chosen."""
    assert from_preset("default", {"patience": 3})[1].patience == 3
    assert from_preset("notebook", {"patience": 3, "val_fraction": 0.1})[1].patience == 3
    for settings in ({"eval_every": 0}, {"eval_every": None}, {"val_split": "tail"}):
        assert from_preset("notebook", settings)[1].val_fraction == 0
    for settings, option in (
        ({"patience": 3}, "--patience"),
        ({"eval_every": 5}, "--eval-every"),
        ({"val_split": "spread"}, "--val-split"),
    ):
        with pytest.raises(ConfigError) as caught:
            from_preset("notebook", settings)
        assert caught.value.message == (
            f"{option} requires a validation text, but --preset notebook sets --val-fraction 0"
        )
        assert caught.value.hint == f"use --val-fraction 0.1, or leave out {option}"
        with pytest.raises(ConfigError, match="but --val-fraction is 0"):
            from_preset("default", {**settings, "val_fraction": 0.0})
    for preset in PRESETS:
        from_preset(preset, {})


def test_one_document_cannot_be_shuffled(tmp_path: Path) -> None:
    """Documents are shuffled if there are several."""
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(f"the cat sat on mat {name} " * 20, "utf-8")
    settings = {"shuffle_documents": True}
    with pytest.raises(ConfigError) as caught:
        TrainingJob.new(tmp_path / "one.txt", settings)
    assert caught.value.message == (
        "--shuffle-documents requires several files, and 'one' is one document"
    )
    source = Source((tmp_path / "one.txt", tmp_path / "two.txt"))
    assert TrainingJob.new(source, settings).config.shuffle_documents
