"""Everything a run needs before its first step, without torch, so that errors appear at once."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import TrainConfig
from charrnn_cli.errors import TextError, UnknownCharacterError
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.ngram_tables import most_bytes
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.model.warm_start import check_architecture, grown_model
from charrnn_cli.storage.lock import hold_lock
from charrnn_cli.storage.paths import check_working_directory
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.run_names import run_name
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.source import Source
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.splits import Split, split_corpus
from charrnn_cli.training.checks import check_documents, check_machine, check_prime, new_hint
from charrnn_cli.training.job_text import (
    check_reading_options,
    check_recordable,
    count_ngrams,
    read_new,
    read_source,
    resolve_initial,
    settings_of,
    with_held_out,
    with_reading_options,
)
from charrnn_cli.training.phases import Announce, not_announced
from charrnn_cli.training.presets import automatic_settings, from_preset
from charrnn_cli.training.recipe import completed, warm_settings
from charrnn_cli.training.resume import (
    ResumePoint,
    open_resume_point,
    resumed_config,
)
from charrnn_cli.training.resume_text import (
    check_held_out,
    check_text,
    hint_for_new_run,
    resumed_source,
)
from charrnn_cli.training.snapshot import TrainingSnapshot
from charrnn_cli.training.windows import fitting_batch_size, make_windows


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingJob:
    """A run that is ready for `train(job)`; create it with `new` or `resumed`."""

    run: Run
    """The directory of a new run is created when training starts."""
    corpus: Corpus
    split: Split
    model: ModelConfig
    config: TrainConfig
    requested_batch_size: int
    """The batch size before it was reduced to fit a short text."""
    requested_ngram: int
    """The order of the n-grams before it was reduced to fit the model."""
    source: Source | None
    """Where the text is, so that resuming does not need TEXT; None for a corpus in memory."""
    default_name: str | None = None
    """Name of a new run whose name nobody chose; it gets a number if it is taken."""
    initial: Checkpoint | None = None
    """Initial weights of a new run; None for random weights."""
    snapshot: TrainingSnapshot | None = None
    """The state from which a resumed run continues."""
    ngrams: NgramModel | None = None
    """Those of a model with n-grams."""
    counted: str | None = None
    """`sha256` of the text that they were counted in."""
    scale: Mapping[str, float] = field(default_factory=dict)
    """Bits per character of simple models, to record them; empty if they were not measured."""

    @property
    def first_step(self) -> int:
        """Steps already done; above 0 only for a resumed run."""
        return 0 if self.snapshot is None else self.snapshot.checkpoint.step

    @property
    def init_from(self) -> str | None:
        """The checkpoint from which the run started, if any."""
        if self.snapshot is not None:
            return self.snapshot.checkpoint.data.init_from
        return None if self.initial is None else f"{self.initial.run}@{self.initial.step}"

    def resized(self, layers: int, size: int, lr: float) -> Self:
        """Return the job of a new run with a model of another size and its learning rate."""
        model = dataclasses.replace(self.model, layers=layers, size=size)
        ngrams, limit = self.ngrams, most_bytes(model.num_parameters)
        if model.ngram < self.requested_ngram and limit > most_bytes(self.model.num_parameters):
            requested = dataclasses.replace(model, ngram=self.requested_ngram)
            ngrams = count_ngrams(self.corpus, self.split, requested)
        if ngrams is not None:
            model = dataclasses.replace(model, ngram=ngrams.order)
        run, default_name, registry = self.run, self.default_name, Registry(self.run.path.parent)
        if default_name is not None:
            default_name = _default_name(self.corpus, model)
            run = Run(name := registry.free_name(default_name), registry.root / name)
        return dataclasses.replace(
            self,
            run=run,
            model=model,
            config=dataclasses.replace(self.config, lr=lr),
            ngrams=ngrams,
            default_name=default_name,
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[Self]:
        """Hold the lock of the job's run for a `with` block; the directory of a new run is created.

        Yields the job with the run that is held. Raises ConfigError if the name of a new run is
        taken, NotFoundError, RunBusyError, StorageError.
        """
        registry = Registry(self.run.path.parent)
        with contextlib.ExitStack() as stack:
            if self.snapshot is not None:
                run = dataclasses.replace(
                    self.run, held=stack.enter_context(hold_lock(self.run.path))
                )
                run.sweep()
            elif self.default_name is not None:
                run = stack.enter_context(registry.create_like(self.default_name))
            else:
                run = stack.enter_context(registry.create(self.run.name))
            yield dataclasses.replace(self, run=run)

    @classmethod
    def new(
        cls,
        text: Source | Path | Corpus,
        settings: Mapping[str, Any] | None = None,
        *,
        preset: str = "default",
        name: str | None = None,
        initial: Checkpoint | None = None,
        options: Mapping[str, Any] | None = None,
        registry: Registry | None = None,
        progress: ProgressCallback = no_progress,
        announce: Announce = not_announced,
    ) -> Self:
        """Prepare a new run. Nothing is written but the encoded text, to the cache.

        `settings` are those of ModelConfig and TrainConfig by name; the preset provides the others.
        The embedding's width is automatic unless it is set, and the batch shrinks to fit a short
        text unless its size is set. By default, the run is named after the text and the model.
        `initial`, or the checkpoint that the source names, provides weights and vocabulary, the
        options for reading the text unless the source has its own, and with the size of the text
        the recipe; see `recipe.warm_settings`. `options` replaces some of them by name.
        Raises ConfigError, TextError, NotFoundError, MismatchError, UnknownCharacterError,
        FileFormatError, StorageError.
        """
        check_working_directory()
        settings, registry = settings_of(text, settings or {}), registry or Registry()
        model, config = from_preset(preset, settings)
        check_machine(config, settings)
        if name is not None:
            registry.check_free(name)
        source = Source((text,)) if isinstance(text, Path) else text
        check_recordable(source)
        check_reading_options(source, options or {})
        if isinstance(source, Source) and source.init_from is not None:
            source, initial = resolve_initial(source, source.init_from, registry)
        if isinstance(source, Source):
            source = with_reading_options(source, initial, options or {})
        if initial is not None:
            check_architecture(initial, settings)
        corpus = read_new(source, config, initial, progress)
        check_documents(settings, corpus)
        if initial is not None:
            model = grown_model(initial, corpus.vocab, settings.get("ngram"))
        else:
            model = completed(model, automatic_settings(preset, settings), len(corpus.vocab))
        check_prime(config, corpus.header.reading, corpus.vocab, is_model=False)
        whole = Split(((0, len(corpus)),), ())
        fitting_batch_size(corpus, whole, config)  # raises for a text too short to split
        split = split_corpus(corpus, config)
        ngrams = count_ngrams(corpus, split, model, progress, announce)
        requested_ngram = model.ngram
        if ngrams is not None:
            model = dataclasses.replace(model, ngram=ngrams.order)
        requested = config.batch_size
        config = _fitted(config, settings, corpus, split, is_warm=initial is not None)
        default_name = None
        if name is None:
            default_name = _default_name(corpus, model)
            name = registry.free_name(default_name)
        return cls(
            run=Run(name, registry.root / name),
            corpus=corpus,
            split=split,
            model=model,
            config=config,
            requested_batch_size=requested,
            requested_ngram=requested_ngram,
            source=source if isinstance(source, Source) else None,
            default_name=default_name,
            initial=initial,
            ngrams=ngrams,
            counted=None if ngrams is None else corpus.sha256,
        )

    @classmethod
    def resumed(
        cls,
        run: str | ResumePoint,
        settings: Mapping[str, Any] | None = None,
        *,
        texts: Sequence[Path] | Corpus = (),
        options: Mapping[str, Any] | None = None,
        allow_new_data: bool = False,
        registry: Registry | None = None,
        progress: ProgressCallback = no_progress,
    ) -> Self:
        """Prepare to resume a run, given by name or as the result of `open_resume_point`.

        `texts`, and the options for reading them by name, replace the recorded ones. Only the
        settings in `resume.CHANGEABLE` may differ from the run's.
        Raises ConfigError, NotFoundError, RunBusyError, MismatchError, TextError,
        UnknownCharacterError, FileFormatError, StorageError.
        """
        check_working_directory()
        settings = settings or {}
        point = open_resume_point(run, registry or Registry()) if isinstance(run, str) else run
        config = resumed_config(point, settings)
        check_machine(config, settings)
        checkpoint = point.snapshot.checkpoint
        check_prime(config, checkpoint.data.reading, checkpoint.vocab, is_model=True)
        source: Source | Corpus
        paths: Sequence[Path] = ()
        if isinstance(texts, Corpus):
            source, vocab = texts, None
        else:
            paths = texts
            source, vocab = resumed_source(point, texts, options)
            check_reading_options(source, options or {})
        accept = functools.partial(
            check_text, point, allow_new_data=allow_new_data, settings=settings, texts=paths
        )
        with new_hint(
            UnknownCharacterError,
            lambda: hint_for_new_run(point, settings, paths, extend=True),
        ):
            corpus = read_source(source, vocab, progress, accept)
        corpus = with_held_out(corpus, source, progress)
        check_held_out(point, corpus, allow_new_data=allow_new_data)
        with new_hint(TextError, lambda: "use a longer text"):
            split = split_corpus(corpus, config)
            make_windows(corpus, split, config, seed=0)  # raises for a text too short for the batch
        return cls(
            run=point.run,
            corpus=corpus,
            split=split,
            model=point.model,
            config=config,
            requested_batch_size=config.batch_size,
            requested_ngram=point.model.ngram,
            source=source if isinstance(source, Source) else None,
            snapshot=point.snapshot,
            ngrams=checkpoint.ngrams,
            counted=checkpoint.data.counted,
        )


def _fitted(
    config: TrainConfig, settings: Mapping[str, Any], corpus: Corpus, split: Split, *, is_warm: bool
) -> TrainConfig:
    """Fit what is not given to the text: the batch, and the recipe to go on from weights.

    Raises TextError.
    """
    fitting = fitting_batch_size(corpus, split, config)
    chosen: dict[str, Any] = {} if "batch_size" in settings else {"batch_size": fitting}
    if is_warm:
        given = [name for name, value in settings.items() if value is not None]
        chosen |= warm_settings(given, split.train_characters)
    return dataclasses.replace(config, **chosen)


def _default_name(corpus: Corpus, model: ModelConfig) -> str:
    return run_name(corpus.name, f"{model.cell}-{model.layers}x{model.size}")
