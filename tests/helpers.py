"""What tests build and call: tiny real objects, a small text, and the types of fixtures."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import pytest

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import TextOptions, TrainConfig
from charrnn_cli.events import StepLogged, TrainEvent, TrainingFinished
from charrnn_cli.model.checkpoint import Checkpoint, save_checkpoint
from charrnn_cli.model.ngram_tables import count_tables
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.storage.header import DataFacts, RunCounters
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from charrnn_cli.storage.tensor_writer import sign_header
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.spans import SpanText, read_spans
from charrnn_cli.text.vocab import Vocab
from charrnn_cli.training.snapshot import TrainingSnapshot

if TYPE_CHECKING:
    from charrnn_cli.training.decisions import Decisions
    from charrnn_cli.training.job import TrainingJob

STORY = "the cat sat on the mat, and the rat sat on the cat.\n" * 80
TIMEOUT = 300.0  # seconds; only a process that hangs takes as long, however busy the machine is

FAST = (
    *("--layers", "1", "--size", "16", "--embed", "8"),
    *("--batch-size", "4", "--seq-len", "16", "--seed", "1"),
)
"""Options of `charrnn train` with which a step takes about a millisecond."""

TINY = TrainConfig(
    batch_size=4,
    seq_len=16,
    epochs=None,
    max_steps=30,
    eval_every=10,
    seed=5,
    precision="fp32",
    dropout=0.25,
    threads=1,
)

SIGNALS = [
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
]
"""Signals that stop the program after it has saved."""


class Outcome(NamedTuple):
    """The exit code of the program, and all that it wrote."""

    returncode: int
    stdout: str
    stderr: str


Charrnn = Callable[..., subprocess.CompletedProcess[str]]
Inside = Callable[..., Outcome]
Event = TypeVar("Event")


def error_of(stderr: str) -> str:
    """Return all of standard error from the error on, without the progress before it."""
    start = stderr.find("error: ")
    assert start >= 0, stderr
    return stderr[start:]


def count_ngrams(text: SpanText, vocabulary_size: int, order: int) -> NgramModel:
    """Count n-grams of an order, however large their tables are."""
    return count_tables(text, vocabulary_size, order, max_bytes=1 << 40)


def make_checkpoint(
    config: ModelConfig | None = None,
    *,
    characters: str = "\n abcdefgh",
    run: str = "tiny",
    step: int = 100,
    val_loss: float | None = 1.5,
    seed: int = 0,
    scale: float = 0.5,
    interrupted: bool = False,
    reading: TextOptions | None = None,
) -> Checkpoint:
    """A checkpoint of random weights; small enough to be made in a millisecond."""
    config = config or ModelConfig(vocabulary_size=len(characters), layers=1, size=4, embed=3)
    generator, ngrams = np.random.Generator(np.random.PCG64(seed)), None
    if config.ngram:
        text = read_spans(Corpus.from_text(STORY), [(0, 500)])
        known = SpanText(text.ids % len(characters), text.before)
        ngrams = count_ngrams(known, len(characters), config.ngram)
    return Checkpoint(
        model=config,
        ngrams=ngrams,
        vocab=Vocab(characters),
        weights={
            name: (scale * generator.standard_normal(shape)).astype(np.float32)
            for name, shape in config.tensor_shapes().items()
        },
        run=run,
        step=step,
        epoch=step / 50,
        train_loss=1.25,
        val_loss=val_loss,
        train={"seed": 1, "max_steps": 1000},
        data=DataFacts(
            name="story",
            sha256="0" * 64,
            characters=1000,
            commonest=" ",
            reading=reading or TextOptions(),
        ),
        versions={},
        interrupted=interrupted,
    )


def make_item_checkpoint(
    documents: str = "lines", *, longest_item: int | None = 5, **settings: Any
) -> Checkpoint:
    """A checkpoint of random weights for items, or for `files`; its characters are a to h.

    It ends most items after a few characters.
    """
    reading = settings.pop("reading", None) or TextOptions(documents=documents)
    characters = "\n abcdefgh" if reading.end == "\n" else f"{reading.end}\n abcdefgh"
    chosen: dict[str, Any] = {"characters": characters, **settings, "reading": reading}
    checkpoint = make_checkpoint(**chosen)
    longest_item = longest_item if reading.has_items else None
    data = replace(checkpoint.data, end=reading.end, longest_item=longest_item)
    weights = dict(checkpoint.weights)
    weights["output.bias"] = weights["output.bias"] + np.eye(1, len(checkpoint.vocab), dtype="f")[0]
    return replace(checkpoint, data=data, weights=weights)


def save(checkpoint: Checkpoint, registry: Registry | None = None) -> Path:
    """Publish a checkpoint in its run, which is made when it is missing."""
    registry = registry or Registry()
    run = Run(checkpoint.run, registry.root / checkpoint.run)
    run.path.mkdir(parents=True, exist_ok=True)
    path = run.step_path(checkpoint.step)
    save_checkpoint(path, checkpoint)
    return path


def new_run(name: str, registry: Registry | None = None) -> Run:
    """Make the directory of a run that no process holds."""
    run = Run(name, (registry or Registry()).root / name)
    run.path.mkdir(parents=True)
    return run


@contextlib.contextmanager
def run_held(run: Run) -> Iterator[Run]:
    """Hold a run's lock for a `with` block."""
    with hold_lock(run.path) as held:
        yield replace(run, held=held)


