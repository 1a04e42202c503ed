"""Measure and check training on one GPU.

    python -m tests.benchmarks.gpu [--device cuda|cpu] [--quick] [--only speed,resume] [TEXT]

Prints plain lines. A line begins with PASS or FAIL where there is a bound. Each part runs on its
own: an error in one is a line, and the others still run. Without TEXT, the bundled book is read.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from charrnn_cli.training.device import choose_device
from tests.benchmarks.gpu_bench import Bench, attempt
from tests.benchmarks.gpu_commands import check_resume, run_commands
from tests.benchmarks.gpu_numbers import (
    check_engines,
    check_losses,
    check_repeats,
    check_split,
    measure_gradients,
)
from tests.benchmarks.gpu_speed import measure_card, measure_parts, measure_speed
from tests.benchmarks.gpu_tables import measure_tables
from tests.benchmarks.throughput import BOOK

PARTS: dict[str, Callable[[Bench], None]] = {
    "card": measure_card,
    "engines": check_engines,
    "losses": check_losses,
    "gradients": measure_gradients,
    "repeats": check_repeats,
    "split": check_split,
    "tables": measure_tables,
    "speed": measure_speed,
    "parts": measure_parts,
    "resume": check_resume,
    "commands": run_commands,
}
"""The quick checks first, so that a run that is cut off has the most."""


def run_part(name: str, part: Callable[[Bench], None], bench: Bench) -> None:
    """Run a part; print its time, its warnings, and an error as a line."""
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        attempt(name, lambda: part(bench))
    for text in sorted({" ".join(str(each.message).split())[:200] for each in caught}):
        print(f"warning: {text}")
    print(f"({time.monotonic() - started:.1f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path, nargs="?", default=BOOK, metavar="TEXT")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--quick", action="store_true", help="fewer shapes and steps")
    parser.add_argument("--only", help=f"parts, separated by commas: {','.join(PARTS)}")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    unknown = ", ".join(sorted(set(chosen) - set(PARTS)))
    if unknown:
        parser.error(f"no part is called {unknown}")
    text = arguments.text.resolve()
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        bench = Bench(str(choose_device(arguments.device)), arguments.quick, text, Path(home))
        print(f"{text.name}, {text.stat().st_size:,} bytes, device {bench.device}")
        for name in chosen:
            run_part(name, PARTS[name], bench)


if __name__ == "__main__":
    main()
