"""A training run as a person sees it: what is known before, the live display, and the verdict after."""

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from charrnn_cli.cli.options.command_line import source_words, train_command
from charrnn_cli.cli.options.text_options import describe_corpus
from charrnn_cli.cli.process import STARTED
from charrnn_cli.cli.signals import StopRequest
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.terminal.byte_progress import bytes_progress
from charrnn_cli.cli.terminal.formats import duration, size
from charrnn_cli.config import ModelConfig, TrainConfig
from charrnn_cli.errors import CharrnnError, InterruptionError, StorageError
from charrnn_cli.events import TrainEvent, TrainingFinished, TrainingStarted
from charrnn_cli.storage.metrics_log import event_to_json
from charrnn_cli.storage.source import Source
from charrnn_cli.training.advice import (
    advise_on_losses,
    advise_on_size,
    advise_on_validation,
    advise_on_vocabulary,
)
from charrnn_cli.training.tensorboard import check_tensorboard, log_to_tensorboard
from charrnn_cli.units import bits_per_character

if TYPE_CHECKING:
    from charrnn_cli.config import Unknown
    from charrnn_cli.text.corpus import Corpus
    from charrnn_cli.text.vocab import Vocab


SCALE_BUDGET = (
    120.0  # seconds; in a shorter run the few that measuring the scale takes would be missed
)


