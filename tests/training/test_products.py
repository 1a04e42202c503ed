"""Matrix products of a run, timed in both precisions."""

import pytest
import torch

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.training.calibration import faster_precision
from charrnn_cli.training.products import (
    MAX_ROWS,
    MAX_WIDTH,
    Product,
    ProductTimes,
    step_products,
    time_products,
)


@pytest.mark.parametrize(
    ("fp32", "bf16", "expected"),
    [
        (1.0, 1.0, "fp32"),
        (1.24, 1.0, "fp32"),
        (1.25, 1.0, "bf16"),
        (9.0, 1.0, "bf16"),
        (1.0, 9.0, "fp32"),
    ],
)
def test_bf16_must_be_a_quarter_faster(fp32: float, bf16: float, expected: str) -> None:
    """bf16 is taken where its products are at least 1.25 times as fast."""
    assert faster_precision(ProductTimes(fp32, bf16, 1.0)) == expected


def test_the_products_of_a_step() -> None:
    """A step has a product per layer and position, one per layer for all positions, and logits."""
    model = ModelConfig(vocabulary_size=50, cell="gru", layers=2, size=16, embed=8)
    assert step_products(model, batch_size=4, seq_len=10) == [
        Product(4, 16, 48, 20),
        Product(40, 8, 48, 1),
        Product(40, 16, 48, 1),
        Product(40, 16, 50, 1),
    ]


def test_large_products_are_timed_in_part() -> None:
    """A product that is too large is replaced by a smaller one that stands for all of it."""
    product = Product(10_000, 3_000, 64, 2)
    limited = product.limited()
    assert (limited.rows, limited.width, limited.columns) == (MAX_ROWS, MAX_WIDTH, 64)
    assert limited.operations == pytest.approx(product.operations)
    assert Product(4, 16, 48, 20).limited() == Product(4, 16, 48, 20)


def test_products_are_timed() -> None:
    """Both precisions have a positive time, and the number of threads stays as it was."""
    threads = torch.get_num_threads()
    products = step_products(ModelConfig(vocabulary_size=50, layers=1, size=32), 4, 16)
    times = time_products(products, torch.device("cpu"), threads=threads + 1, budget=0.01)
    assert times.fp32 > 0
    assert times.bf16 > 0
    assert times.rate(times.fp32) == pytest.approx(times.operations / times.fp32)
    assert torch.get_num_threads() == threads
