"""Compare the speed of sampling with a PyTorch loop and with the matrix products alone.

    python -m tests.benchmarks.sampling_speed [--rounds 15]

First, the time per character of LSTMs of three sizes with one thread is split into its parts, and
the time per character of a real text is compared with and without n-grams of it. Then, a 2x512
model is compared: the implementations have the same weights and take turns in one process, with
one thread, with two threads, and with one thread while another process keeps a core busy. Whole
commands are measured last. The results are medians and their ratios; those of the parts also come
with the minimum.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 200
CHARACTERS = "".join(map(chr, range(33, 116)))
SHAPES = [(1, 256), (1, 512), (2, 512)]  # layers, hidden size
ROWS = 64
TORCH_SCRIPT = """
import sys, torch
from safetensors.torch import load_file
weights = load_file(sys.argv[1])
vocab_size, size = weights["output.weight"].shape
lstm = torch.nn.LSTM(vocab_size, size, 2)
state_dict = {f"{name}_l{layer}": weights[f"layers.{layer}.{name}_l0"]
              for layer in range(2) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
state_dict["weight_ih_l0"] = state_dict["weight_ih_l0"] @ weights["embedding.weight"].T
lstm.load_state_dict(state_dict)
output = torch.nn.Linear(size, vocab_size)
output.load_state_dict({"weight": weights["output.weight"], "bias": weights["output.bias"]})
with torch.no_grad():
    state, last = None, torch.tensor([[3]])
    for _ in range(2000):
        one_hot = torch.nn.functional.one_hot(last, vocab_size).float()
        hidden, state = lstm(one_hot, state)
        values, ids = output(hidden[0, 0]).topk(5)
        last = ids[torch.multinomial(values.softmax(0), 1)][None]
"""


def part_times(writer: Any) -> dict[str, float]:
    """Return the median seconds per character of one row, of whole characters and of their parts.

    The parts are timed where they run, because a product evicts their code from the caches. A
    median over characters leaves out those during which another process had the core.
    """
    import numpy as np

    def timed(run: "Callable[[], Any]") -> float:
        before = time.perf_counter()
        run()
        return time.perf_counter() - before

    engine = writer._engine
    matrices = [*(layer.w_joined_SG for layer in engine._layers), engine._w_output_HV]
    operands = [
        (np.ones((1, len(matrix)), np.float32), matrix, np.empty((1, matrix.shape[1]), np.float32))
        for matrix in matrices
    ]

    def products() -> None:
        for vector, matrix, result in operands:
            np.dot(vector, matrix, out=result)

    def draw() -> None:
        writer._unread, _ = writer._draw()

    characters = writer.write(STEPS)
    sides = {"total": [lambda: next(characters)], "products alone": [products]}
    sides |= {"step, draw": [writer._step, draw]}
    times = {
        name: np.median([[timed(run) for run in runs] for _ in range(STEPS)], axis=0).tolist()
        for name, runs in sides.items()
    }
    step, filters_and_draw = times.pop("step, draw")
    medians = {name: value for name, (value,) in times.items()}
    return {**medians, "step": step, "filters + draw": filters_and_draw}


def parts_worker(rounds: int) -> None:
    """Print a table of the parts of each shape's time; the shapes take turns."""
    from charrnn_cli.config import SampleConfig
    from charrnn_cli.model.sampling import Writer

    writers = {shape: Writer(_checkpoint(*shape), SampleConfig(seed=1)) for shape in SHAPES}
    times: dict[tuple[int, int], list[dict[str, float]]] = {shape: [] for shape in SHAPES}
    for writer in writers.values():
        writer.read("A")
    for _ in range(rounds):
        for shape, writer in writers.items():
            times[shape].append(part_times(writer))
    print("\none thread, us per character: median (minimum)")
    for (layers, size), rows in times.items():
        print(f"  {layers}x{size}")
        for title, value in PARTS.items():
            values = [1e6 * value(row) for row in rows]
            print(f"    {title:<24} {statistics.median(values):7.1f} ({min(values):.1f})")
        ratios = [row["total"] / row["products alone"] for row in rows]
        print(f"    total / products alone   {statistics.median(ratios):7.2f} ({min(ratios):.2f})")


def ngrams_worker(rounds: int) -> None:
    """Print how much longer a character takes with n-grams; models of each shape take turns."""
    from pathlib import Path

    import numpy as np

    import charrnn_cli
    from charrnn_cli.config import SampleConfig
    from charrnn_cli.model.sampling import Writer
    from charrnn_cli.training.job import TrainingJob

    book = Path(charrnn_cli.__file__).parent / "data" / "alice.txt"
    jobs = [TrainingJob.new(book, {"ngram": order}) for order in (0, None)]
    text = "".join(jobs[0].corpus.text())[:STEPS]
    print("\none thread, ratio of a character with n-grams to one without: median (minimum)")
    for layers, size in SHAPES:
        writers = []
        for job in jobs:
            config = dataclasses.replace(job.model, layers=layers, size=size)
            made = _checkpoint(layers, size, job.corpus.vocab.characters)
            weights = {**made.weights}
            for name, shape in config.tensor_shapes().items():
                if name.startswith("ngram"):
                    weights[name] = np.zeros(shape, np.float32)
            changed = {"model": config, "weights": weights, "ngrams": job.ngrams}
            checkpoint = dataclasses.replace(made, **changed)
            writers.append(Writer(checkpoint, SampleConfig(seed=1)))
        ratios, more = [], []
        for _ in range(rounds):
            without, with_ngrams = (_seconds_per_character(writer, text) for writer in writers)
            ratios.append(with_ngrams / without)
            more.append(1e6 * (with_ngrams - without))
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f})"
        print(f"  {layers}x{size}  {ratio}, {statistics.median(more):.1f} us more")


