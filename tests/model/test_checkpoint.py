"""A checkpoint is whole, self-contained and verified."""

import dataclasses
import json
import platform
import resource
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import END_OF_DOCUMENT
from charrnn_cli.errors import AlreadyPublishedError, ConfigError, FileFormatError
from charrnn_cli.model.checkpoint import (
    checkpoint_tensors,
    header_fields,
    load_checkpoint,
    load_verified,
    save_checkpoint,
)
from charrnn_cli.model.ngram_pairs import Pairs
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.storage.header import CHECKPOINT_KIND, CheckpointHeader
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.snapshot import load_resume, save_resume
from tests.helpers import STORY, forge, make_checkpoint, new_run, resume_state, save


def test_what_is_saved_is_loaded() -> None:
    """Weights, configuration, vocabulary and losses survive a round trip."""
    checkpoint = make_checkpoint(val_loss=None)
    loaded = load_checkpoint(save(checkpoint))
    for name, array in checkpoint.weights.items():
        assert (loaded.weights[name] == array).all()
    assert (loaded.model, loaded.vocab, loaded.run, loaded.step) == (
        checkpoint.model,
        checkpoint.vocab,
        checkpoint.run,
        checkpoint.step,
    )
    assert (loaded.train_loss, loaded.val_loss, loaded.data) == (
        1.25,
        None,
        checkpoint.data,
    )
    assert set(loaded.versions) >= {"python", "numpy"}


def test_weights_of_16_bits(tmp_path: Path) -> None:
    """They are read as float32 numbers that 16 bits hold, from a file of about half the size."""
    checkpoint = make_checkpoint(ModelConfig(vocabulary_size=10, layers=2, size=40, embed=3))
    paths = {"F32": tmp_path / "whole.safetensors", "F16": tmp_path / "half.safetensors"}
    save_checkpoint(paths["F32"], checkpoint)
    save_checkpoint(paths["F16"], checkpoint, dtype="F16")
    loaded = load_checkpoint(paths["F16"])
    for name, array in checkpoint.weights.items():
        assert loaded.weights[name].dtype == np.float32
        assert (loaded.weights[name] == array.astype(np.float16)).all()
    sizes = {dtype: path.stat().st_size for dtype, path in paths.items()}
    assert sizes["F32"] - sizes["F16"] == pytest.approx(2 * checkpoint.model.num_parameters, abs=64)
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, loaded, dtype="F16")
    assert again.read_bytes() == paths["F16"].read_bytes()


def test_types_of_weights_are_not_mixed(tmp_path: Path) -> None:
    """A file has weights of one type; 16 bits cannot hold a number above 65,504."""
    checkpoint = make_checkpoint()
    specs, pieces = checkpoint_tensors(checkpoint, prefix="")
    half_specs, half_pieces = checkpoint_tensors(checkpoint, prefix="", dtype="F16")
    specs["output.bias"] = half_specs["output.bias"]
    pieces["output.bias"] = half_pieces["output.bias"]
    header = CheckpointHeader(**header_fields(checkpoint))
    mixed = tmp_path / "mixed.safetensors"
    with write_tensors(mixed, CHECKPOINT_KIND, specs, header.to_json()) as tensors:
        for name in tensors.order:
            tensors.write(pieces[name])
    with pytest.raises(FileFormatError, match="do not match its configuration"):
        load_checkpoint(mixed)
    large = {**checkpoint.weights, "output.bias": np.full(10, 1e5, np.float32)}
    path = tmp_path / "large.safetensors"
    with np.errstate(over="ignore"):
        save_checkpoint(path, dataclasses.replace(checkpoint, weights=large), dtype="F16")
    with pytest.raises(FileFormatError, match="not finite"):
        load_checkpoint(path)


NGRAMS = ModelConfig(vocabulary_size=10, layers=1, size=4, embed=3, ngram=4)


def test_ngrams_are_saved() -> None:
    """The n-grams of a loaded checkpoint give the same probabilities, in a resume file as well."""
    checkpoint = make_checkpoint(NGRAMS)
    assert checkpoint.ngrams is not None
    run = new_run("resumed")
    save_resume(run, resume_state(config=NGRAMS))
    contexts = np.random.Generator(np.random.PCG64(1)).integers(-1, 10, (50, 3), np.int32)
    expected = checkpoint.ngrams.distributions(contexts)
    for loaded in (load_checkpoint(save(checkpoint)), load_resume(run.resume_path).checkpoint):
        assert loaded.ngrams is not None
        np.testing.assert_array_equal(loaded.ngrams.distributions(contexts), expected)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ngrams.2.ids", {"dtype": "F32"}),
        ("ngrams.2.ids", {"dtype": "U64"}),
        ("ngrams.2.ids", {"shape": [1, 1]}),
        ("ngrams.4.first", None),
    ],
)
def test_other_tables_are_refused(name: str, change: dict[str, Any] | None) -> None:
    """A checkpoint has the tables of its n-grams, of the types that are documented."""
    path = save(make_checkpoint(NGRAMS))

    def damage(header: dict[str, Any]) -> None:
        if change is None:
            header["other"] = header.pop(name)
        elif "shape" in change:
            header[name]["shape"] = [*header[name]["shape"], 1]
        else:
            header[name] |= change

    forge(path, damage)
    with pytest.raises(FileFormatError, match="is damaged"):
        load_checkpoint(path)