def resume_state(step: int = 100, *, finished: bool = False, **checkpoint: Any) -> TrainingSnapshot:
    """Make a small training snapshot around a checkpoint of random weights."""
    return TrainingSnapshot(
        checkpoint=make_checkpoint(step=step, **checkpoint),
        tensors={"exp_avg.output.bias": np.arange(10, dtype=np.float32)},
        counters=RunCounters(finished=finished, best_step=3),
        source=Source((Path("/somewhere/story.txt"),), TextOptions()),
    )


def forge(
    path: Path, tensors: Callable[[dict[str, Any]], None] | None = None, **changes: object
) -> None:
    """Rewrite a header with a correct digest, as a program of ours gone wrong would."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    inner = {**json.loads(header["__metadata__"]["charrnn"]), **changes, "header_sha256": "0" * 64}
    header["__metadata__"]["charrnn"] = json.dumps(inner, sort_keys=True, separators=(",", ":"))
    if tensors is not None:
        tensors(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(sign_header(len(text).to_bytes(8, "little") + text) + raw[8 + length :])


def bash(command: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of bash in which `charrnn` is the program."""
    program = f"{sys.executable} -m charrnn_cli"
    return subprocess.run(
        ["bash", "-c", command.replace("charrnn", program)],
        capture_output=True,
        encoding="utf-8",
        cwd=directory,
        timeout=TIMEOUT,
        check=False,
    )


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """Mount an empty disk of a size for a `with` block; skip the test where that is impossible."""
    import pytest

    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def tiny_model(corpus: Corpus, cell: Cell = "lstm") -> ModelConfig:
    """Return the configuration of a tiny model for this text."""
    return ModelConfig(vocabulary_size=len(corpus.vocab), cell=cell, layers=2, size=12, embed=6)


def tiny_job(
    corpus: Corpus,
    config: TrainConfig = TINY,
    name: str = "run",
    cell: Cell = "lstm",
    ngram: int | None = None,
    **options: Any,
) -> "TrainingJob":
    """Prepare a new run of a tiny model, with n-grams of an automatic order if it is None."""
    from charrnn_cli.training.job import TrainingJob

    model = {"cell": cell, "layers": 2, "size": 12, "embed": 6, "ngram": ngram}
    return TrainingJob.new(corpus, {**model, **config.to_json()}, name=name, **options)


def tiny_decisions(**changes: Any) -> "Decisions":
    """Return the decisions of a run on one thread of a CPU in fp32, with some changed."""
    from charrnn_cli.training.decisions import Decisions

    decided = Decisions(
        seed=1,
        device="cpu",
        precision="fp32",
        threads=1,
        steps=100,
        dropout=0.25,
        eval_every=0,
        val_rows=0,
    )
    return replace(decided, **changes)


def run_training(
    corpus: Corpus, config: TrainConfig = TINY, name: str = "run", **options: Any
) -> list[TrainEvent]:
    """Train a tiny model in a new run and return all events."""
    from charrnn_cli.training.loop import train  # imports torch, which most tests do without

    return list(train(tiny_job(corpus, config, name, **options)))


def resume_training(
    corpus: Corpus, name: str, settings: dict[str, Any] | None = None
) -> list[TrainEvent]:
    """Resume a run on its corpus and return all events."""
    from charrnn_cli.training.job import TrainingJob
    from charrnn_cli.training.loop import train

    return list(train(TrainingJob.resumed(name, settings, texts=corpus)))


def train_until(
    corpus: Corpus, step: int, config: TrainConfig = TINY, name: str = "run", **options: Any
) -> None:
    """Train a tiny model in a new run that is asked to stop at a step."""
    from charrnn_cli.training.loop import train

    steps = [0]
    job = tiny_job(corpus, replace(config, log_every=1), name, **options)
    for event in train(job, should_stop=lambda: steps[-1] >= step):
        if isinstance(event, StepLogged):
            steps.append(event.step)
    assert isinstance(event, TrainingFinished)
    assert (event.reason, event.step) == ("stopped", step)


class Clock:
    """A clock that work alone moves: training takes as long on every machine, however busy."""

    def __init__(
        self,
        monkeypatch: "pytest.MonkeyPatch",
        *,
        step: "float | Callable[[ModelConfig], float]",
        evaluation: float = 0.0,
    ) -> None:
        """Take `step` seconds per update, and `evaluation` seconds per evaluated character.

        `step` may be a function of the model.
        """
        from charrnn_cli.training import action_loop, calibration
        from charrnn_cli.training.evaluation import evaluate
        from charrnn_cli.training.trainer import Trainer

        self.now, self.step, self.evaluation = 1000.0, step, evaluation
        update = Trainer.update

        def timed_update(trainer: Trainer) -> bool:
            each = self.step
            self.now += each(trainer.model.config) if callable(each) else each
            return update(trainer)

        def timed_evaluate(model: Any, corpus: Corpus, rows: Any, *others: Any) -> float | None:
            self.now += self.evaluation * sum(stop - start for start, stop in rows)
            return evaluate(model, corpus, rows, *others)

        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(Trainer, "update", timed_update)
        for module in (calibration, action_loop):
            monkeypatch.setattr(module, "evaluate", timed_evaluate)


def of_type(events: list[TrainEvent], kind: type[Event]) -> list[Event]:
    """Return the events of one type."""
    return [event for event in events if isinstance(event, kind)]


def first_of(*values: Any) -> list[Any]:
    """Return parameters of which the default suite tries the first, and the slow one the others.

    For values that take the same way through the program, where each costs processes with torch.
    """
    return [values[0], *(pytest.param(each, marks=pytest.mark.slow) for each in values[1:])]
