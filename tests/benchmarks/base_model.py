"""Train the built-in model of English prose, and write it as the package holds it.

    python -m tests.benchmarks.base_model dracula.txt frankenstein.txt jane_eyre.txt [-o FILE]

The books are plain texts of Project Gutenberg, without its header and license. The command takes
about half an hour on two cores, and prints the loss on the text held out.
"""

import argparse
import dataclasses
import hashlib
import os
import tempfile
import time
from pathlib import Path

import charrnn_cli
from charrnn_cli.events import Evaluated, TrainingFinished
from charrnn_cli.model.checkpoint import load_checkpoint, save_checkpoint
from charrnn_cli.storage.source import Source
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.loop import train

# Title, number at Project Gutenberg, and SHA-256 of the file.
BOOKS = [
    ("Dracula", 345, "fa4894ede1fe1ce7846418a9de4acf17facdc655501dd86472d1647dca2da7e2"),
    ("Frankenstein", 84, "a1c5e6ec862958a7202dc0396d8a0e27065364e8e5d51a7a070517f59cc204d0"),
    ("Jane Eyre", 1260, "42e060b51a98af02e78476062246e3a13b71c88fcad9d3a868498f0641b75a55"),
]
SETTINGS = {
    "layers": 1,
    "size": 512,
    "ngram": 0,
    "epochs": 24,
    "lr": 4e-3,
    "dropout": 0.3,
    "val_fraction": 0.05,
    "val_split": "spread",
    "seed": 1,
}
TARGET = Path(charrnn_cli.__file__).parent / "data" / "english.safetensors"


def check_books(paths: list[Path]) -> None:
    found = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    for digest, (title, number, expected) in zip(found, BOOKS, strict=True):
        if digest != expected:
            raise SystemExit(f"error: {title} (Project Gutenberg {number}) has another SHA-256")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("books", type=Path, nargs=len(BOOKS))
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    check_books(arguments.books)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        job = TrainingJob.new(Source(tuple(arguments.books)), SETTINGS, name="english")
        for event in train(job):
            if isinstance(event, Evaluated):
                minutes = (time.monotonic() - started) / 60
                losses = f"val {event.val_loss:.4f}, train {event.train_loss:.4f}"
                print(f"{minutes:5.1f} min, step {event.step:,}: {losses}", flush=True)
            if isinstance(event, TrainingFinished):
                print(f"best: step {event.best_step}, val {event.best_val_loss}")
        trained = load_checkpoint("english@best")
    titles = ", ".join(title for title, _, _ in BOOKS)
    numbers = ", ".join(str(number) for _, number, _ in BOOKS)
    data = dataclasses.replace(trained.data, name=f"{titles} (Project Gutenberg {numbers})")
    built_in = dataclasses.replace(trained, data=data)
    save_checkpoint(arguments.output, built_in, replace=True, dtype="F16")
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