def test_tables_with_other_numbers_are_refused() -> None:
    """Tables that contradict each other are an error even if all digests are right."""
    checkpoint = make_checkpoint(NGRAMS)
    assert checkpoint.ngrams is not None
    pairs = checkpoint.ngrams.orders[2]
    wrong = Pairs(10, pairs.keys[::-1].copy(), pairs.counts)
    orders = (*checkpoint.ngrams.orders[:2], wrong, checkpoint.ngrams.orders[3])
    path = save(dataclasses.replace(checkpoint, ngrams=NgramModel(10, orders)))
    with pytest.raises(FileFormatError, match="its n-grams contradict each other"):
        load_checkpoint(path)


@pytest.mark.usefixtures("tiny_run")
def test_loading_by_reference() -> None:
    """A reference, or none, loads the checkpoint that it resolves to."""
    assert load_checkpoint("tiny@300").step == 300
    assert load_checkpoint().step == 200


def test_a_step_that_is_reached_again_counts_as_published() -> None:
    """A second save of equal content succeeds; of other content it fails and changes nothing."""
    path = save(make_checkpoint())
    before = path.read_bytes()
    save_checkpoint(path, make_checkpoint())
    for other in (make_checkpoint(seed=1), make_checkpoint(val_loss=9.0, seed=2)):
        with pytest.raises(AlreadyPublishedError) as caught:
            save_checkpoint(path, other)
        assert caught.value.message == f"{path} already exists"
    assert path.read_bytes() == before