class Session:
    """The conversation around one run; says nothing when `quiet` or `as_json`, where stdout alone speaks."""

    def __init__(
        self, *, quiet: bool = False, as_json: bool = False, tensorboard: Path | None = None
    ) -> None:
        self.quiet, self.as_json = quiet or as_json, as_json
        self.only_reference = quiet and not as_json
        self.tensorboard = tensorboard
        if tensorboard is not None:
            check_tensorboard()
        self.scale: dict[str, float] = {}
        """Bits a character that simple models reach on the text."""
        self.stop = StopRequest(
            lambda: self.say("stop", "after this step, and save; once more to leave at once")
        )

    def say(self, label: str, text: str) -> None:
        if not self.quiet:
            console.say(label, text)

    def read(self, source: Source, vocab: "Vocab | None" = None) -> "Corpus":
        """The encoded text, from the cache or made now; with `vocab`, by its ids."""
        from charrnn_cli.text.cache import cached_corpus

        with bytes_progress("encoding", self.stop) as progress:
            unknown = cast("Unknown", source.unknown)
            corpus = cached_corpus(
                source.paths, source.options, vocab=vocab, unknown=unknown, progress=progress
            )
        for label, line in describe_corpus(corpus):
            self.say(label, line)
        return corpus

    def fit(
        self, corpus: "Corpus", model: ModelConfig, config: TrainConfig, *, fixed_batch: bool
    ) -> TrainConfig:
        """Say how model and text compare; the configuration with a batch that fits a short text."""
        from charrnn_cli.text.splits import Split, split_corpus
        from charrnn_cli.training.windows import fitting_batch_size

        fitting_batch_size(
            corpus, Split(((0, len(corpus)),), ()), config
        )  # a text too short for anything is told first
        split = split_corpus(corpus, config)
        batch_size = fitting_batch_size(corpus, split, config)
        embed = f"embed {model.embed}" if model.embed else "one-hot"
        self.say("model", f"{model}, {embed}, {model.num_parameters:,} parameters")
        self.say("advice", advise_on_size(model.num_parameters, split.train_characters).message)
        for advice in (
            advise_on_validation(split.val_characters),
            advise_on_vocabulary(model, corpus.counts_V.tolist()),
        ):
            if advice is not None:
                self.say("advice", advice.message)
        if not self.quiet and (config.max_time is None or config.max_time >= SCALE_BUDGET):
            from charrnn_cli.model.baselines import baselines

            found = baselines(corpus)
            self.scale = found.labelled
            self.say("scale", str(found))
        if batch_size == config.batch_size or fixed_batch:
            return config
        self.say("batch", f"{batch_size} rows instead of {config.batch_size}: the text is short")
        return dataclasses.replace(config, batch_size=batch_size)

    def run_to_end(
        self,
        events: Iterable[TrainEvent],
        directory: Path,
        source: Source,
        model: ModelConfig,
        config: TrainConfig,
    ) -> TrainingFinished:
        """Show the events to their end, and what to type next. Raises InterruptionError after a signal."""
        from charrnn_cli.cli.terminal.training_display import show  # rich's live display

        finished: TrainingFinished | None = None
        lost: CharrnnError | None = None  # standard output failed: training goes on without it
        started: TrainingStarted | None = None
        if self.tensorboard is not None:
            events = log_to_tensorboard(events, self.tensorboard / directory.name)
        for event in events if self.quiet else show(events, self.scale):
            if self.as_json and lost is None:
                try:
                    console.write_line(json.dumps(event_to_json(event), ensure_ascii=False))
                except (console.ReaderGoneError, StorageError) as error:
                    lost = error
            if isinstance(event, TrainingStarted):
                started = event
                self._show_plan(event)
                self.say("run", f"{event.run} in {directory}")
            elif isinstance(event, TrainingFinished):
                finished = event
        assert finished is not None
        if finished.reason == "stopped":
            raise self._interruption(finished)
        self._show_end(finished)
        if finished.train_loss is not None and finished.val_loss is not None:
            assert started is not None
            advice = advise_on_losses(
                finished.train_loss, finished.val_loss, started.dropout, model.size
            )
            self.say("advice", advice.message)
            self.say(
                "try",
                _command_to_try(
                    advice.change, source, model, config, resumed=started.first_step > 0
                ),
            )
        if self.only_reference:
            best = finished.step if finished.best_step is None else finished.best_step
            console.write_line(f"{finished.run}@{best}")
        self.say("next", f"charrnn sample {finished.run} -n 2000")
        if lost is not None:
            raise lost
        return finished

    def dry_run(self, corpus: "Corpus", model: ModelConfig, config: TrainConfig) -> None:
        """Show what a run would be, from a few timed steps; nothing is kept."""
        from charrnn_cli.training.plan import make_plan

        plan = make_plan(
            corpus, model, config, started=STARTED, first_step=0, should_stop=self.stop
        )
        self.stop.check()
        event = plan.started("", model, 0)
        if self.as_json:
            console.write_line(
                json.dumps({**event_to_json(event), "bytes": plan.disk_bytes(model)})
            )
        self._show_plan(event)
        with contextlib.suppress(ImportError):  # Windows does not tell
            import resource

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
                1 if sys.platform == "darwin" else 1024
            )
            self.say(
                "memory", f"{size(peak)} at the most so far, after a few steps and an evaluation"
            )
        self.say("disk", f"up to {size(plan.disk_bytes(model))}")

    def _show_plan(self, event: TrainingStarted) -> None:
        epochs = event.total_steps / event.steps_per_epoch
        self.say(
            "plan",
            f"{event.total_steps:,} steps of {event.batch_size} x {event.seq_len} characters, {epochs:.3g} epochs, "
            f"about {duration(event.seconds_planned)} and {event.seconds_per_step:.2g} s a step",
        )
        if event.first_step:
            self.say("resume", f"from step {event.first_step:,}")
        threads = "1 thread" if event.threads == 1 else f"{event.threads} threads"
        self.say(
            "setup",
            f"{event.device}, {event.precision}, {threads}, dropout {event.dropout:.2g}, seed {event.seed}",
        )

    def _show_end(self, event: TrainingFinished) -> None:
        losses = ""
        if event.val_loss is not None:
            losses = f", val loss {event.val_loss:.3f} ({bits_per_character(event.val_loss):.2f} bits a character)"
        why = {"time": ", at the end of its time", "patience": ", out of patience"}.get(
            event.reason, ""
        )
        self.say("done", f"{event.step:,} steps in {duration(event.seconds)}{why}{losses}")
        if (
            event.best_step is not None
            and event.best_step != event.step
            and event.best_val_loss is not None
        ):
            self.say("best", f"{event.run}@{event.best_step}, val loss {event.best_val_loss:.3f}")

    def _interruption(self, event: TrainingFinished) -> InterruptionError:
        assert self.stop.signum is not None
        if event.step == 0:
            return InterruptionError("interrupted before the first step", signum=self.stop.signum)
        return InterruptionError(
            f"interrupted at step {event.step}, saved {event.run}@{event.step}",
            signum=self.stop.signum,
            hint=f"charrnn train --resume {event.run}",
        )


def _command_to_try(
    change: Mapping[str, float],
    source: Source,
    model: ModelConfig,
    config: TrainConfig,
    *,
    resumed: bool,
) -> str:
    if "size" in change:  # no checkpoint has weights for it
        source = dataclasses.replace(source, init_from=None, unknown="error")
    decided = ("seed", *(("device", "precision", "threads", "eval_every") if resumed else ()))
    wanted = {**config.to_json(), **dict.fromkeys(decided), **change}
    return train_command({**model.to_json(), **change}, wanted, source_words(source))
