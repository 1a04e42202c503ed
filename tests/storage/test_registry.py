"""Runs, checkpoints and references."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.errors import ConfigError, NotFoundError, StorageError, UsageError
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run, best, check_run_name, latest, prunable, reference_of, slug
from charrnn_cli.training.snapshot import save_resume
from tests.helpers import forge, make_checkpoint, resume_state, save


def step_of(path: Path) -> int:
    return int(path.stem.split("-")[1])


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    ("reference", "step"),
    [
        (None, 200),
        ("tiny", 200),
        ("tiny@best", 200),
        ("tiny@latest", 300),
        ("tiny@100", 100),
        ("tiny@0000100", 100),
        ("best", 200),
        ("latest", 300),
    ],
)
def test_references(reference: str | None, step: int) -> None:
    """A bare run means its best; nothing, `best` and `latest` mean the newest run's."""
    assert step_of(Registry().resolve(reference)) == step


def test_the_newest_run_is_the_last_updated(tiny_run: Run) -> None:
    save(make_checkpoint(run="other", step=5))
    for path in tiny_run.path.iterdir():
        os.utime(path, (10**9, 10**9))
    assert Registry().newest().name == "other"
    assert step_of(Registry().resolve("latest")) == 5


def test_a_run_without_validation_has_no_best() -> None:
    """The bare run then means its latest; `@best` is an error that says so."""
    for step in (1, 2):
        save(make_checkpoint(step=step, val_loss=None))
    assert step_of(Registry().resolve("tiny")) == 2
    with pytest.raises(NotFoundError, match="without validation"):
        Registry().resolve("tiny@best")


@pytest.mark.usefixtures("tiny_run")
def test_a_path_is_a_reference(tmp_path: Path) -> None:
    """It holds a separator or ends in .safetensors; nothing else does."""
    path = Registry().resolve("tiny@100")
    assert Registry().resolve(str(path)) == path
    with pytest.raises(NotFoundError, match="no checkpoint at"):
        Registry().resolve("missing.safetensors")
    with pytest.raises(NotFoundError, match="no checkpoint at"):
        Registry().resolve(f"{tmp_path}/tiny")


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    "reference",
    [
        "tinny",
        "tiny@7",
        "tiny@-1",
        "tiny@x",
        "tiny@",
        "TINY",
        "a b",
        "..",
        "@best",
        "tiny@best@best",
        "best@1",
    ],
)
def test_wrong_references(reference: str) -> None:
    """Each is a usage error with a hint, but for the trailing @, which says nothing."""
    if reference in ("tiny@", "@best"):
        assert step_of(Registry().resolve(reference)) == 200
        return
    with pytest.raises(UsageError) as caught:
        Registry().resolve(reference)
    assert caught.value.hint


@pytest.mark.usefixtures("tiny_run")
def test_a_mistyped_run_is_suggested() -> None:
    with pytest.raises(NotFoundError) as caught:
        Registry().resolve("tinny")
    assert caught.value.hint == "did you mean 'tiny'?"


def test_a_run_without_a_checkpoint_is_not_sampled(tiny_run: Run) -> None:
    """A younger run that has only a resume file yet does not hide the older one that can write."""
    young = Registry().create("young")
    save_resume(young, resume_state())
    assert Registry().newest().name == "tiny"
    assert Registry().newest(resumable=True).name == "young"


def test_checkpoints_are_named_after_where_they_lie(tiny_run: Run, tmp_path: Path) -> None:
    """An imported or copied run goes by its new name, a lone file by its path."""
    path = tiny_run.step_path(100)
    assert reference_of(path, 100) == "tiny@100"
    assert reference_of(tmp_path / "model.safetensors", 100) == str(tmp_path / "model.safetensors")


def test_nothing_to_resolve() -> None:
    with pytest.raises(NotFoundError, match="no checkpoints") as caught:
        Registry().resolve()
    assert "charrnn train" in str(caught.value.hint)


