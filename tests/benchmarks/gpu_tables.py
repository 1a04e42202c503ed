"""N-grams on a GPU, compared with those in numpy: results, time and memory."""

import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from charrnn_cli.training.batch_loader import BatchLoader
from charrnn_cli.training.evaluation import evaluate, never_stop
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.ngram_device import DeviceNgramInputs, DeviceNgrams, has_room
from charrnn_cli.training.ngram_inputs import ngram_inputs, ngram_text
from charrnn_cli.training.windows import make_windows
from tests.benchmarks.gpu_bench import Bench, attempt, shaped, verdict
from tests.benchmarks.throughput import our_trainer

Q_BOUND = 1e-6
INPUTS_BOUND = 2e-5  # a few units in the last place of logarithms from -32 to -64
LOSS_BOUND = 1e-6  # relative


def measure_tables(bench: Bench) -> None:
    """Compare n-grams on the device with those of numpy: results, time and memory."""
    job = bench.job(2, 64 if bench.is_tiny else 512)
    text, device = ngram_text(job), torch.device(bench.device)
    assert text is not None
    before = torch.cuda.memory_allocated(device) if bench.is_cuda else 0
    started = time.perf_counter()
    ngrams = DeviceNgrams(text, device)
    bench.finish()
    seconds = time.perf_counter() - started
    taken = (torch.cuda.memory_allocated(device) if bench.is_cuda else 0) - before
    print(f"n-grams of {text.order}, {text.ngrams.num_pairs:,} pairs", end=", ")
    print(f"{taken / 1e6:.0f} MB on the device, prepared in {seconds:.2f} s")
    if bench.is_cuda:
        verdict(has_room(text, device), "the device has room for them")
    shapes = ((4, 16),) if bench.is_tiny else ((32, 64), (100, 100), (128, 128))
    for batch_size, seq_len in shapes:
        compare(bench, shaped(job, batch_size, seq_len), ngrams)
    attempt("evaluation", partial(compare_evaluations, bench, job, ngrams))


def compare(bench: Bench, job: TrainingJob, ngrams: DeviceNgrams) -> None:
    """Compare the inputs of steps, and print how long they take."""
    windows = make_windows(job.corpus, job.split, job.config, seed=1)
    in_numpy = ngram_inputs(job, windows)
    assert in_numpy is not None
    inputs = DeviceNgramInputs(ngrams, windows, job.split.train)
    loader = BatchLoader(windows, ngrams.device, resident=True, ngrams=inputs)
    steps = [0, 1, windows.per_epoch // 2, windows.per_epoch, 3 * windows.per_epoch + 1]
    apart, repeats = [0.0, 0.0], True
    for step in steps:
        on_device = [loader.batch(step).ngrams for _ in range(2)]
        assert on_device[0] is not None
        assert on_device[1] is not None
        repeats &= torch.equal(on_device[0], on_device[1])
        both = in_numpy.at(step), on_device[0].cpu().numpy()
        probabilities = [softmax(array) for array in both]
        apart[0] = max(apart[0], float(np.abs(probabilities[0] - probabilities[1]).max()))
        apart[1] = max(apart[1], float(np.abs(both[0] - both[1]).max()))
    shape = f"{job.config.batch_size}x{job.config.seq_len}"
    text = f"{shape}: q differs by {apart[0]:.1e}, inputs by {apart[1]:.1e}"
    verdict(apart[0] < Q_BOUND and apart[1] < INPUTS_BOUND, f"{text}, over {len(steps)} steps")
    verdict(repeats, f"{shape}: the same step repeats bit for bit")
    numbers = iter(range(100, 1_000_000))
    alone = BatchLoader(windows, ngrams.device, resident=True)
    times = [
        bench.waited_seconds(lambda: in_numpy.at(next(numbers)), 3),
        bench.waited_seconds(lambda: loader.batch(next(numbers)), 9),
        bench.queued_seconds(lambda: loader.batch(next(numbers)), 0.2),
        bench.queued_seconds(lambda: alone.batch(next(numbers)), 0.1),
    ]
    numpy_ms, waited, queued, without = (1000 * seconds for seconds in times)
    print(
        f"     {shape}, milliseconds per step: numpy {numpy_ms:.2f}; a batch on the device", end=""
    )
    print(f" {queued:.2f} queued, {waited:.2f} waited for; without n-grams {without:.2f}")
    if bench.is_cuda:
        attempt("kernels", partial(print_kernels, bench, lambda: loader.batch(next(numbers))))


def print_kernels(bench: Bench, work: Callable[[], object]) -> None:
    """Print the number and the time of the kernels of some work, and whether the host waits."""
    from torch.autograd import DeviceType  # type: ignore[attr-defined]
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(5):
            work()
        bench.finish()
    kernels = [event for event in profiled.events() if event.device_type == DeviceType.CUDA]
    microseconds = sum(kernel.time_range.elapsed_us() for kernel in kernels)
    print(f"     {len(kernels) / 5:.0f} kernels of {microseconds / 5000:.2f} ms per step")
    verdict(not waits(work), f"the host does not wait for the device: {', '.join(waits(work))}")


def waits(work: Callable[[], object]) -> list[str]:
    """Return the lines in which the host waits for the GPU during some work."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    # Setting the mode warns as well.
    found = [each for each in caught if "prototype" not in str(each.message)]
    return [f"{each.filename.rsplit('/', 1)[-1]}:{each.lineno}" for each in found]


def compare_evaluations(bench: Bench, job: TrainingJob, ngrams: DeviceNgrams) -> None:
    """Compare the losses of an evaluation, which also reads text that was counted."""
    trainer, text = our_trainer(job, bench.device, "fp32"), ngram_text(job)
    for _ in range(3):
        trainer.update()
    rows = [*job.split.val[:8], (1000, 3000)]
    rows = [(start, min(stop, start + 1200)) for start, stop in rows]
    losses = [
        evaluate(trainer.model, job.corpus, rows, "fp32", never_stop, each)
        for each in (text, ngrams)
    ]
    assert losses[0] is not None
    assert losses[1] is not None
    apart = abs(losses[1] / losses[0] - 1)
    verdict(apart < LOSS_BOUND, f"the losses of an evaluation differ by {apart:.1e}")


def softmax(inputs_TBV: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the probabilities from inputs, which are their logarithms and a constant."""
    powers = np.exp(inputs_TBV.astype(np.float64))
    result: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result
