"""The time of recurrent layers alone on a GPU, in several ways."""

import copy
from functools import partial
from typing import Any

import torch

from charrnn_cli.training.device import autocast, float32_products
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.padded_lstm import padded_lstm
from charrnn_cli.training.products import step_products
from tests.benchmarks.gpu_bench import Bench, Precision, attempt
from tests.benchmarks.throughput import our_trainer


def print_layer_times(bench: Bench, job: TrainingJob) -> None:
    """Print the time of the recurrent layers alone, in both directions and each precision."""
    trainer, config = our_trainer(job, bench.device, "fp32"), job.config
    width, size = job.model.input_size(0), job.model.size
    shape = (config.seq_len, config.batch_size)
    inputs = [torch.randn(*shape, each, device=bench.device) for each in (width, size)]
    for each in inputs:
        each.requires_grad_()

    def layers() -> None:
        for layer, given in zip(trainer.model.layers, inputs, strict=True):
            output, _ = layer(given)
            torch.autograd.grad(output.float().sum(), [given, *layer.parameters()])

    for name in ("ieee", "tf32", "bf16"):
        reduced = autocast(torch.device(bench.device), "bf16" if name == "bf16" else "fp32")
        with float32_products("tf32" if name == "tf32" else "ieee"), reduced:
            seconds = bench.queued_seconds(layers, 0.5)
        print(f"  {1000 * seconds:8.3f}  recurrent layers alone, both directions, {name}")
        alone = queued_products(bench, job, name)
        print(f"  {1000 * alone:8.3f}  products of a step alone, queued one by one, {name}")


def print_layer_trials(bench: Bench, job: TrainingJob) -> None:
    """Print the time of recurrent layers alone, plain and padded, and with bfloat16 weights.

    torch's autocast computes recurrent layers in float16.
    """
    trainer, config = our_trainer(job, bench.device, "fp32"), job.config
    layers: list[Any] = list(trainer.model.layers)
    widths = [job.model.input_size(0), job.model.size]
    shape = (config.seq_len, config.batch_size)
    inputs = [torch.randn(*shape, each, device=bench.device) for each in widths]
    for each in inputs:
        each.requires_grad_()

    def padded(layer: Any, given: torch.Tensor) -> None:
        output, _ = padded_lstm(layer, given, None)
        torch.autograd.grad(output.float().sum(), [given, *layer.parameters()])

    def plain(layer: Any, given: torch.Tensor) -> None:
        output, _ = layer(given)
        torch.autograd.grad(output.float().sum(), [given, *layer.parameters()])

    def time_each(name: str, work: Any, some: list[Any], precision: Precision) -> None:
        for layer, given, width in zip(some, inputs, widths, strict=True):
            used = given.detach().to(next(layer.parameters()).dtype).requires_grad_()
            with float32_products("ieee"), autocast(torch.device(bench.device), precision):
                seconds = bench.queued_seconds(partial(work, layer, used), 0.3)
            print(f"  {1000 * seconds:8.3f}  an LSTM of {width} inputs, {name}")

    attempt("autocast", partial(time_each, "autocast", plain, layers, "bf16"))
    attempt("padded", partial(time_each, "autocast, padded to 128s", padded, layers, "bf16"))
    converted = [copy.deepcopy(layer).bfloat16() for layer in layers]
    attempt("bfloat16", partial(time_each, "bfloat16 weights", plain, converted, "fp32"))


def queued_products(bench: Bench, job: TrainingJob, name: str) -> float:
    """Return the seconds of a step's products, of which two of three are those of going back."""
    dtype, seconds = torch.bfloat16 if name == "bf16" else torch.float32, 0.0
    for product in step_products(job.model, job.config.batch_size, job.config.seq_len):
        left = torch.randn(product.rows, product.width, device=bench.device).to(dtype)
        right = torch.randn(product.width, product.columns, device=bench.device).to(dtype)
        with float32_products("tf32" if name == "tf32" else "ieee"):
            once = bench.queued_seconds(partial(torch.mm, left, right), 0.05)
        seconds += 3 * product.times * once
    return seconds
