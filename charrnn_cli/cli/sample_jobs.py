"""What `charrnn sample` generates: a job for each combination of checkpoint and temperature."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.commands.copy_check import ComparedText
from charrnn_cli.cli.compared_lists import ComparedLists
from charrnn_cli.cli.options.item_options import DEFAULT_COUNT, ItemOptions
from charrnn_cli.cli.options.prime import GivenPrime, known_prime, known_stops
from charrnn_cli.cli.terminal.formats import format_count
from charrnn_cli.cli.terminal.sample_output import describe_settings
from charrnn_cli.config import SampleConfig, TextOptions, Unknown
from charrnn_cli.errors import ConfigError, UnknownCharacterError
from charrnn_cli.shell import path_word
from charrnn_cli.storage.registry import Registry

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint
    from charrnn_cli.model.item_selection import ItemConditions
    from charrnn_cli.model.sampling import Writer
    from charrnn_cli.text.corpus import Corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRequest:
    """What was typed, apart from the checkpoints."""

    configs: Sequence[SampleConfig]
    """One per temperature; they differ in nothing else."""
    prime: GivenPrime
    stops: Sequence[str]
    stop_at_end: bool
    unknown: Unknown
    count: int | None
    """None for the default, which depends on the model."""
    has_length: bool
    """Whether the length was typed; models of items have another default."""
    items: ItemOptions
    lists: ComparedLists | None
    """Lists of items that are not new."""
    echo: bool
    scored: bool
    reading: Mapping[str, Any]
    """Options for reading texts, by name."""
    compared: ComparedText | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemJob:
    """What a job of items has besides."""

    options: ItemOptions
    conditions: "ItemConditions"
    between: str
    """Text between items."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleJob:
    """Samples to generate with one checkpoint and one temperature."""

    load: Callable[[], "Checkpoint"]
    """Load the checkpoint, unless the job before has loaded the same."""
    checkpoint: str
    """Reference of the checkpoint."""
    config: SampleConfig
    """Its seed is never None."""
    beginning: str
    """Read before the prime: the end symbol of documents, or nothing."""
    prime: str
    shown_prime: str
    """Written before each sample; may be empty."""
    num_replaced: int
    """Characters of the prime that were rare in the training text, and became U+FFFD."""
    stops: list[str]
    stop_at_end: bool
    """Whether a sample also stops at the end of a document."""
    count: int
    items: ItemJob | None
    """None unless the model has items."""
    scored: bool
    corpus: "Corpus | None"
    """The text to compare the samples with."""
    label: str
    """Names what differs from other jobs; empty if there is no other."""

    def writer(self) -> "Writer":
        """Load the checkpoint, and return a writer that has not read the prime yet."""
        from charrnn_cli.model.sampling import Writer

        return Writer(self.load(), self.config, scored=self.scored)

    @property
    def all_stops(self) -> list[str]:
        """Strings before which a sample stops."""
        return [*self.stops, self.beginning] if self.stop_at_end else self.stops


def prepare_jobs(paths: Sequence[Path], request: SampleRequest) -> list[SampleJob]:
    """Return the jobs of each checkpoint in turn, with one seed for all.

    Every checkpoint is loaded once now, to check the prime and the stop strings, and again for its
    jobs, so that memory does not grow with their number. Raises UnknownCharacterError, TextError,
    and the errors of loading.
    """
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.reading import has_items
    from charrnn_cli.seeds import random_seed

    load = functools.lru_cache(maxsize=1)(load_checkpoint)
    seed = request.configs[0].seed
    seed = random_seed() if seed is None else seed
    configs = [dataclasses.replace(config, seed=seed) for config in request.configs]
    jobs = []
    for path in paths:
        checkpoint = load(path)
        name = Registry().reference_of(path, checkpoint.step)
        request.items.check_apply(name, has_items=has_items(checkpoint))
        try:
            shared = _fitted(path, checkpoint, request)
        except UnknownCharacterError as error:
            message = f"{name}: {error.message}" if len(paths) > 1 else error.message
            raise UnknownCharacterError(message, hint=error.hint) from None
        for config in configs:
            parts = [name] if len(paths) > 1 else []
            parts += [f"temperature {config.temperature:g}"] if len(configs) > 1 else []
            job = SampleJob(
                load=functools.partial(load, path),
                checkpoint=name,
                config=_with_length(config, checkpoint, request),
                scored=request.scored,
                label=", ".join(parts),
                **shared,
            )
            jobs.append(job)
    return jobs


