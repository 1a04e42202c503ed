"""The program's own commands on a GPU: a run that is stopped and resumed, doctor and train."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.training.snapshot import load_resume
from tests.benchmarks.gpu_bench import Bench, verdict

STEPS = 300  # a signal takes a few steps to arrive
STOP_AFTER = 30
TIMEOUT = 170.0  # seconds


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "charrnn_cli", *arguments]


def run(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=TIMEOUT,
        check=False,
    )


def check_resume(bench: Bench) -> None:
    """Check that a run that is stopped and resumed ends with the weights of one that is not.

    All runs train at the same time, which takes the least time and may not change a bit.
    """
    precisions = ("fp32",) if bench.quick else ("fp32", "bf16")
    with ThreadPoolExecutor(8) as pool:
        parts, whole = {}, []
        for precision in precisions:
            options = run_options(bench, precision)
            names = (f"whole-{precision}", f"again-{precision}")
            whole += [pool.submit(run_to_end, [*options, "--run", name]) for name in names]
            some = [*options, "--run", f"parts-{precision}", "--log-every", "1"]
            parts[precision] = pool.submit(stopped_run, some)
        stopped_at = {precision: future.result() for precision, future in parts.items()}
        for precision in precisions:
            arguments = ["train", "--resume", f"parts-{precision}", "--json"]
            whole.append(pool.submit(run_to_end, arguments))
        for future in whole:
            future.result()
    for precision in precisions:
        compare(f"whole-{precision}", f"again-{precision}", f"two runs in {precision}")
        step = stopped_at[precision]
        text = (
            f"a run in {precision}, stopped at step {step} of {STEPS} and resumed, and a whole one"
        )
        if step == STEPS:
            raise RuntimeError("the run had ended before the signal arrived")
        compare(f"whole-{precision}", f"parts-{precision}", text)


def run_to_end(arguments: Sequence[str]) -> None:
    """Run a command; raises RuntimeError if it fails."""
    outcome = run(arguments)
    if outcome.returncode:
        raise RuntimeError(outcome.stderr[-300:])


def run_options(bench: Bench, precision: str) -> list[str]:
    layers, size = ("1", "16") if bench.is_tiny else ("2", "256")
    options = ["train", str(bench.text), "--json", "--init-from", "none", "--seed", "1"]
    options += ["--device", bench.device, "--precision", precision, "--dropout", "0.25"]
    options += ["--layers", layers, "--size", size, "--batch-size", "32"]
    return [*options, "--seq-len", "64", "--max-steps", str(STEPS), "--eval-every", "100"]


def stopped_run(arguments: Sequence[str]) -> int:
    """Train until a signal some steps after the start; return the step that was saved."""
    reached, is_asked = 0, False
    with tempfile.TemporaryFile("w+", encoding="utf-8") as messages:
        with subprocess.Popen(
            command(*arguments),
            stdout=subprocess.PIPE,
            stderr=messages,
            encoding="utf-8",
            env=dict(os.environ),
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                reached = max(reached, json.loads(line).get("step") or 0)
                if reached >= STOP_AFTER and not is_asked:
                    process.send_signal(signal.SIGINT)
                    is_asked = True
        messages.seek(0)
        if not is_asked:
            raise RuntimeError(messages.read()[-300:])
    return reached


def compare(first: str, second: str, text: str) -> None:
    """Print whether the last states of two runs are equal, bit for bit."""
    states = [last_state(name) for name in (first, second)]
    apart = [name for name in states[0] if not np.array_equal(states[0][name], states[1][name])]
    note = f"; {len(apart)} of {len(states[0])} tensors differ, {apart[:4]}" if apart else ""
    verdict(not apart, f"{text} have equal weights and optimizer states{note}")


def last_state(name: str) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Return the last weights and the tensors of the resume file of a run."""
    found = Registry().run(name)
    checkpoint = load_checkpoint(found.checkpoints()[-1].path)
    assert checkpoint.step == STEPS, f"{name} ends at step {checkpoint.step}"
    return {**checkpoint.weights, **load_resume(found.resume_path).tensors}


def run_commands(bench: Bench) -> None:
    """Run `charrnn doctor` and `charrnn train --max-time` as a user does."""
    outcome = run(["doctor"])
    print(outcome.stdout.rstrip() or outcome.stderr.rstrip())
    verdict(outcome.returncode == 0, f"charrnn doctor ends with {outcome.returncode}")
    limit = 20 if bench.quick else 60
    arguments = ["train", str(bench.text), "--max-time", f"{limit}s", "--device", bench.device]
    started = time.monotonic()
    outcome = run([*arguments, "--run", "limited", "--seed", "1"])
    elapsed = time.monotonic() - started
    lines = outcome.stderr.rstrip().replace("\r", "\n").split("\n")
    print("\n".join(lines[-16:]))
    text = f"charrnn train --max-time {limit}s ends with {outcome.returncode} after {elapsed:.1f} s"
    verdict(outcome.returncode == 0 and elapsed <= limit, text)
    if outcome.returncode == 0:
        shown = run(["checkpoints", "show", "limited"])
        print("\n".join(shown.stdout.rstrip().split("\n")[:14]))
