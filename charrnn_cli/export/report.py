"""Training runs as one HTML page to read: losses, samples of all stages, and settings."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from string import Template

from charrnn_cli.errors import UnknownCharacterError
from charrnn_cli.export.curves import Losses, losses_of
from charrnn_cli.export.html_text import shown_label, shown_text, without_controls
from charrnn_cli.export.page_parts import facts, framed, program
from charrnn_cli.export.report_options import ReportOptions
from charrnn_cli.export.report_samples import (
    StageSample,
    described_copying,
    load_stage,
    sample_of,
    stages,
)
from charrnn_cli.export.svg import CURVE_STYLE, to_inline_svg
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.reading import has_items
from charrnn_cli.storage.metrics_log import Metrics
from charrnn_cli.storage.runs import CheckpointEntry, Run
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.units import bits_per_character
from charrnn_cli.version import __version__

MOST_SAMPLED = 12  # checkpoints of all runs together, but at least two of each
THREADS = 2  # to load and sample checkpoints; more share Python's lock for little gain
MOST_LISTED = 40  # checkpoints in a run's table
UNKNOWN = "–"
BEST = ' <strong class="mark">best</strong>'


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedRun:
    """A run, and what is known of it."""

    run: Run
    checkpoint: Checkpoint
    """Its best checkpoint, or the latest if it was trained without validation."""
    metrics: Metrics
    settings: Mapping[str, str]
    """Names and values, as they are shown."""
    command: str
    """A command that trains the run again."""
    remark: str = ""
    """How the run differs from that of the command, as a sentence."""
    text: Corpus | str
    """The training text in the ids of the model, or a clause that says why it cannot be read."""


def to_report(runs: Sequence[ReportedRun], options: ReportOptions) -> bytes:
    """Return the page of one run or more.

    Raises UnknownCharacterError for the prime, and the errors of `load_checkpoint`.
    """
    style = program("base.css", "sections.css", "report.css") + CURVE_STYLE
    *others, last = (shown_label(each.run.name) for each in runs)
    several = len(runs) > 1
    body = [*_losses(runs), *(_differences(runs) if several else [])]
    for each in runs:
        body += _run(each, max(2, MOST_SAMPLED // len(runs)), options, several=several)
    title = f"{', '.join(others)} and {last}" if several else last
    content = Template(program("report.html")).substitute(
        title=title,
        facts=f"{len(runs)} runs" if several else shown_label(facts(runs[0].checkpoint)),
        body="\n".join(body),
        version=shown_label(__version__),
    )
    return framed(title, style, content).encode("utf-8")


def _losses(runs: Sequence[ReportedRun]) -> Iterator[str]:
    """Yield the section with the curves of all runs."""
    losses = losses_of((each.run.name, each.metrics) for each in runs)
    yield "<section>\n<h2>Losses</h2>"
    if not losses.curves:
        yield '<p class="quiet">No losses were recorded.</p>'
    else:
        shown = dataclasses.replace(losses, title=f"Losses of {losses.title}")
        region = 'class="chart" tabindex="0" role="group" aria-label="Losses"'
        picture = without_controls(to_inline_svg(shown))
        yield f"<figure>\n<div {region}>\n{picture}</div>"
        yield f"<figcaption>{_caption(losses)}</figcaption>\n</figure>"
    yield "</section>"


def _caption(losses: Losses) -> str:
    """Explain the lines that a picture has."""
    parts = ["Dashed: train loss, without dropout." if _is_evaluated(losses) else "Dashed: loss."]
    if _is_evaluated(losses):
        parts.append("Solid: validation loss; a ring marks the best.")
    if losses.baselines:
        parts.append("Dotted: simple models on the validation text, for comparison.")
    return " ".join(parts)


def _is_evaluated(losses: Losses) -> bool:
    return any(curve.best is not None for curve in losses.curves)


def _differences(runs: Sequence[ReportedRun]) -> Iterator[str]:
    """Yield the section with the results of all runs, and the settings that differ."""
    rows: dict[str, list[str]] = {
        "best step": [f"{each.checkpoint.step:,}" for each in runs],
        "bits per character": [_bits(each.checkpoint.val_loss) for each in runs],
        "weights": [f"{each.checkpoint.model.num_parameters:,}" for each in runs],
    }
    for name in dict.fromkeys(name for each in runs for name in each.settings):
        values = [each.settings.get(name, UNKNOWN) for each in runs]
        if len(set(values)) > 1:
            rows[name] = values
    heads = "".join(f'<th scope="col">{shown_label(each.run.name)}</th>' for each in runs)
    yield "<section>\n<h2>Results and settings that differ</h2>"
    yield '<div class="wide" tabindex="0" role="group" aria-label="Differences">\n<table>'
    yield f"<thead><tr><td></td>{heads}</tr></thead>\n<tbody>"
    for name, values in rows.items():
        cells = "".join(f"<td>{shown_label(value)}</td>" for value in values)
        yield f'<tr><th scope="row">{shown_label(name)}</th>{cells}</tr>'
    yield "</tbody>\n</table>\n</div>\n</section>"


def _run(each: ReportedRun, number: int, options: ReportOptions, *, several: bool) -> Iterator[str]:
    """Yield all sections of one run."""
    if several:
        yield f'<h2 class="run">{shown_label(each.run.name)}</h2>'
        yield f'<p class="quiet">{shown_label(facts(each.checkpoint))}</p>'
    yield from _samples(each, number, options)
    yield from _copying(each, options)
    yield from _checkpoints(each)
    yield from _settings(each)


def _samples(each: ReportedRun, number: int, options: ReportOptions) -> Iterator[str]:
    """Yield the section with a sample of every stage."""
    title = "How it learned to write"
    kind = "items" if has_items(each.checkpoint) else "sample"
    yield f"<section>\n<h2>{title}</h2>"
    yield f'<p class="quiet">The same prime and seed ({options.seed}) at every stage.</p>'
    entries = stages(each.run, number)

    def drawn(entry: CheckpointEntry) -> StageSample:
        return sample_of(load_stage(each.run, entry.step, each.checkpoint), options)

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            samples = list(pool.map(drawn, entries))
    except UnknownCharacterError as error:
        message = f"{each.run.name}: {error.message}"
        raise UnknownCharacterError(message, hint=error.hint) from None
    for entry, sample in zip(entries, samples, strict=True):
        is_best = entry.step == each.checkpoint.step and entry.val_loss is not None
        heading = f"Step {entry.step:,}{BEST if is_best else ''}"
        yield f'<article class="stage">\n<div>\n<h3>{heading}</h3>'
        yield f'<p class="quiet">{_stage_facts(entry)}</p>\n</div>'
        yield f"{_sample(sample, kind)}\n</article>"
    yield "</section>"


def _stage_facts(entry: CheckpointEntry) -> str:
    assert entry.header is not None
    parts = [f"epoch {entry.header.epoch:.2f}"]
    if entry.val_loss is not None:
        parts.append(f"{_bits(entry.val_loss)} bits per character")
    return "<br>".join(parts)


def _sample(sample: StageSample, kind: str) -> str:
    prime = f'<span class="prime">{shown_text(sample.prime)}</span>' if sample.prime else ""
    if kind == "items":
        items = "".join(f'<li dir="auto">{prime}{shown_text(text)}</li>' for text in sample.texts)
        return f'<ul class="text">{items}</ul>'
    return f'<div class="text" dir="auto">{prime}{shown_text("".join(sample.texts))}</div>'


def _copying(each: ReportedRun, options: ReportOptions) -> Iterator[str]:
    """Yield the section with the part of a sample that stands in the text."""
    if isinstance(each.text, str):
        said = f"Not measured: {each.text}."
    else:
        found = described_copying(each.checkpoint, each.text, options.seed)
        said = f"At step {each.checkpoint.step:,}, {found}"
    yield f"<section>\n<h2>Copying</h2>\n<p>{shown_label(said)}</p>\n</section>"


def _checkpoints(each: ReportedRun) -> Iterator[str]:
    """Yield the section with the table of checkpoints."""
    entries = [entry for entry in each.run.checkpoints() if entry.header is not None]
    listed = stages(each.run, MOST_LISTED)
    yield "<section>\n<h2>Checkpoints</h2>"
    if len(listed) < len(entries):
        yield f'<p class="quiet">An even {len(listed)} of {len(entries):,} checkpoints.</p>'
    names = ("step", "epoch", "train", "val", "bpc")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names) + "<td></td>"
    yield f'<div class="wide">\n<table class="numbers">\n<thead><tr>{heads}</tr></thead>\n<tbody>'
    for entry in listed:
        yield _checkpoint_row(entry, is_chosen=entry.step == each.checkpoint.step)
    yield "</tbody>\n</table>\n</div>"
    units = "Train and val are losses in nats per character; bpc is val in bits per character."
    yield f'<p class="quiet">{units}</p>\n</section>'


def _checkpoint_row(entry: CheckpointEntry, *, is_chosen: bool) -> str:
    assert entry.header is not None
    is_best = is_chosen and entry.val_loss is not None
    cells = [
        f"{entry.header.epoch:.2f}",
        _loss(entry.train_loss),
        _loss(entry.val_loss),
        _bits(entry.val_loss),
        BEST if is_best else "",
    ]
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{entry.step:,}</th>{row}</tr>'


def _settings(each: ReportedRun) -> Iterator[str]:
    """Yield the section with the settings, the command and the versions."""
    yield '<section>\n<h2>Settings</h2>\n<dl class="settings">'
    for name, value in each.settings.items():
        yield f"<div><dt>{shown_label(name)}</dt><dd>{shown_label(value)}</dd></div>"
    yield "</dl>\n<h3>Train it again</h3>"
    yield f"<pre>{shown_label(each.command)}</pre>"
    if each.remark:
        yield f'<p class="quiet">{shown_label(each.remark)}</p>'
    versions = [f"{name} {version}" for name, version in each.checkpoint.versions.items()]
    if versions:
        yield f'<p class="quiet">Trained with {shown_label(", ".join(versions))}.</p>'
    yield "</section>"


def _loss(nats: float | None) -> str:
    return UNKNOWN if nats is None else f"{nats:.3f}"


def _bits(nats: float | None) -> str:
    return UNKNOWN if nats is None else f"{bits_per_character(nats):.2f}"
