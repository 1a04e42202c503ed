"""Random processes of a training are killed, and PyTorch's launcher starts all of them again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import STORY
from tests.launched import assert_equal_runs
from tests.processes import running

KILLS = 20
LONGEST = 1200.0  # seconds
SETTINGS = (
    *("--layers", "2", "--size", "64", "--embed", "16", "--batch-size", "8", "--seq-len", "16"),
    *("--seed", "1", "--init-from", "none", "--precision", "fp32", "--threads", "1"),
    *("--dropout", "0.2", "--max-steps", "9000", "--save-every", "100", "--eval-every", "1000"),
    *("--keep", "3", "-q", "--resume-if-exists"),
)


def torchrun(name: str) -> list[str]:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    numbers = ("--nproc-per-node", "2", "--max-restarts", str(2 * KILLS))
    program = ("-m", "charrnn_cli", "--", "train", "story.txt", "--run", name)
    return [*launcher, *numbers, *program, *SETTINGS]


def children(process: "subprocess.Popen[bytes]") -> list[int]:
    """Return the processes that a launcher has started."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_kills_change_nothing(home: Path, tmp_path: Path) -> None:
    """A run whose processes are killed 20 times ends in the same state as one without kills."""
    (tmp_path / "story.txt").write_text(STORY)
    subprocess.run(torchrun("whole"), cwd=tmp_path, timeout=LONGEST, check=True)
    kills, until, generator = 0, time.monotonic() + LONGEST, random.Random(1)
    with running(torchrun("killed"), cwd=tmp_path) as launcher:
        while launcher.poll() is None and kills < KILLS:
            assert time.monotonic() < until
            time.sleep(generator.uniform(1, 9))
            processes = children(launcher)
            if len(processes) == 2:
                os.kill(generator.choice(processes), signal.SIGKILL)
                kills += 1
        assert launcher.wait(LONGEST) == 0
    assert kills > 3
    assert_equal_runs("whole", "killed")
