"""How long `charrnn checkpoints list` takes over 1,000 checkpoints, beside `charrnn --help`.

    python -m tests.benchmarks.list_speed [TREE]

TREE is the directory of an older version, which is measured in turn with this one. Prints the
median seconds of whole commands, into a pipe and on a terminal, and the ratio to the older version.
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
    """Run a command of one version; return the seconds until its end."""
    reader, writer = pty.openpty() if terminal else os.pipe()
    begun = time.perf_counter()
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
    except OSError:  # how a terminal ends
        pass
    assert process.wait() == 0
    os.close(reader)
    return time.perf_counter() - begun


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
                ratio = f", {medians[0] / medians[1]:.2f} x the older" if len(trees) > 1 else ""
                where = "terminal" if terminal else "pipe"
                print(f"{where:<9} {command:<24} {medians[0]:.3f} s{ratio}")


if __name__ == "__main__":
    main()
