"""Measure `charrnn checkpoints list` with 1,000 checkpoints, and `charrnn --help`.

    python -m tests.benchmarks.list_speed [TREE]

TREE is the directory of an older version, whose commands alternate with those of this one. Prints
the median seconds of whole commands, in a pipe and on a terminal, and ratios to the older version.
"""

import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS, STEPS, ROUNDS = 20, 50, 9
HERE = Path(__file__).parent.parent.parent
COMMANDS = ("--help", "checkpoints list", "checkpoints list --json")


def seconds(tree: Path, command: str, *, terminal: bool) -> float:
    """Run a command of one version; return the seconds until it exits."""
    reader, writer = pty.openpty() if terminal else os.pipe()
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn_cli", *command.split()],
        stdout=writer,
        stderr=writer,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
    )
    os.close(writer)
    try:
        while os.read(reader, 1 << 16):
            pass
    except OSError:  # the terminal has been closed
        pass
    assert process.wait() == 0
    os.close(reader)
    return time.perf_counter() - started


def main() -> None:
    trees = [HERE, *(Path(name).absolute() for name in sys.argv[1:2])]
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        from tests.helpers import make_checkpoint, save

        for run in range(RUNS):
            for step in range(1, STEPS + 1):
                save(make_checkpoint(run=f"run-{run}", step=step, val_loss=3 - step / 100))
        print(f"{len(list(Path(home).rglob('step-*')))} checkpoints in {RUNS} runs")
        for terminal in (False, True):
            for command in COMMANDS:
                times: dict[Path, list[float]] = {tree: [] for tree in trees}
                for _ in range(ROUNDS):
                    for tree in trees:
                        times[tree].append(seconds(tree, command, terminal=terminal))
                medians = [statistics.median(values) for values in times.values()]
                ratio = (
                    f", {medians[0] / medians[1]:.2f} x the older version" if len(trees) > 1 else ""
                )
                where = "terminal" if terminal else "pipe"
                print(f"{where:<9} {command:<24} {medians[0]:.3f} s{ratio}")


if __name__ == "__main__":
    main()