def test_nothing_personal_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained checkpoint contains no path, host name or user name, so it can be shared."""
    from charrnn_cli.training.loop import train

    private = tmp_path / "ada-home" / "ada-work"
    private.mkdir(parents=True)
    (private / "story.txt").write_text(STORY, "utf-8")
    monkeypatch.chdir(private)
    monkeypatch.setenv("HOME", str(private.parent))
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "ada-user")
    monkeypatch.setattr(platform, "node", lambda: "ada-host")
    monkeypatch.setattr(socket, "gethostname", lambda: "ada-host")
    job = TrainingJob.new(private / "story.txt", {"max_steps": 1, "size": 4}, name="tiny")
    list(train(job))
    for personal in (b"ada-", str(tmp_path).encode()):
        assert personal in job.run.resume_path.read_bytes()  # which is never exported
        assert personal not in job.run.step_path(1).read_bytes()


def test_resume_keeps_the_state_before_it(home: Path) -> None:
    """A run has its newest resume file and the one before it."""
    run = new_run("tiny")
    for step in (100, 200, 300):
        save_resume(run, resume_state(step))
    assert load_resume(run.resume_path).checkpoint.step == 300
    assert load_resume(run.previous_resume_path).checkpoint.step == 200
    state = load_resume(run.resume_path)
    assert state.tensors["exp_avg.output.bias"].tolist() == list(range(10))
    assert state.counters.best_step == 3
    assert state.source is not None
    assert state.source.paths == (Path("/somewhere/story.txt"),)
    assert sorted(path.name for path in run.path.iterdir()) == [
        "resume.previous.safetensors",
        "resume.safetensors",
    ]


def test_kinds_are_not_mixed_up(home: Path) -> None:
    """A resume file cannot be loaded as a checkpoint, nor a checkpoint as a resume file."""
    path = save(make_checkpoint())
    run = Run("tiny", path.parent)
    save_resume(run, resume_state())
    with pytest.raises(FileFormatError) as caught:
        load_checkpoint(run.resume_path)
    assert (
        caught.value.message == f"{run.resume_path} is a charrnn resume file, not a checkpoint file"
    )
    with pytest.raises(FileFormatError) as caught:
        load_resume(path)
    assert caught.value.message == f"{path} is a charrnn checkpoint file, not a resume file"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    """A file with an infinity or a NaN is not loaded."""
    checkpoint = make_checkpoint()
    array = np.array(checkpoint.weights["output.bias"])
    array[0] = value
    path = save(
        dataclasses.replace(checkpoint, weights={**checkpoint.weights, "output.bias": array})
    )
    with pytest.raises(FileFormatError) as caught:
        load_checkpoint(path)
    assert caught.value.message == f"{path} contains values that are not finite"


@pytest.mark.parametrize(
    "model",
    [
        {"layers": 2},
        {"size": 5},
        {"embed": 0},
        {"cell": "gru"},
        {"cell": "transformer"},
        {"layers": 10**6},
        {"size": 2**40},
        {"vocabulary_size": 0},
        {"vocabulary_size": 9},
        {"layers": True},
        {"unknown": 1},
    ],
    ids=str,
)
def test_tensors_must_be_those_of_the_configuration(model: dict[str, object]) -> None:
    """A header with another configuration is refused, in spite of a correct digest."""
    path = save(make_checkpoint())
    forge(path, model={**read_header(path).metadata["model"], **model})
    with pytest.raises(FileFormatError):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "field", ["run", "step", "epoch", "train_loss", "val_loss", "train", "data", "versions"]
)
def test_fields_must_have_their_types(field: str) -> None:
    """A header with a field of the wrong type is refused, in spite of a correct digest."""
    path = save(make_checkpoint())
    forge(path, None, **{field: [field]})
    with pytest.raises(FileFormatError) as caught:
        load_checkpoint(path)
    assert caught.value.message.startswith(f"{path} has an invalid header: ")
    assert f"got ['{field}']" in caught.value.message


@pytest.mark.parametrize("damage", ["header", "tensors"])
def test_a_damaged_file_is_replaced_when_its_step_is_reached_again(damage: str) -> None:
    """Saving a step whose file is damaged writes it again."""
    path = save(make_checkpoint())
    whole = path.read_bytes()
    raw = bytearray(whole)
    raw[20 if damage == "header" else -1] ^= 1
    path.write_bytes(raw)
    save_checkpoint(path, make_checkpoint())
    assert path.read_bytes() == whole


def test_a_vocabulary_that_is_damaged_is_refused(tmp_path: Path) -> None:
    """A vocabulary with a repeated character is refused, in spite of correct digests."""
    path, checkpoint = tmp_path / "x", make_checkpoint()
    specs, pieces = checkpoint_tensors(checkpoint, prefix="")
    pieces["vocabulary"] = "a".encode("utf-32-le") * len(checkpoint.vocab)
    header = CheckpointHeader(**header_fields(checkpoint))
    with write_tensors(path, CHECKPOINT_KIND, specs, header.to_json()) as tensors:
        for name in tensors.order:
            tensors.write(pieces[name])
    with pytest.raises(FileFormatError) as caught:
        load_checkpoint(path)
    assert caught.value.message == (
        f"{path}: the vocabulary is damaged: a character occurs twice in the vocabulary"
    )


def test_weights_of_a_wrong_shape_are_not_written(tmp_path: Path) -> None:
    """A checkpoint whose weights do not fit its configuration is not saved."""
    checkpoint = make_checkpoint()
    weights = {**checkpoint.weights, "output.bias": np.zeros(3, np.float32)}
    with pytest.raises(ConfigError) as caught:
        save_checkpoint(tmp_path / "x", dataclasses.replace(checkpoint, weights=weights))
    assert caught.value.message == "tensor output.bias has shape (3,), expected (10,)"
    assert not (tmp_path / "x").exists()


def test_the_default_prime_is_always_known() -> None:
    """The default prime is a character of the model, whatever the header says."""
    assert make_checkpoint(characters="ab").default_prime == "a"
    assert make_checkpoint(characters=" ab").default_prime == " "
    assert make_checkpoint(characters="\n ab").default_prime == "\n"


def test_the_bytes_that_were_verified_are_the_ones_to_copy(tmp_path: Path) -> None:
    """A file that gets another name or content while it is copied is copied as it was verified."""
    path = save(make_checkpoint())
    whole = path.read_bytes()
    with path.open("rb") as file:
        path.rename(tmp_path / "moved")
        path.write_bytes(b"another file")
        checkpoint, data = load_verified(file, path)
    assert (checkpoint.step, data) == (100, whole)


@pytest.mark.parametrize("name", ["vocabulary", "zz"])
def test_a_sparse_file_of_gigabytes_is_refused_at_once(name: str) -> None:
    """Sizes in the header are checked before the tensors are read, in memory or from the disk."""
    run = new_run("tiny")
    save_resume(run, resume_state())
    elements = 17 << 28

    def enlarge(header: dict[str, Any]) -> None:
        start, stop = header["vocabulary"]["data_offsets"]  # the last tensor
        if name == "zz":
            header[name] = {"dtype": "F32"}
            start = stop
        offsets = [start, start + 4 * elements]
        header[name] |= {"shape": [elements], "data_offsets": offsets}

    forge(run.resume_path, enlarge)
    with run.resume_path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        spec = json.loads(file.read(length))[name]
        file.truncate(8 + length + spec["data_offsets"][1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError, match="is damaged: its tensors"):
        load_resume(run.resume_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16  # kilobytes


def test_an_end_symbol_outside_the_vocabulary(tmp_path: Path) -> None:
    """A model whose vocabulary lacks the end of its documents is damaged."""
    checkpoint = make_checkpoint()
    path = tmp_path / "model.safetensors"
    data = dataclasses.replace(checkpoint.data, end=END_OF_DOCUMENT)
    save_checkpoint(path, dataclasses.replace(checkpoint, data=data))
    with pytest.raises(FileFormatError) as caught:
        load_checkpoint(path)
    assert caught.value.message == (
        f"{path} is damaged: its vocabulary lacks the end of its documents"
    )
