"""Rates of a GPU's products, the speed of training steps, and where their time goes."""

import contextlib
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

import torch

from charrnn_cli.training.device import float32_products, to_device
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.ngram_inputs import ngram_inputs
from charrnn_cli.training.optimizer import global_norm
from charrnn_cli.training.products import step_products
from charrnn_cli.training.trainer import Trainer
from tests.benchmarks.gpu_bench import SETTINGS, Bench, Precision, attempt, shaped
from tests.benchmarks.gpu_layers import print_layer_times, print_layer_trials
from tests.benchmarks.gpu_tables import waits
from tests.benchmarks.throughput import our_trainer

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
SHAPES = ((32, 64), (100, 100), (128, 128))
RATES: dict[str, float] = {}
"""Operations per second of large products, by precision; filled by `product_rate`."""


def product_rate(bench: Bench, precision: str) -> float:
    """Return the operations per second of a product of two large square matrices."""
    if precision not in RATES:
        size = 8192 if bench.is_cuda else 1024
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        left, right = (torch.randn(size, size, device=bench.device).to(dtype) for _ in range(2))
        with float32_products("tf32" if precision == "tf32" else "ieee"):
            step = partial(torch.mm, left, right)
            seconds = min(bench.queued_seconds(step, 0.2) for _ in range(3))
        RATES[precision] = 2.0 * size**3 / seconds
    return RATES[precision]


def measure_card(bench: Bench) -> None:
    """Print the card, versions, and the rates of its products."""
    print(
        f"torch {torch.__version__}, CUDA {torch.version.cuda}, {torch.get_num_threads()} threads"
    )
    if bench.is_cuda:
        facts = torch.cuda.get_device_properties(bench.device)
        memory, cudnn = facts.total_memory / 2**30, torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        print(f"{facts.name}, {memory:.1f} GiB, {facts.multi_processor_count} SMs, cuDNN {cudnn}")
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm", "--format=csv,noheader"]
        with contextlib.suppress(OSError):
            answer = subprocess.run(query, capture_output=True, text=True, check=False, timeout=20)
            print(f"driver and clock: {answer.stdout.strip() or answer.stderr.strip()}")
    settings = [each.fp32_precision for each in SETTINGS]
    print(f"float32 by default: products {settings[0]}, recurrent layers {settings[1]}")
    for precision in ("fp32", "tf32", "bf16") if bench.is_cuda else PRECISIONS:
        print(f"large products, {precision}: {product_rate(bench, precision) / 1e12:.2f} TFLOP/s")
    number = torch.zeros(1, device=bench.device)
    seconds = bench.queued_seconds(lambda: number.add_(1), 0.2)
    print(f"an operation on one number: {1e6 * seconds:.1f} us")


def operations(job: TrainingJob) -> float:
    """Return the operations of a step's products, without those of n-grams."""
    config = job.config
    products = step_products(job.model, config.batch_size, config.seq_len)
    return 3 * sum(product.operations for product in products)


def measure_speed(bench: Bench) -> None:
    """Print the speed of steps and evaluations, and their share of the rate of large products."""
    sizes = (64, 96) if bench.is_tiny else (512, 1024)
    shapes = ((128, 16),) if bench.is_tiny else SHAPES
    print("model   batch    precision n-grams  steps/s     chars/s  share of products")
    for size in sizes:
        for ngram in (None, 0):
            job = bench.job(2, size, ngram)
            for batch_size, seq_len in shapes:
                if bench.quick and batch_size != 128 and (size, batch_size) != (512, 32):
                    continue
                for precision in PRECISIONS:
                    print_speed(bench, shaped(job, batch_size, seq_len), precision)
            for precision in PRECISIONS:
                print_evaluation(bench, job, precision)


def print_speed(bench: Bench, job: TrainingJob, precision: Precision) -> None:
    trainer = our_trainer(job, bench.device, precision)
    seconds = bench.queued_seconds(trainer.update, 0.3 if bench.quick else 0.8)
    config, share = job.config, operations(job) / seconds / product_rate(bench, precision)
    shape = f"{config.batch_size}x{config.seq_len}"
    characters = config.batch_size * config.seq_len / seconds
    print(
        f"2x{job.model.size:<5} {shape:<8} {precision:<9} {job.model.ngram:<7} "
        f"{1 / seconds:8.1f} {characters:11,.0f} {share:8.1%}",
        flush=True,
    )


def print_evaluation(bench: Bench, job: TrainingJob, precision: Precision) -> None:
    trainer = our_trainer(job, bench.device, precision)
    rows = [(start, min(stop, start + 2000)) for start, stop in job.split.val[:128]]
    characters = sum(stop - start for start, stop in rows)

    def step() -> None:
        evaluate(trainer.model, job.corpus, rows, precision, never_stop, trainer.ngrams)

    seconds = bench.waited_seconds(step, 1 if bench.quick else 3)
    print(
        f"2x{job.model.size:<5} evaluation of {len(rows)} rows, {precision}, "
        f"n-grams {job.model.ngram}: {characters / seconds:,.0f} characters per second"
    )


