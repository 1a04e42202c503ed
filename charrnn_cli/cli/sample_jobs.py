"""What `charrnn sample` generates: a job for each combination of checkpoint and temperature."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.commands.copy_check import ComparedText
from charrnn_cli.cli.options.prime import GivenPrime, known_prime, known_stops
from charrnn_cli.cli.terminal.sample_output import describe_settings
from charrnn_cli.config import SampleConfig, Unknown
from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.shell import path_word
from charrnn_cli.storage.registry import Registry

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.sampling import Writer
    from charrnn_cli.text.corpus import Corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRequest:
    """What was typed, apart from the checkpoints."""

    configs: Sequence[SampleConfig]
    """One per temperature; they differ in nothing else."""
    prime: GivenPrime
    stops: Sequence[str]
    unknown: Unknown
    count: int
    echo: bool
    scored: bool
    reading: Mapping[str, Any]
    """Options for reading texts, by name."""
    compared: ComparedText | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleJob:
    """Samples to generate with one checkpoint and one temperature."""

    load: Callable[[], "Checkpoint"]
    """Load the checkpoint, unless the job before has loaded the same."""
    checkpoint: str
    """Reference of the checkpoint."""
    config: SampleConfig
    """Its seed is never None."""
    prime: str
    shown_prime: str
    """Written before each sample; may be empty."""
    num_replaced: int
    """Characters of the prime that were rare in the training text, and became U+FFFD."""
    stops: list[str]
    count: int
    scored: bool
    corpus: "Corpus | None"
    """The text to compare the samples with."""
    label: str
    """Names what differs from other jobs; empty if there is no other."""

    def writer(self) -> "Writer":
        """Load the checkpoint, and return a writer that has not read the prime yet."""
        from charrnn_cli.model.sampling import Writer

        return Writer(self.load(), self.config, scored=self.scored)


def prepare_jobs(paths: Sequence[Path], request: SampleRequest) -> list[SampleJob]:
    """Return the jobs of each checkpoint in turn, with one seed for all.

    Every checkpoint is loaded once now, to check the prime and the stop strings, and again for its
    jobs, so that memory does not grow with their number. Raises UnknownCharacterError, TextError,
    and the errors of loading.
    """
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.seeds import random_seed

    load = functools.lru_cache(maxsize=1)(load_checkpoint)
    seed = request.configs[0].seed
    seed = random_seed() if seed is None else seed
    configs = [dataclasses.replace(config, seed=seed) for config in request.configs]
    jobs = []
    for path in paths:
        checkpoint = load(path)
        name = Registry().reference_of(path, checkpoint.step)
        try:
            shared = _fitted(checkpoint, request)
        except UnknownCharacterError as error:
            message = f"{name}: {error.message}" if len(paths) > 1 else error.message
            raise UnknownCharacterError(message, hint=error.hint) from None
        for config in configs:
            parts = [name] if len(paths) > 1 else []
            parts += [f"temperature {config.temperature:g}"] if len(configs) > 1 else []
            job = SampleJob(
                load=functools.partial(load, path),
                checkpoint=name,
                config=config,
                count=request.count,
                scored=request.scored,
                label=", ".join(parts),
                **shared,
            )
            jobs.append(job)
    return jobs


def _fitted(checkpoint: "Checkpoint", request: SampleRequest) -> dict[str, Any]:
    """Return the fields of a checkpoint's jobs that hold texts as its model reads them."""
    from charrnn_cli.model.reading import num_replaced, reading_options

    reading = reading_options(checkpoint, request.reading)
    given, default = request.prime.read(reading), checkpoint.default_prime
    compared = request.compared
    corpus = None if compared is None else compared.read(checkpoint, reading)
    prime = known_prime(given or default, checkpoint, request.unknown) or default
    return {
        "prime": prime,
        "shown_prime": prime if request.echo and given is not None else "",
        "num_replaced": num_replaced(given or "", prime),
        "stops": known_stops(list(request.stops), checkpoint, request.unknown),
        "corpus": corpus,
    }


def description(jobs: Sequence[SampleJob]) -> str:
    """Describe jobs in one line, as they are typed: checkpoints, settings and seed."""
    job = jobs[0]
    names = list(dict.fromkeys(each.checkpoint for each in jobs))
    shown = names[0] if len(names) == 1 else " ".join(map(path_word, names))
    temperatures = list(dict.fromkeys(each.config.temperature for each in jobs))
    settings = describe_settings(job.config, temperatures, job.stops, job.count)
    return f"{shown}, {settings}, seed {job.config.seed}"
