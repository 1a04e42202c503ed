"""The matrix products of a run, timed in float32 and bfloat16 on the run's own device."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from charrnn_cli.architecture import GATES, ModelConfig
from charrnn_cli.training.device import restored_threads

# B batch rows · T time · H hidden size · G gates · V vocabulary

BUDGET = 0.3  # seconds for all products in both precisions
MAX_ROWS = 128  # larger products of these kinds take as long per row
MAX_WIDTH = 1024
REPETITIONS = 20


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a (rows, width) and a (width, columns) matrix."""

    rows: int
    width: int
    columns: int
    times: float
    """How often a training step computes it, forward."""

    @property
    def operations(self) -> float:
        """Additions and multiplications in a step."""
        return 2.0 * self.rows * self.width * self.columns * self.times

    def limited(self) -> "Product":
        """Return a product that is not too large to time, and stands for this one."""
        rows, width = min(self.rows, MAX_ROWS), min(self.width, MAX_WIDTH)
        columns = min(self.columns, MAX_WIDTH)
        share = (rows * width * columns) / (self.rows * self.width * self.columns)
        return Product(rows, width, columns, self.times / share)


@dataclass(frozen=True, slots=True)
class ProductTimes:
    """Seconds of a step's forward products in each precision."""

    fp32: float
    bf16: float
    operations: float

    def rate(self, seconds: float) -> float:
        """Return operations per second."""
        return self.operations / max(seconds, 1e-9)


def step_products(model: ModelConfig, batch_size: int, seq_len: int) -> list[Product]:
    """Return the products of a training step, forward; going back takes two of each kind."""
    columns, positions = GATES[model.cell] * model.size, batch_size * seq_len
    products = [Product(batch_size, model.size, columns, seq_len * model.layers)]
    products += [
        Product(positions, model.input_size(layer), columns, 1) for layer in range(model.layers)
    ]
    return [*products, Product(positions, model.size, model.vocabulary_size, 1)]


def time_products(
    products: Sequence[Product],
    device: torch.device,
    *,
    threads: int = 1,
    budget: float = BUDGET,
) -> ProductTimes:
    """Time products in both precisions, alternating, with `threads` threads of a CPU.

    Of several repetitions, the fastest counts: other programs slow down some of them, and hardly
    ever all. Several threads wait for each other on a busy machine, one does not.
    """
    fp32 = bf16 = 0.0
    with restored_threads():
        torch.set_num_threads(threads)
        for product in products:
            limited = product.limited()
            best = _fastest(limited, device, budget / len(products))
            fp32 += limited.times * best[0]
            bf16 += limited.times * best[1]
    return ProductTimes(fp32, bf16, sum(product.operations for product in products))


def _fastest(product: Product, device: torch.device, budget: float) -> tuple[float, float]:
    """Return the least seconds of a product in float32 and in bfloat16."""
    left = torch.full((product.rows, product.width), 0.5, device=device)
    right = torch.full((product.columns, product.width), 0.5, device=device)
    pairs = [(left, right), (left.bfloat16(), right.bfloat16())]
    for pair in pairs:  # prepares kernels
        _seconds(pair, device)
    seconds: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + budget
    for _ in range(REPETITIONS):
        for pair, measured in zip(pairs, seconds, strict=True):
            measured.append(_seconds(pair, device))
        if time.perf_counter() >= end:
            break
    return min(seconds[0]), min(seconds[1])


def _seconds(pair: tuple[Tensor, Tensor], device: torch.device) -> float:
    before = time.perf_counter()
    torch.mm(pair[0], pair[1].T)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - before
