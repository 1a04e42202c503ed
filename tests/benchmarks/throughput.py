"""Compare the speed of a training step with a plain port and with the peak of matrix products.

    python -m tests.benchmarks.throughput [--rounds 7]

All implementations take turns in one process, so that a busy machine slows them equally.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import torch

from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.device import available_devices
from charrnn_cli.training.plan import Decisions
from charrnn_cli.training.trainer import Trainer
from charrnn_cli.training.windows import TrainWindows
from tests.benchmarks.port import PlainPort

SYMBOLS = 83
DTYPES: dict[Literal["fp32", "bf16"], torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
}


def useful_flops(model: ModelConfig, characters: int) -> float:
    """Return the FLOPs of a step: 2 per multiply-add, once forward and twice backward.

    A one-hot input only selects a row of a matrix, so it counts as zero.
    """
    products = sum(rows * columns for rows, columns in _matrices(model))
    return 3 * 2 * products * characters


def _matrices(model: ModelConfig) -> list[tuple[int, int]]:
    shapes = {name: shape for name, shape in model.tensor_shapes().items() if len(shape) == 2}
    shapes.pop("embedding.weight", None)
    if not model.embed:
        shapes.pop("layers.0.weight_ih_l0")
    return [(shape[0], shape[1]) for shape in shapes.values()]


def random_corpus(characters: int) -> Corpus:
    alphabet = "".join(chr(33 + index) for index in range(SYMBOLS))
    ids = torch.randint(SYMBOLS, (characters,), generator=torch.Generator().manual_seed(0)).tolist()
    return Corpus.from_text(alphabet + "".join(alphabet[index] for index in ids))


def our_step(model: ModelConfig, config: TrainConfig, decisions: Decisions) -> Callable[[], object]:
    corpus = random_corpus(config.batch_size * config.seq_len * 4)
    windows = TrainWindows(corpus, [(0, len(corpus))], config, decisions.seed)
    return Trainer(model, config, decisions, windows).update


def port_step(
    batch_size: int,
    seq_len: int,
    symbols: int = SYMBOLS,
    device: str = "cpu",
    layers: int = 2,
    size: int = 512,
) -> Callable[[], object]:
    port = PlainPort(symbols, size, layers).to(device)
    ids_BT = torch.randint(symbols, (batch_size, seq_len + 1), device=device)
    return lambda: port.step(ids_BT[:, :-1], ids_BT[:, 1:])


def peak(dtype: torch.dtype, device: str) -> float:
    """Return the FLOP/s of the fastest of several large products."""
    best = 0.0
    for rows, inner, columns in ((2048, 2048, 2048), (4096, 4096, 4096), (10_000, 512, 2048)):
        scale = 1 if device == "cpu" else 2
        a = torch.randn(scale * rows, scale * inner, device=device).to(dtype)
        b = torch.randn(scale * inner, scale * columns, device=device).to(dtype)
        for _ in range(6):
            before = time.perf_counter()
            a @ b
            if device != "cpu":
                torch.cuda.synchronize()
            best = max(best, 2 * scale**3 * rows * inner * columns / (time.perf_counter() - before))
    return best


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


def compare(shape: tuple[int, int, int, int, int], device: str, rounds: int) -> None:
    layers, size, embed, batch_size, seq_len = shape
    model = ModelConfig(vocabulary_size=SYMBOLS, layers=layers, size=size, embed=embed)
    config = TrainConfig(batch_size=batch_size, seq_len=seq_len, clip=5.0)
    decisions = Decisions(
        seed=1,
        device=device,
        precision="fp32",
        threads=torch.get_num_threads(),
        steps=10_000,
        dropout=0.5,
        eval_every=0,
    )
    steps: dict[str, Callable[[], object]] = {}
    if not embed:
        steps["plain port"] = port_step(
            batch_size, seq_len, device=device, layers=layers, size=size
        )
    for precision in DTYPES:
        steps[precision] = our_step(model, config, replace(decisions, precision=precision))
    times = median_seconds(steps, rounds)
    characters = batch_size * seq_len
    flops = useful_flops(model, characters)
    base = next(iter(times.values()))
    shape_name = f"{layers}x{size}, embed {embed}, {batch_size} x {seq_len} on {device}"
    print(f"\n{shape_name}: {flops / 1e9:.1f} GFLOP per step")
    for name, seconds in times.items():
        share = flops / seconds / peak(torch.bfloat16 if name == "bf16" else torch.float32, device)
        speed = f"{characters / seconds:10,.0f} chars/s   {flops / seconds / 1e9:8.1f} GFLOP/s"
        ratios = f"{100 * share:3.0f} % of the peak   {base / seconds:.2f} x"
        print(f"  {name:<12} {seconds:8.4f} s   {speed}   {ratios}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    device = available_devices()[0]
    peaks = ", ".join(
        f"{name} {peak(dtype, device) / 1e9:,.0f} GFLOP/s" for name, dtype in DTYPES.items()
    )
    print(f"{device}, {torch.get_num_threads()} threads, matrix peak: {peaks}")
    shapes = [(2, 512, 0, 100, 100), (1, 512, 64, 32, 64), (2, 512, 64, 32, 64)]
    if device != "cpu":
        shapes.append((3, 1024, 0, 256, 128))
    for shape in shapes:
        compare(shape, device, rounds)


if __name__ == "__main__":
    main()
