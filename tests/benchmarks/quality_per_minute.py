"""Compare the val losses that charrnn and others reach on a text in the same seconds.

    python -m tests.benchmarks.quality_per_minute anna.txt --val-split spread --seconds 10,60,300
    python -m tests.benchmarks.quality_per_minute plays.txt --rival "python train.py plays.txt"

The others are the plain port of the notebook's recipe, n-grams alone, and charrnn without n-grams.
Every figure is nats per character of the same held-out text, all of it. Commands of charrnn have
`--max-time`, so their seconds include their start; those of the port are seconds of its steps. A
rival is a command that prints its val loss as the last number; it is stopped after the seconds, and
finds them in the environment variable SECONDS. Run it while nothing else runs: what learns in
seconds is measured one after the other.
"""

import argparse
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from charrnn_cli.model.baselines import measure_baselines
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.text.rows import IGNORED, row_windows
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.ngram_inputs import ngram_text
from tests.benchmarks.port import PlainPort

BATCH, LENGTH = 100, 100  # rows and characters of a step of the notebook
Curve = list[tuple[float, float]]  # seconds, val loss
Trained = Callable[[float], tuple[float, Curve]]


def ours(text: Path, job: TrainingJob, seconds: float, options: list[str]) -> tuple[float, Curve]:
    """Train with a time limit; return the loss of the best checkpoint, and the way there."""
    words = [sys.executable, "-m", "charrnn_cli", "train", str(text), "--json", "--seed", "1"]
    words += ["--max-time", f"{seconds:g}s", *options]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in found.stdout.splitlines()]
    curve = [
        (event["seconds"], event["val_loss"]) for event in events if event["event"] == "Evaluated"
    ]
    checkpoint = load_checkpoint(events[-1]["run"])
    network = CharRNN(checkpoint.model)
    network.load(checkpoint.weights)
    own = job
    if checkpoint.model.ngram == 0:
        own = TrainingJob.new(text, {"ngram": 0, "val_split": job.config.val_split})
    if checkpoint.vocab == own.corpus.vocab:
        loss = evaluate(network, own.corpus, own.split.val, "fp32", never_stop, ngram_text(own))
        assert loss is not None
        return loss, curve
    return min(loss for _, loss in curve), curve  # from a checkpoint of another vocabulary


class Port:
    """The notebook's model and recipe, trained on the training part of a job's text."""

    def __init__(self, job: TrainingJob) -> None:
        self._job = job
        ids = [job.corpus.read(start, stop) for start, stop in job.split.train]
        ids_N = torch.from_numpy(np.concatenate(ids).astype(np.int64))
        self._rows = min(BATCH, (len(ids_N) - 1) // LENGTH)
        self._ids_BN = ids_N[: len(ids_N) // self._rows * self._rows].view(self._rows, -1)
        self.model = PlainPort(len(job.corpus.vocab))
        self.seconds, self.curve = 0.0, Curve()
        self._start = 0

    def train(self, seconds: float) -> float:
        """Train until as many seconds of steps are done; return the val loss."""
        every = max(1.0, seconds / 20)
        evaluated = self.seconds
        while self.seconds < seconds:
            if self._start + LENGTH + 1 > self._ids_BN.shape[1]:
                self._start, self.model.state = 0, None
            window = self._ids_BN[:, self._start : self._start + LENGTH + 1]
            begun = time.perf_counter()
            self.model.train()
            self.model.step(window[:, :-1], window[:, 1:])
            self.seconds += time.perf_counter() - begun
            self._start += LENGTH
            if self.seconds - evaluated >= every:
                evaluated = self.seconds
                self.curve.append((self.seconds, self.val_loss()))
        self.curve.append((self.seconds, self.val_loss()))
        return self.curve[-1][1]

    @torch.no_grad()
    def val_loss(self) -> float:
        self.model.eval()
        kept, rows = self.model.state, self._job.split.val
        longest, total, state = max(stop - start for start, stop in rows), 0.0, None
        for start in range(0, longest, 500):
            both = row_windows(self._job.corpus, rows, start, min(500, longest - start))
            inputs_TR, targets_TR = torch.from_numpy(both)
            one_hot = functional.one_hot(inputs_TR.T, self.model.vocabulary_size).float()
            hidden, state = self.model.lstm(one_hot, state)
            logits = self.model.output(hidden).flatten(0, 1)
            total += functional.cross_entropy(
                logits, targets_TR.T.flatten(), ignore_index=IGNORED, reduction="sum"
            ).item()
        self.model.state = kept
        return total / self._job.split.val_characters


def rival_loss(command: str, seconds: float) -> float:
    """Run a command for at most some seconds; return the last number that it printed."""
    environment = {**os.environ, "SECONDS": f"{seconds:g}"}
    with subprocess.Popen(
        shlex.split(command), stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            printed, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            printed, _ = process.communicate()
    numbers = re.findall(r"\d+\.\d+", printed)
    return float(numbers[-1]) if numbers else math.nan


def reached(curve: Curve, loss: float) -> float:
    """Return the seconds of the first evaluation at or below a loss."""
    return min((seconds for seconds, found in curve if found <= loss), default=math.inf)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("--seconds", default="10,60,300")
    parser.add_argument("--losses", default="", help="compare the seconds to these, too")
    parser.add_argument("--val-split", default="tail")
    parser.add_argument("--rival", help="a command that prints its val loss")
    parser.add_argument("--options", default="--init-from none", help="further options of train")
    arguments = parser.parse_args()
    limits = sorted(float(part) for part in arguments.seconds.split(","))
    losses = [float(part) for part in arguments.losses.split(",") if part]
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        job = TrainingJob.new(arguments.text, {"val_split": arguments.val_split})
        before = time.perf_counter()
        counted = measure_baselines(job.corpus, job.split).best_ngram * math.log(2)
        counting = time.perf_counter() - before
        options = ["--val-split", arguments.val_split, *shlex.split(arguments.options)]
        port, curves = Port(job), dict[str, Curve]()
        trained: dict[str, Trained] = {
            "ours": lambda limit: ours(arguments.text, job, limit, options),
            "without n-grams": lambda limit: ours(
                arguments.text, job, limit, [*options, "--ngram", "0"]
            ),
            "port": lambda limit: (port.train(limit), port.curve),
        }
        print(f"{job.corpus.name}, {job.split.val_characters:,} characters held out")
        print(f"n-grams alone: {counted:.3f} after {counting:.1f} s")
        for limit in limits:
            found = {}
            for name, run in trained.items():
                found[name], curves[name] = run(limit)
            if arguments.rival:
                found["rival"] = rival_loss(arguments.rival, limit)
            shown = ", ".join(f"{name} {loss:.3f}" for name, loss in found.items())
            print(f"{limit:g} s: {shown}", flush=True)
        for loss in [counted, *losses]:
            first = reached(curves["ours"], loss)
            ratios = ", ".join(
                f"{name} {reached(curve, loss) / first:.1f} times as long"
                for name, curve in curves.items()
                if name != "ours" and math.isfinite(first)
            )
            print(f"to {loss:.3f}: ours {first:.0f} s; {ratios}")


if __name__ == "__main__":
    main()
