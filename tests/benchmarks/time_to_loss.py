"""Compare how many seconds of training charrnn and the plain port need to reach a val loss.

    python -m tests.benchmarks.time_to_loss anna.txt --val-split spread \\
        --target 1.243:1780 --target 1.119:3560
    python -m tests.benchmarks.time_to_loss tinyshakespeare.txt --layers 1 --lr 4e-3 \\
        --dropout 0 --max-steps 2500

A target is a val loss, and the number of steps of 100 x 100 characters that the port needs to reach
it. Seconds per step are medians of steps that alternate in one process. Evaluations are excluded on
both sides.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from charrnn_cli.config import TrainConfig
from charrnn_cli.events import Evaluated
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.training.calibration import calibrate
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.ngram_inputs import ngram_text
from charrnn_cli.training.plan import make_plan
from charrnn_cli.training.trainer import make_trainer
from tests.benchmarks.throughput import median_seconds, port_step

# Characters per window. Each starts at the zero state, like the windows of fixed-context models.
FRESH_WINDOW = 256


def seconds_per_step(job: TrainingJob, rounds: int) -> dict[str, float]:
    """Time steps of the port and of the job's trainer."""
    calibration = calibrate(job, never_stop)
    plan = make_plan(job, calibration, started=0.0, now=0.0)
    trainer = make_trainer(job, plan.decisions, plan.windows)
    port = port_step(100, 100, len(job.corpus.vocab))
    return median_seconds({"port": port, "ours": trainer.update}, rounds)


def reached(job: TrainingJob) -> tuple[list[Evaluated], float]:
    """Train the job; return its evaluations and its final loss on fresh windows."""
    evaluations = []
    for event in train(job):
        if isinstance(event, Evaluated):
            evaluations.append(event)
            losses = f"step {event.step:>6,}   val {event.val_loss:.4f}"
            print(f"  {losses}   {event.seconds:5.0f} s", flush=True)
    checkpoint = load_checkpoint(job.run.checkpoints()[-1].path)
    network = CharRNN(checkpoint.model)
    network.load(checkpoint.weights)
    rows = [
        (start, min(start + FRESH_WINDOW, stop))
        for first, stop in job.split.val
        for start in range(first, stop, FRESH_WINDOW)
    ]
    fresh = evaluate(network, job.corpus, rows, "fp32", never_stop, ngram_text(job))
    assert fresh is not None
    return evaluations, fresh


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("--target", action="append", default=[], metavar="LOSS:PORT_STEPS")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--val-split", default="tail")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--embed", type=int, default=64)
    parser.add_argument("--lr", type=float, default=TrainConfig().lr)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seq-len", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=4500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        given = vars(arguments)
        names = set(given) - {"text", "target", "rounds"}
        settings = {name: given[name] for name in names if given[name] is not None}
        job = TrainingJob.new(arguments.text, {**settings, "seed": 1}, name="benchmark")
        seconds = seconds_per_step(job, arguments.rounds)
        started = time.monotonic()
        evaluations, fresh = reached(job)
        last, per_step = evaluations[-1], seconds["ours"]
        print(f"{job.model}, {job.corpus.name}, batch {arguments.batch_size}, lr {arguments.lr:g}:")
        print(f"{per_step:.4f} s per step; the port {seconds['port']:.3f} s per step of 100 x 100")
        print(f"{last.step:,} steps, {last.step * per_step:.0f} s of steps", end=", ")
        print(f"{time.monotonic() - started:.0f} s in total", end=": ")
        print(f"val {last.val_loss:.4f}, fresh windows {fresh:.4f}")
        for target in arguments.target:
            loss, port_steps = (float(part) for part in target.split(":"))
            sooner = [event.step for event in evaluations if event.val_loss <= loss]
            if not sooner:
                print(f"val {loss}: not reached")
                continue
            ours, port = sooner[0] * per_step, port_steps * seconds["port"]
            ratio = f"the port {port:,.0f} s: speedup {port / ours:.1f} x"
            print(f"val {loss}: {sooner[0]:,} steps, {ours:.0f} s; {ratio}")


if __name__ == "__main__":
    main()
