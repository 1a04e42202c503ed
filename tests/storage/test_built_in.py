"""The built-in model is a run that nobody can change."""

from pathlib import Path

import pytest

from charrnn_cli.errors import ConfigError, NotFoundError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage import built_in
from charrnn_cli.storage.built_in import (
    NAME,
    built_in_run,
    check_changeable,
    hides_built_in,
    is_built_in,
)
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run, latest
from tests.helpers import make_checkpoint, save


def test_it_is_whole() -> None:
    """The package holds one checkpoint of at most 3 MB, which names the books it has read."""
    (entry,) = built_in_run().checkpoints()
    assert entry.problem is None
    assert entry.file_bytes <= 3_000_000
    checkpoint = load_checkpoint(NAME)
    assert checkpoint.step == entry.step
    assert checkpoint.model.ngram == 0
    assert "Project Gutenberg 345, 84, 1260" in checkpoint.data.name


def test_its_references() -> None:
    """Every way to name a checkpoint of a run names it, and its own reference leads back to it."""
    registry = Registry()
    entry = latest(built_in_run().checkpoints())
    assert entry is not None
    for reference in (NAME, f"{NAME}@best", f"{NAME}@latest", f"{NAME}@{entry.step}"):
        assert registry.resolve(reference) == entry.path
    assert registry.reference_of(entry.path, entry.step) == f"{NAME}@{entry.step}"
    with pytest.raises(NotFoundError):
        registry.resolve(f"{NAME}@3")


def test_it_is_listed_but_never_the_newest_run() -> None:
    """It completes names, and a command without a reference does not take it."""
    registry = Registry()
    assert registry.runs() == []
    assert registry.listed() == [built_in_run()]
    assert registry.references("eng") == [NAME]
    assert f"{NAME}@best" in registry.references(f"{NAME}@")
    with pytest.raises(NotFoundError) as caught:
        registry.resolve()
    assert f"charrnn sample {NAME}" in str(caught.value.hint)


def test_a_run_of_its_name_takes_its_place() -> None:
    """Whoever trains a run of this name gets that run."""
    registry = Registry()
    save(make_checkpoint(run=NAME), registry)
    assert not is_built_in(registry.run(NAME))
    assert hides_built_in(registry.run(NAME))
    check_changeable(registry.run(NAME))
    assert [run.path for run in registry.listed()] == [registry.root / NAME]
    assert Path(registry.root) in registry.resolve(NAME).parents


def test_it_cannot_be_changed() -> None:
    """Commands that delete refuse it, and it does not hide itself."""
    assert not hides_built_in(built_in_run())
    with pytest.raises(ConfigError, match="built in"):
        check_changeable(built_in_run())


def test_the_remains_of_a_run_do_not_hide_it() -> None:
    """A run of its name that was killed before it saved is as good as none."""
    registry = Registry()
    (registry.root / NAME).mkdir(parents=True)
    assert is_built_in(registry.run(NAME))
    assert registry.listed() == [built_in_run()]


def test_a_missing_file_is_reported_as_such(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without its file, the hint is to install the program again."""
    monkeypatch.setattr(built_in, "built_in_run", lambda: Run(NAME, tmp_path))
    for reference in (NAME, f"{NAME}@best"):
        with pytest.raises(NotFoundError) as caught:
            Registry().resolve(reference)
        assert caught.value.hint == "install charrnn again"
