"""Checks that a GPU computes what the CPU computes, repeats it, and splits batches."""

import contextlib
import gc
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.events import BatchSplit, TrainingFinished
from charrnn_cli.model.engine import Engine
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.device import Float32, float32_products, restored_threads
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train
from charrnn_cli.training.loss_scale import scaled_gradients
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.self_check import TOLERANCE
from charrnn_cli.training.trainer import Trainer
from tests.benchmarks.gpu_bench import (
    Bench,
    Precision,
    shaped,
    verdict,
)
from tests.benchmarks.throughput import our_trainer

LOSS_BOUND = 1e-3  # relative, at step 20
SPLIT_BOUND = 1e-4  # relative: sums of the same numbers in another order
MEMORY = 1.5  # GiB that the batch to split may use


def check_engines(bench: Bench) -> None:
    """Compare the logits of the device with those of numpy, and check that TF32 is off."""
    size, length = (64, 50) if bench.is_tiny else (512, 200)
    for cell in get_args(Cell):
        difference = logits_difference(bench, cell, size, length, "ieee")
        verdict(difference < TOLERANCE, f"{cell} 2x{size} against numpy: {difference:.1e}")
        if bench.is_cuda:
            allowed = logits_difference(bench, cell, size, length, "tf32")
            print(f"     {cell} 2x{size} against numpy with TF32: {allowed:.1e}")
    job = shaped(bench.job(1, 128, 0), 8, 32)
    expected = recorded_losses(our_trainer(job, bench.device, "fp32"), 3)
    allowed_by = {"new settings": float32_products("tf32"), "old settings": tf32_allowed()}
    for name, tf32 in allowed_by.items():
        with tf32:
            losses = recorded_losses(our_trainer(job, bench.device, "fp32"), 3)
        verdict(
            losses == expected, f"a program that allows TF32 ({name}) changes no loss: {losses}"
        )


@contextlib.contextmanager
def tf32_allowed() -> Any:  # Any: an iterator, which the decorator replaces
    """Allow TF32 by the settings that torch deprecates, as older programs do."""
    matmul: Any = torch.backends.cuda.matmul
    before_old = matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        yield
    finally:
        matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before_old


@torch.no_grad()
def logits_difference(bench: Bench, cell: Cell, size: int, length: int, float32: Float32) -> float:
    """Return the largest difference between the logits of numpy and of the device."""
    config = ModelConfig(vocabulary_size=80, cell=cell, layers=2, size=size, embed=64)
    model = CharRNN(config)
    model.initialize(1, "orthogonal")
    engine = Engine(config, model.export())
    ids_T = np.random.Generator(np.random.PCG64(1)).integers(80, size=length)
    expected_TV = np.concatenate([engine.step([int(index)]).copy() for index in ids_T])
    model.to(bench.device)
    with float32_products(float32):
        logits_T1V, _ = model(torch.from_numpy(ids_T).to(bench.device)[:, None])
    return float(np.abs(logits_T1V[:, 0].cpu().numpy() - expected_TV).max())


def recorded_losses(trainer: Trainer, steps: int) -> list[float]:
    """Run steps and return the loss of each."""
    losses: list[torch.Tensor] = []
    gradients = trainer._gradients

    def recorded() -> Any:
        result = gradients()
        losses.append(result[0])
        return result

    trainer._gradients = recorded  # type: ignore[method-assign]
    for _ in range(steps):
        assert trainer.update(), "the loss has diverged"
    return [loss.item() for loss in losses]


def check_losses(bench: Bench) -> None:
    """Compare the losses of equal steps on the CPU and on the device."""
    steps = 40 if bench.quick else 200
    job = shaped(bench.job(1, 32 if bench.is_tiny else 128), 32, 64)
    losses = {}
    with restored_threads():
        torch.set_num_threads(1)  # several wait for each other longer than these products take
        for name, device, precision in loss_runs(bench):
            trainer = our_trainer(job, device, precision, dropout=0.0, steps=steps)
            losses[name] = recorded_losses(trainer, steps)
    cpu_S = np.array(losses.pop("cpu"))
    for name, values in losses.items():
        apart_S = np.abs(np.array(values) / cpu_S - 1)
        at_20, last = apart_S[:20].max(), apart_S.max()
        text = f"1x{job.model.size}, {name} against CPU fp32: losses differ by {at_20:.1e} up to"
        text += f" step 20, by {last:.1e} up to step {steps}"
        text += f" (last losses {values[-1]:.5f} and {cpu_S[-1]:.5f})"
        if "fp32" in name:
            verdict(bool(at_20 < LOSS_BOUND), text)
        else:
            print(f"     {text}")


def loss_runs(bench: Bench) -> list[tuple[str, str, Precision]]:
    return [
        ("cpu", "cpu", "fp32"),
        (f"{bench.device} fp32", bench.device, "fp32"),
        (f"{bench.device} bf16", bench.device, "bf16"),
    ]