def _with_length(
    config: SampleConfig, checkpoint: "Checkpoint", request: SampleRequest
) -> SampleConfig:
    from charrnn_cli.model.items import default_length
    from charrnn_cli.model.reading import has_items

    if request.has_length or not has_items(checkpoint):
        return config
    return dataclasses.replace(config, length=default_length(checkpoint))


def _fitted(path: Path, checkpoint: "Checkpoint", request: SampleRequest) -> dict[str, Any]:
    """Return the fields of the jobs of one checkpoint."""
    from charrnn_cli.model.reading import end_symbol, has_items, num_replaced, reading_options

    reading = reading_options(checkpoint, request.reading)
    given, end = request.prime.read(reading), end_symbol(checkpoint)
    if request.stop_at_end and end is None:
        raise ConfigError(
            "--stop-at-end requires a model of several documents", hint="leave out --stop-at-end"
        )
    shared = {
        "beginning": end or "",
        "stops": known_stops(list(request.stops), checkpoint, request.unknown),
        "stop_at_end": request.stop_at_end,
        "items": None,
        "corpus": None,
    }
    if has_items(checkpoint):
        prime = _item_prime(given or "", checkpoint, request)
        items = _item_job(path, checkpoint, request, reading)
        count = request.count or DEFAULT_COUNT
        shared |= {"items": items, "count": count, "shown_prime": prime}
    else:
        default = "" if end else checkpoint.default_prime
        prime = known_prime(given or default, checkpoint, request.unknown) or default
        prime = prime.removeprefix(end or "")
        shared |= {"shown_prime": prime if request.echo and given is not None else ""}
        shared |= {"count": request.count or 1}
        if request.compared is not None:
            shared |= {"corpus": request.compared.read(checkpoint, reading)}
    return shared | {"prime": prime, "num_replaced": num_replaced(given or "", prime)}


def _item_prime(given: str, checkpoint: "Checkpoint", request: SampleRequest) -> str:
    """Return the beginning of all items. Raises UnknownCharacterError, ConfigError."""
    from charrnn_cli.model.reading import item_prime

    known = known_prime(given, checkpoint, request.unknown)
    return item_prime(known, checkpoint.data.reading, checkpoint.vocab)


def _item_job(
    path: Path, checkpoint: "Checkpoint", request: SampleRequest, reading: TextOptions
) -> ItemJob:
    from charrnn_cli.model.item_selection import ItemConditions

    options, lists = request.items, request.lists
    conditions = ItemConditions(
        unique=options.unique,
        known=None if lists is None else lists.known(path, checkpoint, reading),
        min_length=options.min_length or 0,
        max_length=options.max_length,
        match=options.match,
    )
    return ItemJob(options=options, conditions=conditions, between=checkpoint.data.reading.between)


def description(jobs: Sequence[SampleJob]) -> str:
    """Describe jobs in one line, as they are typed: checkpoints, settings and seed."""
    job = jobs[0]
    names = list(dict.fromkeys(each.checkpoint for each in jobs))
    shown = names[0] if len(names) == 1 else " ".join(map(path_word, names))
    temperatures = list(dict.fromkeys(each.config.temperature for each in jobs))
    counts = [
        format_count(each.count, "item" if each.items else "sample")
        for each in jobs
        if each.items or each.count > 1
    ]
    count = " or ".join(dict.fromkeys(counts))
    settings = describe_settings(job.config, temperatures, job.stops, count)
    return f"{shown}, {settings}, seed {job.config.seed}"
