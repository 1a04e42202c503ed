"""Runs, their checkpoints, and the references that name them."""

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn_cli.errors import (
    ConfigError,
    FileFormatError,
    ForeignFileError,
    NotFoundError,
    StorageError,
    UsageError,
)
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.references import names_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.run_names import slug
from charrnn_cli.storage.runs import Run, best, check_run_name, latest, prunable
from charrnn_cli.training.snapshot import save_resume
from tests.helpers import forge, make_checkpoint, new_run, resume_state, save

TRAIN_OR_TRY = (
    "train a model with `charrnn train TEXT` or `charrnn demo`, or try `charrnn sample english`"
)


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
    """A bare run means its best checkpoint; without a run, the newest run is meant."""
    assert step_of(Registry().resolve(reference)) == step


def test_the_newest_run_is_the_last_updated(tiny_run: Run) -> None:
    """The run whose files changed last is the newest, whatever its steps."""
    save(make_checkpoint(run="other", step=5))
    for path in tiny_run.path.iterdir():
        os.utime(path, (10**9, 10**9))
    assert Registry().newest().name == "other"
    assert step_of(Registry().resolve("latest")) == 5


def test_a_run_without_validation_has_no_best() -> None:
    """A bare run then means its latest checkpoint, and `@best` is an error."""
    for step in (1, 2):
        save(make_checkpoint(step=step, val_loss=None))
    assert step_of(Registry().resolve("tiny")) == 2
    with pytest.raises(NotFoundError) as caught:
        Registry().resolve("tiny@best")
    assert caught.value.message == (
        "run 'tiny' has no best checkpoint: it was trained without validation"
    )
    assert caught.value.hint == "use tiny@latest"


@pytest.mark.usefixtures("tiny_run")
def test_a_path_is_a_reference(tmp_path: Path) -> None:
    """A reference with a separator, or one that ends in .safetensors, is a path."""
    path = Registry().resolve("tiny@100")
    assert Registry().resolve(str(path)) == path
    for missing in ("missing.safetensors", f"{tmp_path}/tiny"):
        with pytest.raises(NotFoundError) as caught:
            Registry().resolve(missing)
        assert caught.value.message == f"no checkpoint at {missing}"
        assert caught.value.hint == "run `charrnn checkpoints list` to see all runs"


STEPS = "use one of its steps: 100, 200, 300"
REFERENCES = "use RUN, RUN@best, RUN@latest, RUN@STEP, best or latest"
FORMS = "use tiny@best, tiny@latest or tiny@STEP"
NAMES = (
    "use at most 64 of the characters a-z 0-9 . _ - and start with a letter or digit; "
    "best, latest and device names such as con are reserved"
)


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("tinny", "no run named 'tinny' in {root}", "did you mean 'tiny'?"),
        (
            "zzz",
            "no run named 'zzz' in {root}",
            "run `charrnn checkpoints list` to see all runs",
        ),
        ("tiny@7", "run 'tiny' has no checkpoint at step 7", STEPS),
        ("tiny@-1", "'-1' is not a step, best or latest", FORMS),
        ("tiny@x", "'x' is not a step, best or latest", FORMS),
        ("tiny@best@best", "'best@best' is not a step, best or latest", FORMS),
        ("TINY", "'TINY' is not a valid run name", NAMES),
        ("a b", "'a b' is not a valid run name", NAMES),
        ("..", "'..' is not a valid run name", NAMES),
        ("best@1", "the reference 'best@1' names no run", REFERENCES),
        ("latest@best", "the reference 'latest@best' names no run", REFERENCES),
    ],
)
def test_wrong_references(reference: str, message: str, hint: str) -> None:
    """A reference that names nothing is a usage error with a hint."""
    with pytest.raises(UsageError) as caught:
        Registry().resolve(reference)
    assert caught.value.message == message.format(root=Registry().root)
    assert caught.value.hint == hint


@pytest.mark.usefixtures("tiny_run")
def test_an_empty_part_of_a_reference() -> None:
    """An empty step means the best checkpoint; an empty run, as of an unset variable, is none."""
    assert step_of(Registry().resolve("tiny@")) == 200
    for reference in ("", "@", "@best", "@100"):
        with pytest.raises(ConfigError) as caught:
            Registry().resolve(reference)
        assert caught.value.message == f"the reference {reference!r} names no run"


