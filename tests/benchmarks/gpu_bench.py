"""What the parts of the GPU benchmark share: their settings, clocks and verdicts."""

import dataclasses
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from charrnn_cli.training.job import TrainingJob

Precision = Literal["fp32", "bf16"]
SETTINGS: tuple[Any, Any] = (torch.backends.cuda.matmul, torch.backends.cudnn.rnn)


@dataclass(frozen=True)
class Bench:
    """The device, the text and the size of the work."""

    device: str
    quick: bool
    text: Path
    home: Path
    """The directory of runs, which is temporary."""

    @property
    def is_cuda(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def is_tiny(self) -> bool:
        """Whether sizes only show that the benchmark works."""
        return self.quick and not self.is_cuda

    def finish(self) -> None:
        """Wait for all work on the device."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def queued_seconds(self, step: Callable[[], object], budget: float) -> float:
        """Return the mean seconds of steps that are queued one after the other, without waits."""
        for _ in range(3):
            step()
        self.finish()
        before = time.perf_counter()
        step()
        self.finish()
        single = max(time.perf_counter() - before, 1e-6)
        count = max(2, min(500, round(budget / single)))
        before = time.perf_counter()
        for _ in range(count):
            step()
        self.finish()
        return (time.perf_counter() - before) / count

    def waited_seconds(self, step: Callable[[], object], rounds: int = 7) -> float:
        """Return the median seconds of a step whose end is waited for."""
        times = []
        for number in range(rounds + 2):
            self.finish()
            before = time.perf_counter()
            step()
            self.finish()
            if number >= 2:
                times.append(time.perf_counter() - before)
        return statistics.median(times)

    def job(self, layers: int, size: int, ngram: int | None = None, **settings: Any) -> TrainingJob:
        """Prepare a new run on the text; n-grams are of the default order if `ngram` is None."""
        settings |= {"layers": layers, "size": size}
        settings |= {} if ngram is None else {"ngram": ngram}
        return TrainingJob.new(self.text, settings)


def shaped(job: TrainingJob, batch_size: int, seq_len: int) -> TrainingJob:
    """Return the job with another shape of its batches."""
    config = dataclasses.replace(job.config, batch_size=batch_size, seq_len=seq_len)
    return dataclasses.replace(job, config=config)


def verdict(passed: bool, text: str) -> None:
    print(f"{'PASS' if passed else 'FAIL'} {text}")


def attempt(name: str, work: Callable[[], object]) -> None:
    """Do some work; print an error as a line, so that the rest of the benchmark goes on."""
    try:
        work()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        print(
            f"FAIL {name}: {type(error).__name__}: {' '.join(str(error).split())[:300]} ({place})"
        )
