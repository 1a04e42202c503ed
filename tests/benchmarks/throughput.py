"""Compare the speed of a training step with a plain port and with the matrix products alone.

    python -m tests.benchmarks.throughput [--rounds 7] [--text anna.txt]

All implementations take turns in one process, so that a busy machine slows them equally; the ratios
are those of their medians. Seconds and rates hold only for one machine.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import torch

import charrnn_cli
from charrnn_cli.architecture import ModelConfig
from charrnn_cli.training.calibration import faster_precision
from charrnn_cli.training.decisions import Decisions
from charrnn_cli.training.device import available_devices, supports_bf16
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.products import step_products, time_products
from charrnn_cli.training.trainer import Trainer, make_trainer
from charrnn_cli.training.windows import make_windows
from tests.benchmarks.port import PlainPort

BOOK = Path(charrnn_cli.__file__).parent / "data" / "alice.txt"
PRECISIONS: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
SHAPES = [(2, 512, 0, 100, 100), (2, 512, 64, 32, 64), (1, 512, 64, 32, 64), (1, 256, 64, 32, 64)]
"""Layers, hidden size, embedding (0 is one-hot), rows and characters per row of a step."""


def our_trainer(
    job: TrainingJob,
    device: str,
    precision: Literal["fp32", "bf16"],
    dropout: float = 0.5,
    steps: int = 10_000,
) -> Trainer:
    decisions = Decisions(
        seed=1,
        device=device,
        precision=precision,
        threads=torch.get_num_threads(),
        steps=steps,
        dropout=dropout,
        eval_every=0,
        val_rows=0,
    )
    windows = make_windows(job.corpus, job.split, job.config, seed=1)
    return make_trainer(job, decisions, windows)


def port_step(
    batch_size: int,
    seq_len: int,
    symbols: int,
    device: str = "cpu",
    layers: int = 2,
    size: int = 512,
    precision: str = "fp32",
) -> Callable[[], object]:
    port = PlainPort(symbols, size, layers).to(device)
    ids_BT = torch.randint(symbols, (batch_size, seq_len + 1), device=device)

    def step() -> None:
        reduced = torch.autocast(torch.device(device).type, torch.bfloat16)
        with reduced if precision == "bf16" else contextlib.nullcontext():
            port.step(ids_BT[:, :-1], ids_BT[:, 1:])

    return step


def median_seconds(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each step. Steps take turns, after two rounds of warm-up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(rounds + 2):
        for name, step in steps.items():
            before = time.perf_counter()
            step()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_number >= 2:
                times[name].append(time.perf_counter() - before)
    return {name: statistics.median(values) for name, values in times.items()}


def product_seconds(
    model: ModelConfig, batch_size: int, seq_len: int, device: str, precisions: Sequence[str]
) -> dict[str, float]:
    """Return the seconds of a step's products alone in each precision, forward and backward."""
    seconds = dict.fromkeys(precisions, 0.0)
    for product in step_products(model, batch_size, seq_len):
        left = torch.randn(product.rows, product.width, device=device)
        right = torch.randn(product.width, product.columns, device=device)
        pairs = {"fp32": (left, right), "bf16": (left.bfloat16(), right.bfloat16())}
        times = median_seconds({name: partial(torch.mm, *pairs[name]) for name in precisions}, 15)
        for name in precisions:
            seconds[name] += 3 * product.times * times[name]
    return seconds


def compare(text: Path, shape: tuple[int, int, int, int, int], device: str, rounds: int) -> None:
    layers, size, embed, batch_size, seq_len = shape
    settings = {"layers": layers, "size": size, "embed": embed}
    settings |= {"batch_size": batch_size, "seq_len": seq_len}
    orders = [0, 9] if embed else [0]
    jobs = {order: TrainingJob.new(text, {**settings, "ngram": order}) for order in orders}
    symbols = len(jobs[0].corpus.vocab)
    steps: dict[str, Callable[[], object]] = {}
    precisions = PRECISIONS if supports_bf16(torch.device(device)) else PRECISIONS[:1]
    for precision in precisions:
        steps[f"port, {precision}"] = port_step(
            batch_size, seq_len, symbols, device, layers, size, precision
        )
        for order, job in jobs.items():
            name = f"{precision}, n-grams" if order else precision
            steps[name] = our_trainer(job, device, precision).update
    times = median_seconds(steps, rounds)
    alone = product_seconds(jobs[0].model, batch_size, seq_len, device, precisions)
    print(f"\n{layers}x{size}, embed {embed}, {batch_size} x {seq_len}")
    print("                  port fp32  same port  without n-grams  products alone     seconds")
    for name, seconds in times.items():
        precision = "bf16" if "bf16" in name else "fp32"
        ratios = [times["port, fp32"] / seconds, times[f"port, {precision}"] / seconds]
        plain = times[precision] / seconds if "n-grams" in name else 1.0
        print(
            f"  {name:<15} {ratios[0]:9.2f}  {ratios[1]:9.2f}  {plain:15.2f}  "
            f"{alone[precision] / seconds:14.2f}  {seconds:10.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--text", type=Path, default=BOOK)
    arguments = parser.parse_args()
    device = available_devices()[0]
    print(f"{device}, {torch.get_num_threads()} threads; ratios are speeds, higher is faster")
    model = ModelConfig(vocabulary_size=83)
    times = time_products(step_products(model, 32, 64), torch.device(device))
    rates = {name: times.rate(getattr(times, name)) / 1e9 for name in PRECISIONS}
    found = ", ".join(f"{name} {rate:,.0f} GFLOP/s" for name, rate in rates.items())
    print(f"products of a 2x512 step, one thread: {found}; auto takes {faster_precision(times)}")
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        for shape in SHAPES:
            compare(arguments.text, shape, device, arguments.rounds)


if __name__ == "__main__":
    main()