def test_a_run_without_readable_checkpoints(home: Path) -> None:
    """A run whose only checkpoint is damaged cannot be resolved."""
    path = save(make_checkpoint(step=3))
    path.write_bytes(b"")
    for reference in ("tiny", "tiny@latest", "tiny@best"):
        with pytest.raises(NotFoundError) as caught:
            Registry().resolve(reference)
        assert caught.value.message == "run 'tiny' has no readable checkpoint"
        assert caught.value.hint == "charrnn checkpoints list tiny"
    new_run("empty")
    with pytest.raises(NotFoundError) as caught:
        Registry().resolve("empty")
    assert caught.value.message == "run 'empty' has no readable checkpoint"
    assert caught.value.hint == "charrnn train TEXT --run empty"


def test_a_damaged_checkpoint_is_not_suggested(tiny_run: Run) -> None:
    """The steps in a hint are those of readable checkpoints."""
    tiny_run.step_path(200).write_bytes(b"")
    with pytest.raises(NotFoundError) as caught:
        Registry().resolve("tiny@7")
    assert caught.value.message == "run 'tiny' has no checkpoint at step 7"
    assert caught.value.hint == "use one of its steps: 100, 300"


def test_a_run_without_a_checkpoint_is_not_sampled(tiny_run: Run) -> None:
    """A newer run with only a resume file does not hide an older run with a checkpoint."""
    young = new_run("young")
    save_resume(young, resume_state())
    assert Registry().newest().name == "tiny"
    assert Registry().newest(resumable=True).name == "young"


def test_checkpoints_are_named_after_where_they_lie(tiny_run: Run, tmp_path: Path) -> None:
    """A checkpoint is named by the directory of its run, and a lone file by its path."""
    path = tiny_run.step_path(100)
    registry = Registry()
    assert registry.reference_of(path, 100) == "tiny@100"
    elsewhere = tmp_path / "tiny" / path.name  # a copy of the run that another program has changed
    for lone in (tmp_path / "model.safetensors", elsewhere):
        assert registry.reference_of(lone, 100) == str(lone)


def test_nothing_to_resolve() -> None:
    """Without any checkpoint the error suggests to train one."""
    with pytest.raises(NotFoundError) as caught:
        Registry().resolve()
    assert caught.value.message == f"no checkpoints in {Registry().root}"
    assert caught.value.hint == TRAIN_OR_TRY
    with pytest.raises(NotFoundError) as caught:
        Registry().resolve("tiny")
    assert caught.value.hint == TRAIN_OR_TRY
    with pytest.raises(NotFoundError) as caught:
        Registry().newest(resumable=True)
    assert caught.value.message == f"no runs to resume in {Registry().root}"
    assert caught.value.hint == "train a model with `charrnn train TEXT` or `charrnn demo`"


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
    """A name that some file system or a reference would read otherwise is refused."""
    with pytest.raises(ConfigError) as caught:
        check_run_name(name)
    assert caught.value.message == f"{name!r} is not a valid run name"
    assert caught.value.hint == NAMES


@given(st.text())
@example("0.SAFETENSORS")
@example("a.safetensors.safetensors")
def test_any_text_gives_a_valid_name(text: str) -> None:
    """`slug` makes a valid run name of any text."""
    assert check_run_name(slug(text)) == slug(text)


def test_a_taken_name_is_counted_up(home: Path) -> None:
    """A taken name gets the next free number, and no existing run is reused."""
    registry = Registry()
    with contextlib.ExitStack() as stack:
        names = [stack.enter_context(registry.create_like("Anna Karenina!")).name for _ in range(3)]
        assert names == ["anna-karenina", "anna-karenina-2", "anna-karenina-3"]
        long = [stack.enter_context(registry.create_like("x" * 80)).name for _ in range(2)]
        assert long == ["x" * 56, "x" * 56 + "-2"]
        other = stack.enter_context(registry.create_like("Ánna Kärenina", number=2))
        assert other.name == "anna-karenina-4"
        for attempt in (Registry.check_free, enter):
            with pytest.raises(ConfigError) as caught:
                attempt(registry, names[0])
            assert caught.value.message == "run 'anna-karenina' already exists"
            assert caught.value.hint == "use --run anna-karenina-5"
    assert registry.runs() == []  # nothing was saved
    assert list(registry.root.iterdir()) == []


