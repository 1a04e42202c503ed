"""Measure how the speed of a run grows with the number of processes, and what limits it.

    python -m tests.benchmarks.scaling TEXT [--device cpu|cuda] [--quick] [--size N]

The batch is the same for every number of processes, as in a run. The processes are on this machine,
with its cores or GPUs divided among them. Seconds and rates hold only for one machine.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from charrnn_cli.training.cores import available_cores
from charrnn_cli.training.decisions import Decisions
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.launch import Launch
from charrnn_cli.training.processes import Processes
from charrnn_cli.training.trainer import make_trainer
from charrnn_cli.training.windows import make_windows

NUMBERS = (1, 2, 4)
STEPS, QUICK_STEPS, ROUNDS = 40, 10, 5
LONGEST = 600.0  # seconds of one measurement
MUCH = 0.2  # of a step: so large a part limits the speed


def measure(processes: Processes, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of a step, of its computation alone, and of the sum of gradients."""
    settings = {"layers": 2, "size": arguments.size, "batch_size": arguments.rows, "ngram": 0}
    job = TrainingJob.new(arguments.text, {**settings, "seq_len": 64, "seed": 1}, name="scaling")
    device = processes.device(f"{arguments.device}:0" if arguments.device == "cuda" else "cpu")
    torch.set_num_threads(processes.threads)
    decisions = Decisions(
        seed=1,
        device=str(device),
        precision="fp32",
        threads=processes.threads,
        steps=10_000,
        dropout=0.25,
        eval_every=0,
        val_rows=0,
    )
    windows = make_windows(job.corpus, job.split, job.config, seed=1)
    whole = make_trainer(job, decisions, windows, processes=processes)
    alone = make_trainer(job, decisions, windows, processes=Processes(processes.share))
    steps = QUICK_STEPS if arguments.quick else STEPS
    seconds: dict[str, list[float]] = {"step": [], "compute": [], "sum": []}
    for _ in range(ROUNDS):  # in turns, so that a busy machine slows all equally
        for name, trainer in (("compute", alone), ("step", whole)):
            processes.total(0.0)  # all begin at the same time
            before = time.monotonic()
            for _ in range(steps):
                trainer.update()
            trainer.is_healthy()  # waits for the device
            seconds[name].append((time.monotonic() - before) / steps)
        seconds["sum"].append(processes.time_sum(job.model.num_parameters, device))
    found = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    return {**found, "parameters": job.model.num_parameters}


def work(arguments: argparse.Namespace) -> None:
    """Measure as one of several processes; the first one prints."""
    launch = Launch.of()
    with contextlib.ExitStack() as stack:
        processes = Processes()
        if launch is not None:
            from charrnn_cli.training.process_group import joined

            processes = stack.enter_context(joined(launch, lambda: None, lambda _: None))
        found = measure(processes, arguments)
        if processes.is_first:
            sys.stdout.write(json.dumps(found) + "\n")


def run(number: int, words: list[str]) -> dict[str, float]:
    """Measure with a number of processes."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(number)}
    shared |= {"LOCAL_WORLD_SIZE": str(number), "GOMP_SPINCOUNT": "10000"}  # as the program does
    command = [sys.executable, "-m", "tests.benchmarks.scaling", *words, "--worker"]
    started: list[subprocess.Popen[str]] = []
    try:
        for rank in range(number):
            own = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            started.append(subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True))
        outputs = [process.communicate(timeout=LONGEST)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    found: dict[str, float] = json.loads(outputs[0])
    return found


def limit(number: int, found: dict[str, float], one: dict[str, float], places: int) -> str:
    """Say what makes the speed less than as many times as high."""
    lost = found["step"] - one["step"] / number
    parts = {
        "the sum of the gradients": found["sum"],
        f"{number} processes on {places} cores or GPUs"
        if number > places
        else "products of fewer rows, which take nearly as long": found["compute"]
        - one["compute"] / number,
    }
    name, seconds = max(parts.items(), key=lambda item: item[1])
    if lost < MUCH * found["step"]:
        return "nothing much"
    return f"{name} ({1000 * seconds:.2f} of {1000 * found['step']:.2f} ms)"


def main() -> None:
    """Print a table of steps a second, efficiency, and the time of the sum alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--worker", action="store_true")
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return
    words = [word for word in sys.argv[1:] if word != "--worker"]
    places = torch.cuda.device_count() if arguments.device == "cuda" else available_cores()
    print(f"2x{arguments.size}, {arguments.rows} rows of 64 characters, {arguments.device}")
    print("processes  steps/s  efficiency  step ms  computation ms  sum ms  limited by")
    one: dict[str, float] = {}
    for number in NUMBERS:
        found = run(number, words)
        one = one or found
        efficiency = one["step"] / found["step"] / number
        print(
            f"{number:9}  {1 / found['step']:7.2f}  {efficiency:10.2f}  "
            f"{1000 * found['step']:7.2f}  {1000 * found['compute']:14.2f}  "
            f"{1000 * found['sum']:6.2f}  {limit(number, found, one, places)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