def measure_gradients(bench: Bench) -> None:
    """Print how far the gradients in bf16 are from those in fp32, for several scales of the loss.

    torch's autocast computes recurrent layers on a GPU in float16, which has no numbers below 6e-8.
    """
    job = bench.job(2, 32 if bench.is_tiny else 512, 0)
    for batch_size, seq_len in ((4, 16),) if bench.is_tiny else ((32, 64), (128, 128)):
        some = shaped(job, batch_size, seq_len)
        exact = our_trainer(some, bench.device, "fp32", dropout=0.0)
        for _ in range(60):
            exact.update()
        rough = our_trainer(some, bench.device, "bf16", dropout=0.0)
        rough.load_initial_weights(exact.model.export())
        expected = gradients_of(exact, 1.0)
        for scale in (1.0, 256.0, 4096.0):
            found = gradients_of(rough, scale)
            apart = {
                name: float((found[name] - tensor).norm() / tensor.norm())
                for name, tensor in expected.items()
            }
            zeros = {name: float((tensor == 0).float().mean()) for name, tensor in found.items()}
            worst = max(apart, key=lambda name: apart[name])
            print(
                f"     {batch_size}x{seq_len}, loss x {scale:g}: gradients differ by "
                f"{np.median(list(apart.values())):.1e} (median), {apart[worst]:.1e} ({worst}); "
                f"up to {max(zeros.values()):.1%} of a tensor is 0"
            )


def gradients_of(trainer: Trainer, scale: float) -> dict[str, torch.Tensor]:
    """Return the gradients of the first window by name, computed from a scaled loss."""
    batch, parameters = trainer._batches.batch(0), trainer._parameters
    rows = slice(0, trainer.config.batch_size)
    with float32_products("ieee"):
        loss, _ = trainer._loss_of_rows(batch, None, rows)
        found = scaled_gradients(loss, parameters, scale)
    return dict(zip(trainer.optimizer.parameters, found, strict=True))


def check_repeats(bench: Bench) -> None:
    """Check that the same steps give the same weights, bit for bit, in one process."""
    size = 32 if bench.is_tiny else 512
    job = shaped(bench.job(2, size), 32, 64)
    for precision in ("fp32", "bf16"):
        first, second = (final_weights(bench, job, precision) for _ in range(2))
        apart = [name for name in first if not np.array_equal(first[name], second[name])]
        text = f"60 steps of 2x{size} in {precision} repeat bit for bit"
        verdict(not apart, f"{text}; different: {apart}" if apart else text)
        if apart:
            explain_difference(bench, job, precision)


def final_weights(
    bench: Bench, job: TrainingJob, precision: Precision
) -> dict[str, npt.NDArray[np.float32]]:
    trainer = our_trainer(job, bench.device, precision)
    for _ in range(60):
        trainer.update()
    return trainer.model.export()


def explain_difference(bench: Bench, job: TrainingJob, precision: Precision) -> None:
    """Try the settings that make torch deterministic, and print which of them help."""
    for name in ("cudnn.deterministic", "use_deterministic_algorithms"):
        try:
            if name == "cudnn.deterministic":
                torch.backends.cudnn.deterministic = True
            else:
                torch.use_deterministic_algorithms(True, warn_only=True)
            first, second = (final_weights(bench, job, precision) for _ in range(2))
        finally:
            torch.backends.cudnn.deterministic = False
            torch.use_deterministic_algorithms(False)
        equal = all(np.array_equal(first[key], second[key]) for key in first)
        print(f"     with {name}: {'equal' if equal else 'different'}")
    print("     CUBLAS_WORKSPACE_CONFIG=:4096:8 has to be set before the start; try it as well")


def check_split(bench: Bench) -> None:
    """Check that a batch that does not fit into memory is split, with the same loss."""
    if not bench.is_cuda:
        print("skipped: a CPU has no limit of memory that can be set")
        return
    text = bench.text.read_text("utf-8", errors="replace")
    corpus = Corpus.from_text(text * (1 + 600_000 // len(text)), "long")
    settings: dict[str, Any] = {
        "layers": 1,
        "size": 512,
        "ngram": 0,
        "val_fraction": 0.0,
        "max_steps": 3,
    }
    settings |= {"batch_size": 2048, "seq_len": 128, "precision": "fp32", "seed": 1}
    job = TrainingJob.new(corpus, {**settings, "device": bench.device, "log_every": 1}, name="big")
    torch.cuda.reset_peak_memory_stats(bench.device)
    whole = recorded_losses(our_trainer(job, bench.device, "fp32"), 1)[0]
    needed = torch.cuda.max_memory_allocated(bench.device) / 2**30
    try:
        release_memory()
        allowed = torch.cuda.memory_reserved(bench.device) + MEMORY * 2**30
        total = torch.cuda.get_device_properties(bench.device).total_memory
        torch.cuda.set_per_process_memory_fraction(allowed / total, bench.device)
        trainer = our_trainer(job, bench.device, "fp32")
        parted = recorded_losses(trainer, 1)[0]
        text = f"{needed:.1f} GiB in {allowed / 2**30:.1f} GiB: {trainer.parts} parts"
        apart = abs(parted / whole - 1)
        verdict(trainer.parts > 1 and apart < SPLIT_BOUND, f"{text}; losses differ by {apart:.1e}")
        del trainer
        release_memory()
        events = list(train(job))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
    splits = [event.parts for event in events if isinstance(event, BatchSplit)]
    last = events[-1]
    finished = isinstance(last, TrainingFinished) and last.step == 3
    verdict(bool(splits) and finished, f"training splits the batch into {splits} parts and ends")


def release_memory() -> None:
    """Return unused memory to the device, also that of trainers in reference cycles."""
    gc.collect()
    torch.cuda.empty_cache()