def enter(registry: Registry, name: str) -> None:
    with registry.create(name):
        pass


def test_a_run_that_saved_nothing_is_no_obstacle(home: Path) -> None:
    """The remains of a run that was killed early are removed; a run in training stays."""
    registry = Registry()
    killed = new_run("killed")
    for name in (".lock", "metrics.jsonl", ".step-0000000001.safetensors.1-0123abcd.tmp"):
        (killed.path / name).touch()
    with hold_lock(killed.path), pytest.raises(ConfigError, match="already exists"):
        enter(registry, "killed")
    with registry.create("killed") as run:
        assert [path.name for path in run.path.iterdir() if path.name != ".lock"] == []
        save_resume(run, resume_state())
    assert registry.run("killed").has_resume_file()


def test_a_directory_that_is_not_ours_is_never_touched(home: Path, tmp_path: Path) -> None:
    """A user's own directory, a link, or a file in the place of a run keeps all that is in it."""
    own, elsewhere = home / "runs" / "own", tmp_path / "elsewhere"
    for directory in (own, elsewhere):
        directory.mkdir(parents=True)
        for name in (".lock", "metrics.jsonl", "notes.txt", ".notes.tmp", ".a.1-0123abcd.tmp"):
            (directory / name).write_text("mine")
    (home / "runs" / "linked").symlink_to(elsewhere)
    (home / "runs" / "file").write_text("mine")
    before = sorted((path, path.stat().st_size) for path in tmp_path.rglob("*"))
    for name in ("own", "linked", "file"):
        with pytest.raises(ConfigError, match="already exists"):
            enter(Registry(), name)
    Run("own", own).discard_if_empty()
    Run("linked", home / "runs" / "linked").discard_if_empty()
    assert sorted((path, path.stat().st_size) for path in tmp_path.rglob("*")) == before


def test_a_link_to_a_run_is_not_a_run(home: Path, tiny_run: Run) -> None:
    """A link in the registry names no run and no checkpoint, and the error says so."""
    link = home / "runs" / "link"
    link.symlink_to(tiny_run.path)
    for attempt in (Registry().run, Registry().resolve):
        with pytest.raises(NotFoundError) as caught:
            attempt("link")
        assert caught.value.message == f"{link} is a link, and is not followed"
    step = tiny_run.step_path(400)
    step.symlink_to(tiny_run.step_path(100))
    assert tiny_run.checkpoints()[-1].problem == "a link, and is not followed"
    with pytest.raises(ForeignFileError):
        Registry().resolve("tiny@400")


def test_a_run_that_can_be_resumed_is_not_replaced(home: Path) -> None:
    """The error for a taken name shows how to continue the run."""
    save_resume(new_run("old"), resume_state())
    with pytest.raises(ConfigError) as caught:
        enter(Registry(), "old")
    assert caught.value.message == "run 'old' already exists"
    assert caught.value.hint == (
        "use --run old-2, or continue this run with `charrnn train --resume old`"
    )


def test_best_and_latest() -> None:
    """The best has the lowest validation loss, the latest the highest step; neither is damaged."""
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
    assert entries[-1].header is None
    assert entries[-1].problem == "not a charrnn file"


def test_a_file_with_a_wrong_name_is_shown(tiny_run: Run) -> None:
    """A step file renamed to another step is listed as damaged, and is never the best."""
    os.rename(tiny_run.step_path(200), tiny_run.step_path(999))
    entry = tiny_run.checkpoints()[-1]
    assert entry.problem == "has the header of step 200, and the name of another"
    with pytest.raises(FileFormatError, match="has the header of step 200"):
        Registry().resolve("tiny@999")
    assert step_of(Registry().resolve("tiny")) == 300


