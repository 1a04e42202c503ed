"""Fields of headers: their types and ranges, whoever wrote them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.errors import ConfigError, FileFormatError, NewerFormatError
from charrnn_cli.model.checkpoint import header_fields
from charrnn_cli.settings import about, fields_of
from charrnn_cli.storage.corpus_header import CorpusHeader
from charrnn_cli.storage.header import CheckpointHeader, DataFacts, ResumeHeader, RunCounters
from charrnn_cli.storage.record import typed_header
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.training.snapshot import save_resume
from tests.helpers import forge, make_checkpoint, new_run, resume_state, save

HEADER = CheckpointHeader(**header_fields(make_checkpoint()))
RESUME = ResumeHeader(
    **header_fields(make_checkpoint()),
    progress=RunCounters(),
    source=Source((Path("/a b/é"), Path("-")), TextOptions()),
    finished=False,
)
CORPUS = CorpusHeader(name="a", characters=3, unseen={"x": 2}, skipped=[["f", "empty"]])


@pytest.mark.parametrize("header", [HEADER, RESUME, CORPUS], ids=["checkpoint", "resume", "corpus"])
def test_a_header_survives_a_round_trip(header: CheckpointHeader | CorpusHeader) -> None:
    """A header read from its own JSON is equal, and fields that are not known are ignored."""
    assert type(header).from_json({**header.to_json(), "later": [1]}) == header


def test_what_may_be_missing() -> None:
    """A field with a default may be missing, and a counter may not."""
    assert CorpusHeader.from_json({"name": "a", "characters": 3}).documents == 1
    counters = RunCounters()
    assert [counters.record_evaluation(1, 2.0), counters.record_evaluation(2, 3.0)] == [True, False]
    assert (counters.best_step, counters.evaluations_since_best) == (1, 1)


def test_every_field_is_documented() -> None:
    """Each field of each table has a meaning, because the tables are the format's documentation."""
    for table in (CheckpointHeader, ResumeHeader, CorpusHeader, DataFacts, RunCounters):
        for field in fields_of(table).values():
            assert about(field).help


VALUES = [None, True, -1, 1.5, 10**11, float("nan"), "x", "x" * 5000, [], [1], {}, {"a": [1]}]


@pytest.mark.parametrize("header", [HEADER, RESUME, CORPUS], ids=["checkpoint", "resume", "corpus"])
def test_a_field_of_another_type_is_refused(header: CheckpointHeader | CorpusHeader) -> None:
    """Whatever stands in a field, the header is refused or the field has its type."""
    raw = header.to_json()
    refused = 0
    for name in raw:
        for value in VALUES:
            try:
                changed = type(header).from_json({**raw, name: value})
            except ConfigError:
                refused += 1
                continue
            found = getattr(changed, name)
            assert found is None or type(found) in (type(value), type(getattr(header, name)))
    assert refused > len(raw) * len(VALUES) / 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"parameters": "x"}, "parameters must be an integer; got 'x'"),
        ({"parameters": 1}, "parameters must be"),
        ({"step": 10**10}, "step must be from 0 to 9,999,999,999; got 10000000000"),
        ({"step": -1}, "step must be from 0 to 9,999,999,999; got -1"),
        ({"train": None}, "train must be"),
        ({"train": {"seed": []}}, "train must be"),
        ({"train": {"seed": "x"}}, "seed must be an integer"),
        ({"train": {"max_steps": 0}}, "max steps must be at least 1"),
        ({"epoch": "two"}, "epoch must be"),
        ({"data": {"name": "x"}}, "missing field 'sha256'"),
        ({"data": {**asdict(HEADER.data), "commonest": "ab"}}, "commonest is longer than 1"),
        ({"data": {**asdict(HEADER.data), "sha256": "0" * 63}}, "sha256 must have 64 digits"),
        ({"data": {**asdict(HEADER.data), "end": "a"}}, "the end symbol must be that of the doc"),
        (
            {"data": {**asdict(HEADER.data), "reading": {"documents": "lines"}}},
            "the end symbol must be that of the documents",
        ),
        ({"versions": {"python": 3}}, "versions must be"),
        ({"interrupted": 0}, "interrupted must be"),
        ({"model": {**asdict(HEADER.model), "size": 0}}, "size must be from 1"),
        ({"model": []}, "expected an object"),
    ],
    ids=str,
)
def test_a_checkpoint_that_no_reader_could_use(changes: dict[str, Any], problem: str) -> None:
    """A header with correct digests and an impossible field is an error, and breaks no list."""
    path = save(make_checkpoint())
    forge(path, **changes)
    with pytest.raises(FileFormatError) as caught:
        typed_header(read_header(path), CheckpointHeader, path)
    assert caught.value.message.startswith(f"{path} has an invalid header: ")
    assert problem in caught.value.message


def test_settings_of_a_newer_version() -> None:
    """A model's unknown setting comes from a newer version; another unknown setting is kept."""
    path = save(make_checkpoint())
    forge(path, train={"later": 3})
    assert typed_header(read_header(path), CheckpointHeader, path).train == {"later": 3}
    forge(path, version="9.0", model={**asdict(HEADER.model), "later": 3})
    with pytest.raises(NewerFormatError) as caught:
        typed_header(read_header(path), CheckpointHeader, path)
    assert caught.value.hint == "upgrade charrnn"
    assert "was written by charrnn 9.0, and its model has the setting 'later'" in str(caught.value)


def test_a_file_of_another_kind() -> None:
    """A resume file is not a checkpoint, and the error says what it is."""
    run = new_run("one")
    save_resume(run, resume_state())
    with pytest.raises(FileFormatError) as caught:
        typed_header(read_header(run.resume_path), CheckpointHeader, run.resume_path)
    assert caught.value.message == (
        f"{run.resume_path} is a charrnn resume file, not a checkpoint file"
    )


def test_a_reading_that_cannot_be_used() -> None:
    """An encoding that does not exist is an invalid header."""
    raw = {**CORPUS.to_json(), "reading": {"encoding": "utf-9"}}
    with pytest.raises(ConfigError, match="unknown encoding 'utf-9'"):
        CorpusHeader.from_json(raw)


def test_counters_of_version_0_1_0() -> None:
    """The running loss had another name in the resume files of that version."""
    raw = asdict(RunCounters(running_loss=1.5))
    raw["train_loss"] = raw.pop("running_loss")
    assert RunCounters.from_json(raw).running_loss == 1.5
