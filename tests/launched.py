"""The program in several processes, as a launcher starts them."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.snapshot import TrainingSnapshot, load_resume
from tests.helpers import TIMEOUT, Outcome
from tests.processes import running

PROGRAM = ("-m", "charrnn_cli")


class Processes(NamedTuple):
    """Processes of one training; the first is the one that writes."""

    all: "list[subprocess.Popen[str]]"

    def outcomes(self, timeout: float = TIMEOUT) -> list[Outcome]:
        """Wait for all to end."""
        until = time.monotonic() + timeout
        ended = []
        for process in self.all:
            out, err = process.communicate(timeout=max(0.1, until - time.monotonic()))
            ended.append(Outcome(process.returncode, out, err))
        return ended


@contextlib.contextmanager
def launched(
    number: int,
    *arguments: str | Path,
    program: Sequence[str | Path] = PROGRAM,
    cwd: Path,
    env: Mapping[str, str] | None = None,
) -> Iterator[Processes]:
    """Start a command in several processes for a `with` block; none outlives it."""
    shared: dict[str, str] = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
        **(env or {}),
    }
    options: dict[str, Any] = {"cwd": cwd, "encoding": "utf-8"}
    with contextlib.ExitStack() as stack:
        processes = []
        for rank in range(number):
            own = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            command = [sys.executable, *program, *map(str, arguments)]
            pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            processes.append(
                stack.enter_context(
                    running(command, env=own, stdin=subprocess.DEVNULL, **pipes, **options)
                )
            )
        yield Processes(processes)


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def together(number: int, *arguments: str | Path, cwd: Path, **options: Any) -> list[Outcome]:
    """Run a command in several processes."""
    with launched(number, *arguments, cwd=cwd, **options) as processes:
        return processes.outcomes()


def state(name: str) -> TrainingSnapshot:
    """Return the state with which a run resumes."""
    return load_resume(Registry().run(name).resume_path)


def assert_equal_runs(one: str, other: str) -> None:
    """Two runs have the same state, bit for bit."""
    first, second = (state(one), state(other))
    assert first.counters.running_loss == second.counters.running_loss
    for mine, theirs in (
        (first.checkpoint.weights, second.checkpoint.weights),
        (first.tensors, second.tensors),
    ):
        assert {k: v.tobytes() for k, v in mine.items()} == {
            k: v.tobytes() for k, v in theirs.items()
        }