def test_strangers_in_the_registry_are_left_alone(home: Path, tiny_run: Run) -> None:
    """Files, links and directories with other names are not runs."""
    (home / "runs" / "notes.txt").write_text("mine")
    (home / "runs" / "Upper").mkdir()
    (home / "runs" / "link").symlink_to(tiny_run.path, target_is_directory=True)
    (tiny_run.path / "notes.txt").write_text("mine")
    assert [run.name for run in Registry().runs()] == ["tiny"]
    assert len(tiny_run.checkpoints()) == 3


def test_an_empty_run_can_be_discarded(home: Path, tiny_run: Run) -> None:
    """A run without a checkpoint is removed; a run with one stays."""
    empty = new_run("empty")
    empty.metrics_path.write_text("{}\n")
    empty.discard_if_empty()
    assert empty.metrics_path.exists()  # because the lock is not held
    for run in (empty, tiny_run):
        with hold_lock(run.path) as held:
            dataclasses.replace(run, held=held).discard_if_empty()
    assert [run.name for run in Registry().runs()] == ["tiny"]


def test_losses_come_from_the_header(tiny_run: Run) -> None:
    """Losses are those of the header; a header with one that is not a number is not used."""
    entry = tiny_run.checkpoints()[0]
    assert (entry.train_loss, entry.val_loss) == (1.25, 2.0)
    forge(entry.path, train_loss="1.25", val_loss=True)
    entry = tiny_run.checkpoints()[0]
    assert (entry.header, entry.train_loss, entry.val_loss) == (None, None, None)
    assert entry.problem is not None
    assert entry.problem.startswith("has an invalid header: train loss must be a number")
    assert tiny_run.reference(entry.step) == "tiny@100"


def test_whether_a_run_is_finished(tiny_run: Run) -> None:
    """The resume file decides; without one, the planned number of steps does."""
    entries = tiny_run.checkpoints()
    assert not tiny_run.is_finished(latest(entries))
    assert not tiny_run.is_finished(None)
    save(make_checkpoint(step=1000))
    assert tiny_run.is_finished(latest(tiny_run.checkpoints()))
    for finished in (True, False):
        save_resume(tiny_run, resume_state(finished=finished))
        assert tiny_run.is_finished(latest(entries)) == finished


def test_a_runs_own_files(tiny_run: Run) -> None:
    """A run lists the files that it wrote, and counts the bytes of its whole directory."""
    (tiny_run.path / "notes.txt").write_text("mine")
    tiny_run.metrics_path.write_text("{}")
    names = ["metrics.jsonl", *(f"step-{step:010d}.safetensors" for step in (100, 200, 300))]
    assert [path.name for path in tiny_run.files()] == names
    assert tiny_run.file_bytes() == sum(path.stat().st_size for path in tiny_run.path.iterdir())


def test_prunable_spares_best_latest_and_damage(home: Path) -> None:
    """The best, the latest, the newest N and damaged checkpoints stay."""
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
    """Runs are completed first, and their checkpoints after an @."""
    registry = Registry()
    assert registry.references("t") == ["tiny"]
    assert registry.references("x") == []
    assert registry.references("tiny@b") == ["tiny@best"]
    assert registry.references("tiny@1") == ["tiny@100"]
    assert registry.references("../tiny@") == []


def test_a_registry_that_cannot_be_read(tmp_path: Path) -> None:
    """A file in place of the directory is an error that names it."""
    (tmp_path / "file").write_text("")
    registry = Registry(tmp_path / "file")
    with pytest.raises(StorageError) as caught:
        registry.runs()
    assert caught.value.message == f"cannot read {registry.root}: Not a directory"
    with pytest.raises(StorageError) as caught:
        enter(registry, "x")
    assert caught.value.message == f"cannot create {registry.root}: File exists"
    assert caught.value.hint == "set CHARRNN_HOME to a writable directory"
    assert Run("x", tmp_path / "nowhere").checkpoints() == []