HOSTILE_NAMES = [
    "",
    "../x",
    "-rf",
    "CON",
    "con",
    "nul.txt",
    "com1",
    "lpt9.x.y",
    "a/b",
    "a\\b",
    "a\0b",
    ".",
    "..",
    "x.",
]
HOSTILE_NAMES += [
    "best",
    "latest",
    "model.safetensors",
    "A",
    "a b",
    "a" * 65,
    "[red]",
    "a\x1b[0m",
    "ä",
    " a",
    "a\n",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_run_names(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_run_name(name)
    assert caught.value.hint


@given(st.text())
def test_any_text_gives_a_valid_name(text: str) -> None:
    assert check_run_name(slug(text)) == slug(text)


def test_a_taken_name_is_counted_up(home: Path) -> None:
    """And an existing run is never taken over."""
    registry = Registry()
    names = [registry.create_like("Anna Karenina!").name for _ in range(3)]
    assert names == ["anna-karenina", "anna-karenina-2", "anna-karenina-3"]
    long = [registry.create_like("x" * 80).name for _ in range(2)]
    assert long == ["x" * 60, "x" * 56 + "-2"]
    save(make_checkpoint(run="anna-karenina"))
    with pytest.raises(ConfigError, match="exists already"):
        registry.create("anna-karenina")
    assert registry.create_like("Ánna Kärenina").name == "anna-karenina-4"


def test_a_run_that_saved_nothing_is_no_obstacle(home: Path) -> None:
    """It was killed early; one that is at work stays."""
    registry = Registry()
    run = registry.create("killed")
    for name in (".lock", "metrics.jsonl", ".step-0000000001.safetensors.1-ab.tmp"):
        (run.path / name).touch()
    assert [path.name for path in registry.create("killed").path.iterdir()] == []
    with hold_lock(run.path), pytest.raises(ConfigError, match="exists already"):
        registry.create("killed")


def test_best_and_latest() -> None:
    """The lowest validation loss, the earliest of equals; the highest step. Neither is a damaged file."""
    losses = {1: 2.0, 2: None, 3: 1.0, 4: 1.0, 5: 1.5}
    for step, loss in losses.items():
        path = save(make_checkpoint(step=step, val_loss=loss))
    path.write_bytes(b"garbage")
    entries = Registry().run("tiny").checkpoints()
    assert [entry.step for entry in entries] == [1, 2, 3, 4, 5]
    lowest, newest = best(entries), latest(entries)
    assert lowest is not None
    assert newest is not None
    assert (lowest.step, newest.step) == (3, 4)
    assert entries[-1].metadata is None
    assert "not a charrnn file" in str(entries[-1].problem)


def test_a_file_under_a_wrong_name_is_told(tiny_run: Run) -> None:
    """A step file renamed to another step is a row that says so, and never best."""
    os.rename(tiny_run.step_path(200), tiny_run.step_path(999))
    entry = tiny_run.checkpoints()[-1]
    assert entry.problem is not None
    assert step_of(Registry().resolve("tiny")) == 300


def test_strangers_in_the_registry_are_left_alone(home: Path, tiny_run: Run) -> None:
    """Files, links and directories of other names are no runs."""
    (home / "runs" / "notes.txt").write_text("mine")
    (home / "runs" / "Upper").mkdir()
    (home / "runs" / "link").symlink_to(tiny_run.path, target_is_directory=True)
    (tiny_run.path / "notes.txt").write_text("mine")
    assert [run.name for run in Registry().runs()] == ["tiny"]
    assert len(tiny_run.checkpoints()) == 3


def test_an_empty_run_can_be_discarded(home: Path, tiny_run: Run) -> None:
    """One that holds a checkpoint cannot."""
    empty = Registry().create("empty")
    empty.metrics_path.write_text("{}\n")
    empty.discard_if_empty()
    tiny_run.discard_if_empty()
    assert [run.name for run in Registry().runs()] == ["tiny"]


def test_losses_come_from_the_header(tiny_run: Run) -> None:
    """A loss that is none, or no number, is none."""
    entry = tiny_run.checkpoints()[0]
    assert (entry.train_loss, entry.val_loss) == (1.25, 2.0)
    forge(entry.path, train_loss="1.25", val_loss=True)
    entry = tiny_run.checkpoints()[0]
    assert (entry.train_loss, entry.val_loss) == (None, None)
    assert tiny_run.reference(entry.step) == "tiny@100"


def test_whether_a_run_is_finished(tiny_run: Run) -> None:
    """Its resume file says so; without one, whether the planned steps were reached."""
    entries = tiny_run.checkpoints()
    assert not tiny_run.is_finished(latest(entries))
    assert not tiny_run.is_finished(None)
    save(make_checkpoint(step=1000))
    assert tiny_run.is_finished(latest(tiny_run.checkpoints()))
    for finished in (True, False):
        save_resume(tiny_run, resume_state(finished=finished))
        assert tiny_run.is_finished(latest(entries)) == finished


def test_a_runs_own_files(tiny_run: Run) -> None:
    """Are those that it wrote; their size is the run's."""
    (tiny_run.path / "notes.txt").write_text("mine")
    tiny_run.metrics_path.write_text("{}")
    names = ["metrics.jsonl", *(f"step-{step:010d}.safetensors" for step in (100, 200, 300))]
    assert [path.name for path in tiny_run.files()] == names
    assert tiny_run.file_bytes() == sum(path.stat().st_size for path in tiny_run.path.iterdir())


def test_surplus_spares_best_latest_and_damage(home: Path) -> None:
    for step, loss in enumerate([3.0, 1.0, 2.0, 2.5, 2.6], start=1):
        path = save(make_checkpoint(step=step, val_loss=loss))
    entries = Registry().run("tiny").checkpoints()
    assert [entry.step for entry in prunable(entries, 1)] == [1, 3, 4]
    assert [entry.step for entry in prunable(entries, 3)] == [1]
    assert prunable(entries, 100) == []
    path.write_bytes(b"")
    assert [entry.step for entry in prunable(Registry().run("tiny").checkpoints(), 1)] == [1, 3]


@pytest.mark.usefixtures("tiny_run")
def test_references_for_completion() -> None:
    registry = Registry()
    assert registry.references("t") == ["tiny"]
    assert registry.references("x") == []
    assert registry.references("tiny@b") == ["tiny@best"]
    assert registry.references("tiny@1") == ["tiny@100"]
    assert registry.references("../tiny@") == []


def test_a_registry_that_cannot_be_read(tmp_path: Path) -> None:
    """A file where the directory should be: listing and creating are errors that name it."""
    (tmp_path / "file").write_text("")
    registry = Registry(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot read"):
        registry.runs()
    with pytest.raises(StorageError, match="cannot create"):
        registry.create("x")
    assert Run("x", tmp_path / "nowhere").checkpoints() == []


def test_a_run_that_cannot_be_created(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told as such; a name that another process takes meanwhile is passed over."""
    registry = Registry()
    mkdir = Path.mkdir

    def full(path: Path, *arguments: object, **options: object) -> None:
        if path.parent == registry.root:
            raise OSError(28, "No space left on device")
        mkdir(path, parents=True, exist_ok=True)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match="No space left"):
        registry.create("x")
    taken = iter([True])

    def raced(path: Path, *arguments: object, **options: object) -> None:
        if path.parent == registry.root and next(taken, False):
            raise FileExistsError
        mkdir(path, parents=True, exist_ok=True)

    monkeypatch.setattr(Path, "mkdir", raced)
    assert registry.create_like("x").name == "x-2"


def test_files_that_go_while_they_are_listed(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the directory and the look at the file: no row, no error."""
    scandir = os.scandir

    def scan_and_delete(path: Path) -> list[os.DirEntry[str]]:
        entries = list(scandir(path))
        tiny_run.step_path(200).unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(os, "scandir", scan_and_delete)
    assert [entry.step for entry in tiny_run.checkpoints()] == [100, 300]

    def list_then_delete(path: Path) -> list[os.DirEntry[str]]:
        entries = list(scandir(path))
        for entry in entries:
            entry.stat(follow_symlinks=False)
        tiny_run.step_path(300).unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(os, "scandir", list_then_delete)
    assert [entry.step for entry in tiny_run.checkpoints()] == [100]
