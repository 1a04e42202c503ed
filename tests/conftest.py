"""Fixtures: a home directory for each test, tiny real objects, and the program as users run it."""

import os

# A second thread does not speed up tiny models, and on a busy machine it makes them slow. Where a
# test asks for two, they wait for each other as they do in the program.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", GOMP_SPINCOUNT="10000")
# Hundreds of programs that tests start would each compile the package: 0.4 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.cores import available_cores
from tests.helpers import STORY, TIMEOUT, Charrnn, Inside, Outcome, make_checkpoint, save

settings.register_profile("shared", deadline=None)  # a machine may be busy with other work
settings.load_profile("shared")


def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores, since many tests wait for disks and signals."""
    return available_cores() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let slow tests take their time."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that forks in a process of its own, unless this process runs nothing else."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not pyfuncitem.get_closest_marker("forks"):
        return None
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "", pyfuncitem.nodeid]
    result = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        cwd=pyfuncitem.config.rootpath,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return True


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test its own empty CHARRNN_HOME."""
    directory = tmp_path / "home"
    monkeypatch.setenv("CHARRNN_HOME", str(directory))
    for name in ("CHARRNN_SEED", "CHARRNN_DEVICE", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    # Otherwise, commands measure both, and results depend on the machine.
    monkeypatch.setenv("CHARRNN_PRECISION", "fp32")
    monkeypatch.setenv("CHARRNN_THREADS", "1")
    return directory


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """Write STORY to a text file."""
    path = tmp_path / "story.txt"
    path.write_text(STORY, "utf-8")
    return path


@pytest.fixture
def corpus() -> Corpus:
    """Encode STORY."""
    return Corpus.from_text(STORY, "story")


@pytest.fixture
def charrnn(tmp_path: Path) -> Charrnn:
    """Run the program as a user does, in a process of its own."""

    def run(
        *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "charrnn_cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            check=False,
        )

    return run


@pytest.fixture
def inside(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> Inside:
    """Run the program in this process, without the seconds that a process takes to import torch."""
    from charrnn_cli.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(
        *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> Outcome:
        typed = io.BytesIO(stdin.encode("utf-8"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["charrnn", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(typed, "utf-8", "surrogateescape"))
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main()
        out, err = (stream.decode() for stream in capsysbinary.readouterr())
        return Outcome(int(end.value.code or 0), out, err)

    return run


@pytest.fixture
def tiny_run(home: Path) -> Run:
    """Make a run of three checkpoints, of which step 200 is the best."""
    for step, val_loss in ((100, 2.0), (200, 1.0), (300, 1.5)):
        save(make_checkpoint(step=step, val_loss=val_loss, seed=step))
    return Registry().run("tiny")