def test_a_run_that_cannot_be_created(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error, and leaves nothing."""
    registry = Registry()
    mkdir = Path.mkdir

    def full(path: Path, *arguments: Any, **options: Any) -> None:
        if path.parent == registry.root:
            raise OSError(28, "No space left on device")
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError) as caught:
        enter(registry, "x")
    assert caught.value.message == f"cannot create {registry.root / 'x'}: No space left on device"
    assert list(registry.root.iterdir()) == []


def test_a_name_that_another_process_takes_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between choosing a free name and taking it, another process may take it: then the next is."""
    registry, rename = Registry(), Path.rename
    others = contextlib.ExitStack()

    def raced(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        others.enter_context(registry.create("x"))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", raced)
    with others, registry.create_like("x") as run:
        assert run.name == "x-2"


def test_files_that_go_while_they_are_listed(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is deleted after the directory was read is neither listed nor an error."""
    listdir, entries = os.listdir, Directory.entries

    def list_and_delete(path: Path) -> list[str]:
        names = listdir(path)
        tiny_run.step_path(200).unlink(missing_ok=True)
        return names

    monkeypatch.setattr(os, "listdir", list_and_delete)
    assert [entry.step for entry in tiny_run.checkpoints()] == [100, 300]

    def read_and_delete(directory: Directory) -> list[tuple[str, os.stat_result]]:
        found = entries(directory)
        tiny_run.step_path(300).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Directory, "entries", read_and_delete)
    assert [entry.step for entry in tiny_run.checkpoints()] == [100]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("tiny@100", True), ("a/b", True), ("best", True), ("latest", True), ("tiny", False)],
)
def test_references_to_one_checkpoint(reference: str, expected: bool) -> None:
    """A step, `best` and `latest` name one checkpoint; a bare name is the whole run."""
    assert names_checkpoint(reference) == expected


def test_what_killed_imports_left_is_removed(home: Path) -> None:
    """Creating a run removes what runs left that were killed early, and no directory of a user."""
    registry = Registry()
    killed, busy, own, empty = (new_run(name) for name in ("killed", "busy", "own", "empty"))
    done = Run("tiny", save(make_checkpoint()).parent)  # killed after its import was published
    half = ".step-0000000100.safetensors.1-0123abcd.tmp"
    for run in (killed, busy, own, done):
        (run.path / ".lock").touch()
        (run.path / half).write_bytes(b"half")
    (own.path / "notes.txt").touch()
    with hold_lock(busy.path), registry.create("new") as new:
        save(make_checkpoint(run="new"))
        assert [run.name for run in registry.runs()] == ["busy", "empty", "new", "own", "tiny"]
        assert (busy.path / half).exists()
        assert registry.free_name("killed") == "killed"
    assert (own.path / half).exists()
    assert sorted(done.directory.names()) == [".lock", "step-0000000100.safetensors"]
    assert list(empty.path.iterdir()) == []
    assert new.path.exists()


def test_a_text_in_the_place_of_a_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a file that exists leads to the command that trains on it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book").write_text("text")
    with pytest.raises(NotFoundError) as caught:
        Registry().run("book")
    assert caught.value.hint == "train a model on this file first: charrnn train book"


@pytest.mark.parametrize("name", ["book.html", "book.onnx"])
def test_an_exported_file_in_the_place_of_a_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nobody is led to train on an exported page or graph."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("text")
    with pytest.raises(NotFoundError) as caught:
        Registry().run(name)
    assert caught.value.hint == "use the run of this page or graph, or export a .safetensors file"


def test_what_leads_on_from_a_run(home: Path) -> None:
    """The next command depends on what the run's directory holds."""
    run = new_run("one")
    assert run.next_command() == "charrnn train TEXT --run one"
    (run.path / "notes.txt").touch()
    assert run.next_command() == "charrnn checkpoints list"
    with pytest.raises(NotFoundError) as caught:
        Registry().newest()
    assert caught.value.hint == TRAIN_OR_TRY
    save_resume(run, resume_state())
    assert run.next_command() == "charrnn train --resume one"
    with pytest.raises(NotFoundError) as caught:
        Registry().newest()
    assert caught.value.hint == "charrnn train --resume latest"
    save(make_checkpoint(run="one"))
    assert run.next_command() == "charrnn checkpoints list one"
