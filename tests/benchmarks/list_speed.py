"""How long `charrnn checkpoints list` takes over 1,000 checkpoints, against `charrnn --help`.

    python -m tests.benchmarks.list_speed

Alternates the two as whole commands and prints medians and their ratio.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS, STEPS, ROUNDS = 20, 50, 15


def seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "charrnn_cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begun


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        from tests.helpers import make_checkpoint, save

        for run in range(RUNS):
            for step in range(1, STEPS + 1):
                save(make_checkpoint(run=f"run-{run}", step=step, val_loss=3 - step / 100))
        print(f"{len(list(Path(home).rglob('step-*')))} checkpoints in {RUNS} runs")
        commands = {
            "--help": ("--help",),
            "list": ("checkpoints", "list"),
            "list --json": ("checkpoints", "list", "--json"),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, arguments in commands.items():
                times[name].append(seconds(*arguments))
        base = statistics.median(times["--help"])
        for name, values in times.items():
            print(
                f"{name:<12} {statistics.median(values):.3f} s   {statistics.median(values) / base:.2f} x --help"
            )


if __name__ == "__main__":
    main()