def measure_parts(bench: Bench) -> None:
    """Print where the time of a step goes."""
    cases = [(512, 32, 64), (512, 100, 100), (1024, 128, 128)]
    if bench.is_tiny:
        cases = [(64, 4, 16)]
    elif bench.quick:
        cases = cases[:1]
    for size, batch_size, seq_len in cases:
        job = shaped(bench.job(2, size), batch_size, seq_len)
        for precision in PRECISIONS:
            print(f"2x{size}, {batch_size}x{seq_len}, {precision}, milliseconds, each waited for:")
            for name, seconds in step_parts(bench, job, precision):
                print(f"  {1000 * seconds:8.3f}  {name}", flush=True)
            trainer = our_trainer(job, bench.device, precision)
            attempt("profile", partial(profile_steps, bench, trainer))
        attempt("layers", partial(print_layer_times, bench, job))
        attempt("trials", partial(print_layer_trials, bench, job))
    attempt("waits", partial(print_waits, bench, job))


def step_parts(bench: Bench, job: TrainingJob, precision: Precision) -> Iterator[tuple[str, float]]:
    """Yield the parts of a step with their seconds."""
    trainer = our_trainer(job, bench.device, precision)
    device = torch.device(bench.device)
    ngrams = ngram_inputs(job, trainer.windows)
    assert ngrams is not None
    steps = iter(range(1000, 100_000))
    yield (
        "n-gram inputs, computed by one CPU thread",
        bench.waited_seconds(lambda: ngrams.at(next(steps))),
    )
    inputs = ngrams.at(0)
    yield (
        f"their copy from pinned memory, {inputs.nbytes / 1e6:.1f} MB",
        bench.waited_seconds(lambda: to_device(inputs, device)),
    )
    load = trainer._batches.batch
    yield "a batch with n-grams", bench.waited_seconds(lambda: load(next(steps)))
    yield from update_parts(bench, trainer)
    yield "a whole step, waited for", bench.waited_seconds(trainer.update)
    yield "a whole step, queued", bench.queued_seconds(trainer.update, 0.5)


def update_parts(bench: Bench, trainer: Trainer) -> Iterator[tuple[str, float]]:
    """Yield the parts of `Trainer.update` on a batch that is on the device."""
    trainer.update()
    batch, rows = trainer._batches.batch(1), slice(0, trainer.config.batch_size)
    state, parameters = trainer._state, trainer._parameters

    def forward() -> torch.Tensor:
        return trainer._loss_of_rows(batch, state, rows)[0]

    def both() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(forward(), parameters)

    with float32_products("ieee"):
        yield "forward and loss, with dropout", bench.waited_seconds(forward)
        yield "forward and backward", bench.waited_seconds(both)
        gradients = both()

    def optimize() -> None:
        norm = global_norm(gradients)
        trainer.optimizer.step(gradients, norm, trainer.step, 1e-9)

    yield "norm and optimizer", bench.waited_seconds(optimize)
    yield (
        "a number of the host as a tensor, as in the optimizer",
        bench.waited_seconds(lambda: torch.tensor(1.0, device=bench.device)),
    )


def profile_steps(bench: Bench, trainer: Trainer) -> None:
    """Print how busy the GPU is in queued steps, and the kernels that take the most time."""
    if not bench.is_cuda:
        print("  (the profile of kernels needs a GPU)")
        return
    from torch.autograd import DeviceType  # type: ignore[attr-defined]
    from torch.profiler import ProfilerActivity, profile

    for _ in range(5):
        trainer.update()
    bench.finish()
    count = 10
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        before = time.perf_counter()
        for _ in range(count):
            trainer.update()
        bench.finish()
        seconds = time.perf_counter() - before
    kernels = [event for event in profiled.events() if event.device_type == DeviceType.CUDA]
    times: Counter[str] = Counter()
    for kernel in kernels:
        times[kernel.name] += kernel.time_range.elapsed_us()
    busy = covered((kernel.time_range.start, kernel.time_range.end) for kernel in kernels) / 1e6
    text = f"kernels in {busy / seconds:.0%} of the time, {len(kernels) / count:.0f} per step"
    print(f"  {text}; the longest, milliseconds per step:")
    for name, microseconds in times.most_common(7):
        number = sum(kernel.name == name for kernel in kernels) / count
        print(f"  {microseconds / 1000 / count:8.3f}  x {number:5.1f}  {name[:80]}")


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return how much of a line some intervals cover; those of several streams overlap."""
    total, reached = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, reached))
        reached = max(reached, stop)
    return total


def print_waits(bench: Bench, job: TrainingJob) -> None:
    """Print the lines of a step in which the host waits for the GPU."""
    if not bench.is_cuda:
        print("(the lines that wait for the device need a GPU)")
        return
    trainer = our_trainer(job, bench.device, "fp32")
    for _ in range(3):
        trainer.update()
    places = waits(trainer.update)
    print(f"the host waits for the GPU {len(places)} times in a step: {', '.join(places)}")
