"""Tiny real objects, and the program as a subprocess."""

import os

# Tiny models: a second thread would only wait for the first, for long where the machine is busy.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.text.corpus import Corpus
from tests.helpers import STORY, Charrnn, Inside, make_checkpoint, save

settings.register_profile("shared", deadline=None)  # a machine may be busy with other work
settings.load_profile("shared")

TIMEOUT = 120


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of its own for every test."""
    directory = tmp_path / "home"
    monkeypatch.setenv("CHARRNN_HOME", str(directory))
    for name in ("CHARRNN_SEED", "CHARRNN_DEVICE", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return directory


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(STORY, "utf-8")
    return path


@pytest.fixture
def corpus() -> Corpus:
    return Corpus.from_text(STORY, "story")


@pytest.fixture
def charrnn(tmp_path: Path) -> Charrnn:
    """Run the program as a user does: exit code, stdout and stderr, each on its own."""

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
    """The program's entry point in this process, for what needs none of its own: exit code, stdout and stderr."""
    from charrnn_cli.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["charrnn", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = (stream.decode() for stream in capsysbinary.readouterr())
        return int(end.value.code or 0), out, err

    return run


@pytest.fixture
def tiny_run(home: Path) -> Run:
    """A run of three checkpoints; step 200 is the best."""
    for step, val_loss in ((100, 2.0), (200, 1.0), (300, 1.5)):
        save(make_checkpoint(step=step, val_loss=val_loss, seed=step))
    return Registry().run("tiny")
