"""How much sooner our training reaches a val loss than the plain port, training time for training time.

    python -m tests.benchmarks.time_to_loss anna.txt --val-split spread --target 1.243:1780 --target 1.119:3560
    python -m tests.benchmarks.time_to_loss tinyshakespeare.txt --layers 1 --lr 4e-3 --dropout 0 --max-steps 2500

A target is a val loss and the steps of 100 x 100 that the port needs for it. Seconds a step are medians of steps that
take turns in one process; evaluations are left out on both sides.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path

from charrnn_cli.config import ModelConfig, TextOptions, TrainConfig
from charrnn_cli.events import Evaluated
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.splits import split_text
from charrnn_cli.training.device import choose_device, choose_precision
from charrnn_cli.training.evaluation import evaluate
from charrnn_cli.training.loop import train
from charrnn_cli.training.network import CharRNN
from charrnn_cli.training.trainer import Trainer
from charrnn_cli.training.windows import TrainWindows
from tests.benchmarks.throughput import median_seconds, port_step

FRESH_WINDOW = (
    256  # characters, each window from the zero state, as fixed-context models are measured
)


def seconds_per_step(
    corpus: Corpus, model: ModelConfig, config: TrainConfig, rounds: int
) -> dict[str, float]:
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    config = dataclasses.replace(
        config, device=str(device), precision=precision, seed=1, dropout=config.dropout or 0.1
    )
    spans = split_text(len(corpus), config.val_fraction, config.val_split).train
    trainer = Trainer(model, config, TrainWindows(corpus, spans, config), total_steps=10_000)
    return median_seconds(
        {"port": port_step(100, 100, len(corpus.vocab)), "ours": trainer.update}, rounds
    )


def reached(
    corpus: Corpus, model: ModelConfig, config: TrainConfig
) -> tuple[list[Evaluated], float]:
    """Every evaluation of a run, and its end's loss on fresh windows."""
    run = Registry().create("benchmark")
    evaluations = []
    for event in train(corpus, model, config, run=run):
        if isinstance(event, Evaluated):
            evaluations.append(event)
            print(
                f"  step {event.step:>6,}   val {event.val_loss:.4f}   {event.seconds:5.0f} s",
                flush=True,
            )
    checkpoint = load_checkpoint(run.checkpoints()[-1].path)
    network = CharRNN(checkpoint.model)
    network.load(checkpoint.weights)
    rows = [
        (start, min(start + FRESH_WINDOW, stop))
        for first, stop in split_text(len(corpus), config.val_fraction, config.val_split).val
        for start in range(first, stop, FRESH_WINDOW)
    ]
    fresh = evaluate(network, corpus, rows, "fp32")
    assert fresh is not None
    return evaluations, fresh


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("--target", action="append", default=[], metavar="LOSS:PORT_STEPS")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--val-split", default="tail")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--embed", type=int, default=64)
    parser.add_argument("--lr", type=float, default=TrainConfig().lr)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seq-len", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=4500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["CHARRNN_HOME"] = home
        corpus = cached_corpus(arguments.text, TextOptions())
        model = ModelConfig(
            vocabulary_size=len(corpus.vocab),
            layers=arguments.layers,
            size=arguments.size,
            embed=arguments.embed,
        )
        names = ("val_split", "lr", "dropout", "ema", "batch_size", "seq_len", "max_steps")
        config = TrainConfig(
            **{name: getattr(arguments, name) for name in names}, epochs=None, seed=1
        )
        seconds = seconds_per_step(corpus, model, config, arguments.rounds)
        started = time.monotonic()
        evaluations, fresh = reached(corpus, model, config)
        last = evaluations[-1]
        print(
            f"{arguments.text.name}, {model}, {arguments.batch_size} x {arguments.seq_len}, lr {arguments.lr:g}:"
        )
        print(
            f"{seconds['ours']:.4f} s a step, the port {seconds['port']:.3f} s a step of 100 x 100"
        )
        print(f"{last.step:,} steps, {last.step * seconds['ours']:.0f} s of steps, ", end="")
        print(
            f"{time.monotonic() - started:.0f} s in all: val {last.val_loss:.4f}, fresh windows {fresh:.4f}"
        )
        for target in arguments.target:
            loss, port_steps = (float(part) for part in target.split(":"))
            sooner = [event.step for event in evaluations if event.val_loss <= loss]
            if not sooner:
                print(f"val {loss}: not reached")
                continue
            ours, port = sooner[0] * seconds["ours"], port_steps * seconds["port"]
            print(
                f"val {loss}: {sooner[0]:,} steps, {ours:.0f} s; the port {port:,.0f} s: {port / ours:.1f} x sooner"
            )


if __name__ == "__main__":
    main()
