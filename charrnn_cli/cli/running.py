"""A run built from what was typed: a new one, or one that goes on."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from charrnn_cli.cli.options import text_options
from charrnn_cli.cli.process import STARTED
from charrnn_cli.cli.terminal import console
from charrnn_cli.cli.training_run import Session
from charrnn_cli.config import ModelConfig, TextOptions, TrainConfig
from charrnn_cli.storage.lock import check_unlocked
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.source import Source
from charrnn_cli.training.recipe import automatic_embed

if TYPE_CHECKING:
    from charrnn_cli.model.checkpoint import Checkpoint


def start_run(
    session: Session,
    source: Source,
    model: ModelConfig,
    config: TrainConfig,
    given: Mapping[str, Any] = MappingProxyType({}),
    *,
    run: str | None = None,
    fixed_batch: bool = False,
    fixed_embed: bool = False,
    dry_run: bool = False,
) -> str:
    """Train a new run and show it; its name. A dry run shows its plan alone."""
    session.say("charrnn", f"reading {text_options.title(list(source.paths))}")
    with session.stop.listening():
        initial = _initial(source, given)
        corpus = session.read(source, None if initial is None else initial.vocab)
        if initial is not None:
            from charrnn_cli.model.warm_start import grown_model

            model = grown_model(initial, corpus.vocab)
        else:
            size = len(corpus.vocab)
            embed = model.embed if fixed_embed else automatic_embed(size)
            model = dataclasses.replace(model, vocabulary_size=size, embed=embed)
        config = session.fit(corpus, model, config, fixed_batch=fixed_batch)
        if dry_run:
            session.dry_run(corpus, model, config)
            return ""
        registry = Registry()
        default_name = f"{corpus.name}-{model.cell}-{model.layers}x{model.size}"
        new = registry.create_like(default_name) if run is None else registry.create(run)

        from charrnn_cli.training.loop import train as train_events

        events = train_events(
            corpus,
            model,
            config,
            run=new,
            initial=initial,
            started=STARTED,
            should_stop=session.stop,
            source=source.to_json(),
        )
        session.run_to_end(events, new.path, source, model, config)
    return new.name


def _initial(source: Source, given: Mapping[str, Any]) -> "Checkpoint | None":
    """The checkpoint to begin with, before torch is imported: what is wrong with it is told at once."""
    if source.init_from is None:
        return None
    from charrnn_cli.model.checkpoint import load_checkpoint
    from charrnn_cli.model.warm_start import check_architecture

    checkpoint = load_checkpoint(Registry().resolve(source.init_from))
    check_architecture(checkpoint, given)
    return checkpoint


def resume_run(
    session: Session,
    reference: str,
    texts: list[Path],
    options: TextOptions | None,
    given: dict[str, Any],
    *,
    allow_new_data: bool,
) -> None:
    """Go on with a run and show it. Raises NotFoundError, MismatchError, TextError, and what training raises."""
    from charrnn_cli.training.resume import (
        check_text,
        is_complete,
        open_resumable,
        resumed_config,
        source_of,
    )

    resumable = open_resumable(reference, Registry())
    if resumable.note is not None:
        session.say("warning", resumable.note)
    check_unlocked(resumable.run.path)  # before torch is imported: the answer comes at once
    config = resumed_config(resumable, given)
    name, step = resumable.run.name, resumable.step
    if is_complete(resumable, config, given):
        behind = config.max_steps is not None and config.max_steps < step
        session.say("done", f"run {name} is {'already' if behind else 'complete'} at step {step:,}")
        session.say("next", f"charrnn train --resume {name} --max-steps {2 * step}")
        if session.only_reference:
            console.write_line(f"{name}@{resumable.state.progress.get('best_step') or step}")
        return
    source, vocab = source_of(resumable, texts, options)
    session.say("charrnn", f"reading {text_options.title(list(source.paths))}")
    with session.stop.listening():
        corpus = session.read(source, vocab)
        check_text(resumable, corpus, allow_new_data=allow_new_data)

        from charrnn_cli.training.loop import train as train_events

        events = train_events(
            corpus,
            resumable.model,
            config,
            run=resumable.run,
            resume=resumable.state,
            started=STARTED,
            should_stop=session.stop,
            source=source.to_json(),
        )
        session.run_to_end(events, resumable.run.path, source, resumable.model, config)