def _seconds_per_character(writer: Any, text: str) -> float:
    """Draw a character after each character of a text, and read the text's own instead."""
    times = []
    for character_id in writer.vocab.encode(text):
        before = time.perf_counter()
        writer._step()
        if writer._logits_RV is not None:
            writer._draw()
        times.append(time.perf_counter() - before)
        writer._unread = [character_id]
    return statistics.median(times)


PARTS: "dict[str, Callable[[dict[str, float]], float]]" = {
    "total": lambda row: row["total"],
    "products alone": lambda row: row["products alone"],
    "filters + draw": lambda row: row["filters + draw"],
    "step - products": lambda row: row["step"] - row["products alone"],
    "sum of the last two": lambda row: row["filters + draw"] + row["step"] - row["products alone"],
}


def worker(threads: int, rounds: int) -> None:
    """Print the median seconds per character of each implementation as JSON."""
    import numpy as np
    import torch

    from charrnn_cli.config import SampleConfig
    from charrnn_cli.model.sampling import Writer

    torch.set_num_threads(threads)
    checkpoint = _checkpoint()
    writer = Writer(checkpoint, SampleConfig(seed=1))
    writer.read("A")
    many = writer.repeat(range(ROWS))
    size, symbols = checkpoint.model.size, checkpoint.model.vocabulary_size
    matrices = [
        np.ones(shape, np.float32)
        for shape in ((size, 4 * size), (2 * size, 4 * size), (size, symbols))
    ]
    vectors = [np.ones((1, len(matrix)), np.float32) for matrix in matrices]
    results = [np.empty((1, matrix.shape[1]), np.float32) for matrix in matrices]
    lstm, output = torch.nn.LSTM(symbols, size, 2), torch.nn.Linear(size, symbols)
    tensors = {
        f"{name}_l{layer}": torch.from_numpy(checkpoint.weights[f"layers.{layer}.{name}_l0"])
        for layer in range(2)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    tensors["weight_ih_l0"] = (
        tensors["weight_ih_l0"] @ torch.from_numpy(checkpoint.weights["embedding.weight"]).T
    )
    lstm.load_state_dict(tensors)

    def products() -> None:
        for _ in range(STEPS):
            for vector, matrix, result in zip(vectors, matrices, results, strict=True):
                np.dot(vector, matrix, out=result)

    def torch_loop() -> None:
        state, last = None, torch.tensor([[3]])
        with torch.no_grad():
            for _ in range(STEPS):
                one_hot = torch.nn.functional.one_hot(last, symbols).float()
                hidden, state = lstm(one_hot, state)
                values, ids = output(hidden[0, 0]).topk(5)
                last = ids[torch.multinomial(values.softmax(0), 1)][None]

    sides: dict[str, tuple[Callable[[], Any], int]] = {
        "ours": (lambda: list(writer.write(STEPS)), STEPS),
        f"ours, {ROWS} rows": (lambda: list(many.write(STEPS // 10)), STEPS // 10 * ROWS),
        "products alone": (products, STEPS),
        "torch": (torch_loop, STEPS),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (run, characters) in sides.items():
            before = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - before) / characters)
    print(json.dumps({name: statistics.median(values) for name, values in times.items()}))


def _checkpoint(layers: int = 2, size: int = 512, characters: str = CHARACTERS) -> Any:
    from charrnn_cli.architecture import ModelConfig
    from tests.helpers import make_checkpoint

    config = ModelConfig(vocabulary_size=len(characters), layers=layers, size=size, embed=64)
    return make_checkpoint(config, characters=characters, scale=0.05, run="speed")


def printed(threads: int, *arguments: str) -> str:
    """Return the output of this program in a process with this number of threads."""
    environment = {
        **os.environ,
        "OPENBLAS_NUM_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "tests.benchmarks.sampling_speed", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout


def measured(threads: int, rounds: int) -> dict[str, float]:
    return dict(json.loads(printed(threads, "--worker", str(threads), "--rounds", str(rounds))))


def show(title: str, seconds: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, value in seconds.items():
        ratio = seconds["torch"] / value
        speed = f"{1e6 * value:8.0f} us per character   {1 / value:9,.0f} chars/s"
        print(f"  {name:<16} {speed}   {ratio:6.1f} x torch")
    ratio = seconds["ours"] / seconds["products alone"]
    print(f"  ours takes {ratio:.2f} x the time of the products alone")
    ratio = seconds["ours"] / seconds[f"ours, {ROWS} rows"]
    print(f"  {ROWS} rows generate {ratio:.1f} x as many characters per second as one row")


def whole_commands(rounds: int) -> None:
    """Print the median seconds from start to exit, and to the first character."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CHARRNN_HOME": home}
        os.environ["CHARRNN_HOME"] = home
        from tests.helpers import save

        path = save(_checkpoint())
        ours = [sys.executable, "-m", "charrnn_cli", "sample", "--prime", "A", "-n", "2000"]
        commands = {
            "charrnn sample -n 2000": ours,
            "torch script, 2000": [sys.executable, "-c", TORCH_SCRIPT, str(path)],
            "import torch": [sys.executable, "-c", "import torch"],
        }
        times: dict[str, list[float]] = {name: [] for name in [*commands, "first character"]}
        for _ in range(rounds):
            for name, command in commands.items():
                before = time.perf_counter()
                subprocess.run(command, env=environment, capture_output=True, check=True)
                times[name].append(time.perf_counter() - before)
            before = time.perf_counter()
            with subprocess.Popen(
                [*ours, "--no-echo"], env=environment, stdout=subprocess.PIPE, stderr=-3
            ) as process:
                assert process.stdout is not None
                process.stdout.read(1)
                times["first character"].append(time.perf_counter() - before)
                process.stdout.read()
        print("\nwhole commands")
        for name, values in times.items():
            print(f"  {name:<24} {statistics.median(values):6.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--parts", action="store_true", help="measure the parts alone")
    arguments = parser.parse_args()
    if arguments.parts:
        parts_worker(arguments.rounds)
        ngrams_worker(arguments.rounds)
        return
    if arguments.worker:
        worker(arguments.worker, arguments.rounds)
        return
    print(printed(1, "--parts", "--rounds", str(arguments.rounds)), end="")
    show("one thread", measured(1, arguments.rounds))
    show("two threads", measured(2, arguments.rounds))
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            show("one thread, another process on the other core", measured(1, arguments.rounds))
        finally:
            busy.kill()
    whole_commands(max(3, arguments.rounds // 3))


if __name__ == "__main__":
    main()
