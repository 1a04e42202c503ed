"""What format 1 wrote is read for ever."""

import json
from pathlib import Path

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.sampling import generate
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.loop import train
from charrnn_cli.training.snapshot import load_resume

FORMAT_1 = Path(__file__).parent / "golden" / "format-1"


def test_the_checkpoint_writes_its_text() -> None:
    """200 characters for a fixed seed, to the letter."""
    checkpoint = load_checkpoint(FORMAT_1 / "checkpoint.safetensors")
    expected = (FORMAT_1 / "sample.txt").read_text("utf-8")
    assert "the " + "".join(generate(checkpoint, "the ", length=200, seed=1)) == expected
    assert (checkpoint.step, checkpoint.run, str(checkpoint.model)) == (400, "gold", "lstm 2x16")


def test_the_encoded_text_is_read() -> None:
    corpus = Corpus.open(FORMAT_1 / "corpus.safetensors")
    text = "".join(corpus.text())
    assert text.startswith("the cat sat on the mat")
    assert text.count("漢字 😀") == 60


def test_the_resume_file_goes_on(tmp_path: Path, home: Path) -> None:
    """Ten more steps from a state of format 1."""
    from dataclasses import replace

    from charrnn_cli.config import TrainConfig
    from charrnn_cli.storage.registry import Registry

    state = load_resume(FORMAT_1 / "resume.safetensors")
    config = replace(TrainConfig.from_json(state.checkpoint.train), max_steps=410, threads=1)
    corpus = Corpus.open(FORMAT_1 / "corpus.safetensors")
    run = Registry().create("gold")
    list(train(corpus, state.checkpoint.model, config, run=run, resume=state))
    assert run.checkpoints()[-1].step == 410


@pytest.mark.parametrize("name", ["checkpoint", "corpus", "resume"])
def test_headers_say_format_1(name: str) -> None:
    header = read_header(FORMAT_1 / f"{name}.safetensors")
    assert header.metadata["format"] == 1
    assert header.kind == name
    json.dumps(header.metadata)
