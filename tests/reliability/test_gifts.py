"""A run directory from a stranger: links, FIFOs and devices in the place of its files."""

import os
import shutil
from pathlib import Path

import pytest

from charrnn_cli.errors import ForeignFileError, StorageError
from charrnn_cli.model.baselines import baselines
from charrnn_cli.storage.lock import check_unlocked, hold_lock
from charrnn_cli.storage.metrics_log import read_metrics
from charrnn_cli.storage.opening import open_regular, open_to_append, read_small
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from tests.helpers import STORY, Inside

SHELL = "# my shell starts with this file\n"


@pytest.fixture
def gift(story: Path) -> Run:
    """A run that can be resumed."""
    settings = {"layers": 1, "size": 16, "embed": 8, "batch_size": 4, "seq_len": 16, "seed": 1}
    limits = {"max_steps": 4, "eval_every": 2, "threads": 1}
    list(train(TrainingJob.new(story, {**settings, **limits}, name="gift")))
    return Registry().run("gift")


def plant(path: Path, kind: str, victim: Path) -> None:
    """Put a link, a FIFO, a device or a directory in the place of a file."""
    path.unlink(missing_ok=True)
    match kind:
        case "link":
            path.symlink_to(victim)
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()


@pytest.mark.parametrize("kind", ["link", "fifo", "device", "directory"])
def test_planted_metrics(inside: Inside, gift: Run, tmp_path: Path, kind: str) -> None:
    """Nothing is appended through a link, and nothing waits for a FIFO; training goes on."""
    victim = tmp_path / "rc"
    victim.write_text(SHELL)
    plant(gift.metrics_path, kind, victim)
    assert inside("checkpoints", "show", "gift")[0] == 0
    assert inside("train", "--resume", "gift", "--max-steps", "8", "--sample-every", "2")[0] == 0
    assert victim.read_text() == SHELL
    assert read_metrics(gift.metrics_path).evaluations == []


@pytest.mark.parametrize("kind", ["link", "fifo", "device", "directory"])
def test_a_planted_lock(inside: Inside, gift: Run, tmp_path: Path, kind: str) -> None:
    """Nothing waits for a lock that is a FIFO, or writes to one that is a link."""
    victim = tmp_path / "rc"
    victim.write_text(SHELL)
    plant(gift.path / ".lock", kind, victim)
    assert inside("checkpoints", "list")[0] == 0
    for command in (
        ("train", "--resume", "gift", "--max-steps", "8"),
        ("checkpoints", "rm", "gift", "--yes"),
        ("checkpoints", "prune", "gift", "--keep", "1", "--yes"),
    ):
        code, _, err = inside(*command)
        assert code == 1
        assert str(gift.path / ".lock") in err
    assert victim.read_text() == SHELL
    assert gift.steps() == [2, 4]


@pytest.mark.parametrize("kind", ["link", "fifo", "device", "directory"])
def test_planted_baselines(tmp_path: Path, home: Path, kind: str) -> None:
    """Figures of a text are measured again if their file in the cache is not a regular one."""
    corpus = Corpus.from_text(STORY)
    measured = baselines(corpus)
    (path,) = (home / "corpora").glob("*.baselines.json")
    victim = tmp_path / "rc"
    victim.write_text(SHELL)
    plant(path, kind, victim)
    assert baselines(corpus) == measured
    assert victim.read_text() == SHELL


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"uniform": "x"}', "[" * 100_000, "9" * 5000, "x" * 10_000]
)
def test_damaged_baselines(home: Path, content: str) -> None:
    """Figures of a text are measured again if their file in the cache is damaged."""
    corpus = Corpus.from_text(STORY)
    measured = baselines(corpus)
    (path,) = (home / "corpora").glob("*.baselines.json")
    path.write_text(content)
    assert baselines(corpus) == measured


def test_a_linked_resume_file_is_not_followed(inside: Inside, gift: Run, tmp_path: Path) -> None:
    """A resume file that is a link to another run's state is not used."""
    shutil.move(gift.resume_path, tmp_path / "other")
    gift.resume_path.symlink_to(tmp_path / "other")
    code, _, err = inside("train", "--resume", "gift", "--max-steps", "8")
    assert code == 1
    assert f"error: {gift.resume_path} is a link, and is not followed\n" in err
    assert gift.resume_path.is_symlink()


def test_files_with_another_name(inside: Inside, gift: Run, tmp_path: Path) -> None:
    """What a hard link in a run names elsewhere is neither cut nor appended to."""
    for path in (gift.path / ".lock", gift.metrics_path, gift.resume_path, gift.step_path(4)):
        victim = tmp_path / f"victim-{path.name}"
        victim.write_bytes(path.read_bytes() or b"precious")
        path.unlink()
        os.link(victim, path)
    before = {path: path.read_bytes() for path in tmp_path.glob("victim-*")}
    assert inside("train", "--resume", "gift", "--max-steps", "8")[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    assert len(read_metrics(gift.metrics_path).evaluations) > 2  # the copy went on
    assert gift.metrics_path.stat().st_nlink == 1


def test_one_module_opens_files(tmp_path: Path) -> None:
    """A link, a FIFO or a large file is refused, unless a user has named a link."""
    target, link, fifo = tmp_path / "target", tmp_path / "link", tmp_path / "fifo"
    target.write_bytes(b"12345")
    link.symlink_to(target)
    os.mkfifo(fifo)
    assert read_small(target, 5) == b"12345"
    assert read_small(link, 5, follow=True) == b"12345"
    for path, limit in ((target, 4), (link, 5), (fifo, 5)):
        with pytest.raises(ForeignFileError):
            read_small(path, limit)
    for path in (link, fifo):
        with pytest.raises(ForeignFileError), open_to_append(path):
            pass
        with pytest.raises(ForeignFileError), open_regular(path):
            pass
    with open_to_append(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_is_a_link_is_not_locked(tmp_path: Path) -> None:
    """A lock is never taken through a link to a directory."""
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(StorageError), hold_lock(tmp_path / "link"):
        pass
    check_unlocked(tmp_path / "link")
    assert list((tmp_path / "target").iterdir()) == []
