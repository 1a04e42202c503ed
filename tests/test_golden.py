"""Files of format 1, as they were once written: they load, resume and sample the same numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from charrnn_cli.config import SampleConfig
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.sampling import generate
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import Corpus
from tests.export.browser import answers, content, needs_chromium, needs_node, shown_page
from tests.export.test_page import settings_of
from tests.helpers import new_run, resume_training

FORMAT_1 = Path(__file__).parent / "golden" / "format-1"


@pytest.mark.parametrize(
    ("name", "sample", "step", "model"),
    [
        ("checkpoint", "sample", 400, "lstm 2x16"),
        ("ngrams", "ngrams-sample", 200, "lstm 1x16"),
    ],
)
def test_the_checkpoint_writes_its_text(name: str, sample: str, step: int, model: str) -> None:
    """The recorded checkpoint writes the recorded 200 characters for a seed."""
    checkpoint = load_checkpoint(FORMAT_1 / f"{name}.safetensors")
    expected = (FORMAT_1 / f"{sample}.txt").read_text("utf-8")
    assert "the " + "".join(generate(checkpoint, "the ", length=200, seed=1)) == expected
    assert (checkpoint.step, checkpoint.run, str(checkpoint.model)) == (step, "gold", model)


def test_the_encoded_text_is_read() -> None:
    """The recorded corpus gives its text back."""
    corpus = Corpus.open(FORMAT_1 / "corpus.safetensors")
    text = "".join(corpus.text())
    assert text == "the cat sat on the mat, 漢字 😀 and the rat sat on the cat.\n" * 60


def test_the_resume_file_continues() -> None:
    """Ten more steps from the recorded resume file lead to the recorded losses, up to rounding."""
    run = new_run("gold")
    run.resume_path.write_bytes((FORMAT_1 / "resume.safetensors").read_bytes())
    corpus = Corpus.open(FORMAT_1 / "corpus.safetensors")
    resume_training(corpus, "gold", {"max_steps": 410, "threads": 1})
    recorded = json.loads((FORMAT_1 / "resumed.json").read_text("utf-8"))
    entry = run.checkpoints()[-1]
    # Processors round products differently. The ten steps change the losses by 0.0046 and 0.0005.
    assert entry.step == recorded["step"]
    assert entry.train_loss == pytest.approx(recorded["train_loss"], abs=1e-4)
    assert entry.val_loss == pytest.approx(recorded["val_loss"], abs=1e-4)


@pytest.mark.parametrize("name", ["checkpoint", "corpus", "ngrams", "resume"])
def test_headers_say_format_1(name: str) -> None:
    """Each recorded file names its format and its kind."""
    header = read_header(FORMAT_1 / f"{name}.safetensors")
    kind = "checkpoint" if name == "ngrams" else name
    assert (header.metadata["format"], header.kind) == (1, kind)


@needs_node
def test_the_page_has_the_numbers_of_its_model() -> None:
    """The recorded page, a program of its own, has the engine's logits and the recorded text."""
    checkpoint = load_checkpoint(FORMAT_1 / "ngrams.safetensors")
    sample = (FORMAT_1 / "ngrams-sample.txt").read_text("utf-8")
    ids = checkpoint.vocab.encode(sample)
    settings = settings_of(SampleConfig(length=200, seed=1), "the ")
    page = {"page": FORMAT_1 / "page.html"}
    logits, written = answers([page | {"ids": ids}, page | {"settings": settings, "places": 200}])
    engine = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)
    expected = [engine.step([index])[0].copy() for index in ids]
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert "the " + written["text"] == sample


@pytest.mark.browser
@needs_chromium
def test_the_page_writes_its_text() -> None:
    """The recorded page shows the recorded text in a browser of today."""
    sample = (FORMAT_1 / "ngrams-sample.txt").read_text("utf-8")
    shown = shown_page(FORMAT_1 / "page.html", write=1, prime="the ", seed=1, length=200)
    assert content(shown, "text") == sample
