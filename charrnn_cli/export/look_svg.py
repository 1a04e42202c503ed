"""A text in the colors of its surprise or of a unit, as an SVG document for papers and slides.

Colors are translucent, so that they suit light and dark pages.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from charrnn_cli.export.exported import Exported
from charrnn_cli.export.html_text import shown_label
from charrnn_cli.export.look_options import LookOptions
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.inspection.inspection import Inspection
from charrnn_cli.model.inspection.unit_names import UnitName, unit_values
from charrnn_cli.text.clusters import clusters

COLUMNS = 80
COLUMN, LINE = 8.4, 21  # pixels
FONT_SIZE = 14
MARGIN, TOP = 20, 66
TAB = 4  # columns
WARM, COOL = "#c4512d", "#2f7db5"
SHADES = 8
OPACITIES = (0.0, 0.08, 0.16, 0.25, 0.34, 0.43, 0.52, 0.61, 0.7)
NEW_LINE = "⏎"
_STYLE = (
    "svg{color:#1f2937;background:#fff}text{fill:currentColor;white-space:pre}"
    "@media (prefers-color-scheme:dark){svg{color:#e5e7eb;background:#111827}}"
)
_NOT_IN_XML = {0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Characters that are drawn together."""

    text: str
    """What is drawn; empty for a space."""
    columns: int
    shade: int
    """From -8 to 8."""
    is_line_end: bool


def to_look_svg(_checkpoint: Checkpoint, inspection: Inspection, options: LookOptions) -> Exported:
    """Return the picture of a unit or, without one, of the surprise."""
    lines = list(_wrapped(_clusters(inspection, options)))
    rows = [part for row, line in enumerate(lines) for part in _row(line, TOP + LINE * row)]
    width = round(2 * MARGIN + COLUMN * (COLUMNS + 1))
    height = TOP + LINE * len(lines) + MARGIN
    title = _escaped(_title(inspection, options))
    head = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {head} role="img" aria-label="{title}">',
        f"<style>{_STYLE}</style>",
        '<g font-family="system-ui, sans-serif" font-size="13">',
        f'<text x="{MARGIN}" y="26">{title}</text>',
        *_legend(options.unit),
        "</g>",
        f'<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="{FONT_SIZE}">',
        *rows,
        "</g>",
        "</svg>",
    ]
    return Exported("\n".join([*parts, ""]).encode("utf-8"))


def _title(inspection: Inspection, options: LookOptions) -> str:
    if options.unit is None:
        mean = inspection.trace.bits_per_character
        return f"{options.name} reads {options.text_name}: {mean:.2f} bits per character"
    unit = options.unit
    found = [
        f"{each.feature}, r = {each.r_held_out:.2f}"
        for each in inspection.units
        if UnitName(each.layer, each.unit, each.part) == unit
    ]
    known = f" ({'; '.join(found)})" if found else ""
    return f"{options.name} reads {options.text_name}: unit {unit}{known}"


def _clusters(inspection: Inspection, options: LookOptions) -> Iterator[_Cluster]:
    """Yield the clusters of the text, each with the value farthest from zero."""
    if options.unit is None:
        values_N = np.floor(np.nan_to_num(inspection.trace.bits))
    else:
        values_N = np.rint(unit_values(inspection, options.unit).astype(np.float32) * SHADES)
    shades = np.clip(values_N, -SHADES, SHADES).astype(int).tolist()
    text = inspection.trace.text
    if options.end is not None:
        text = text.replace(options.end, "\n")
    place = 0
    for cluster in clusters(text):
        shade = max(shades[place : place + len(cluster)], key=abs)
        place += len(cluster)
        is_line_end = cluster == "\n"
        shown = NEW_LINE if is_line_end else "" if cluster.isspace() else cluster
        yield _Cluster(shown, _columns(cluster), shade, is_line_end)


def _columns(cluster: str) -> int:
    if cluster == "\t":
        return TAB
    return 2 if unicodedata.east_asian_width(cluster[0]) in "WF" else 1


def _wrapped(text: Iterator[_Cluster]) -> Iterator[list[_Cluster]]:
    """Yield lines of at most 80 columns and a line end, broken after spaces where possible."""
    line: list[_Cluster] = []
    columns = 0
    for each in text:
        if columns + each.columns > COLUMNS and not each.is_line_end:
            spaces = [place for place, known in enumerate(line) if not known.text]
            cut = spaces[-1] + 1 if spaces else len(line)
            yield line[:cut]
            line = line[cut:]
            columns = sum(known.columns for known in line)
        line.append(each)
        columns += each.columns
        if each.is_line_end:
            yield line
            line, columns = [], 0
    if line:
        yield line


def _row(line: Sequence[_Cluster], top: int) -> Iterator[str]:
    """Yield the rectangles of a line, and the text on them."""
    place = 0
    for shade, group in groupby(line, key=lambda each: each.shade):
        columns = sum(each.columns for each in group)
        if shade:
            yield _rectangle(shade, MARGIN + COLUMN * place, columns * COLUMN, top)
        place += columns
    place = 0
    for is_plain, group in groupby(line, key=_is_plain):
        members = list(group)
        if is_plain:
            yield from _words(members, place, top)
        else:
            at = place
            for each in members:
                yield _text(each.text, at, top, quiet=each.is_line_end)
                at += each.columns
        place += sum(each.columns for each in members)


def _is_plain(cluster: _Cluster) -> bool:
    """Return whether every monospaced font draws a cluster in as many columns."""
    return not cluster.text or (cluster.text.isascii() and len(cluster.text) == 1)


def _words(line: Sequence[_Cluster], place: int, top: int) -> Iterator[str]:
    """Yield the text between spaces; each has its width, whatever the font."""
    for is_space, group in groupby(line, key=lambda each: not each.text):
        members = list(group)
        if not is_space:
            word = "".join(each.text for each in members)
            yield _text(word, place, top)
        place += sum(each.columns for each in members)


def _text(text: str, place: int, top: int, *, quiet: bool = False) -> str:
    size = f' textLength="{len(text) * COLUMN:.1f}"' if len(text) > 1 and text.isascii() else ""
    kind = ' fill-opacity="0.35"' if quiet else ""
    at = f'x="{MARGIN + COLUMN * place:.1f}" y="{top + 15}"'
    return f"<text {at}{size}{kind}>{_escaped(text)}</text>"


def _rectangle(shade: int, left: float, width: float, top: float) -> str:
    color, opacity = WARM if shade > 0 else COOL, OPACITIES[abs(shade)]
    size = f'width="{width:.1f}" height="{LINE - 1}"'
    fill = f'fill="{color}" fill-opacity="{opacity}"'
    return f'<rect x="{left:.1f}" y="{top}" {size} {fill}/>'


def _legend(unit: UnitName | None) -> Iterator[str]:
    """Yield samples of the shades and what they mean."""
    width, top = 24, TOP - 28
    shades = range(SHADES + 1) if unit is None else range(-SHADES, SHADES + 1, 2)
    names = [str(shade) for shade in shades] if unit is None else ["−1", *[""] * 3, "0", *[""] * 4]
    names[-1] = f"{SHADES}+" if unit is None else "1"
    for place, (shade, name) in enumerate(zip(shades, names, strict=True)):
        left = MARGIN + width * place
        if shade:
            yield _rectangle(shade, left, width, top)
        if name:
            middle = f'x="{left + width / 2}" y="{top + 15}" text-anchor="middle"'
            yield f'<text {middle} font-size="11">{name}</text>'
    meaning = "bits of surprise" if unit is None else "activation"
    last = f'x="{MARGIN + width * len(names) + 8}" y="{top + 15}"'
    yield f'<text {last} font-size="11">{meaning}</text>'


def _escaped(text: str) -> str:
    """Return a text as XML, in which all of it can be seen and nothing changes its direction."""
    shown = text.translate({ord("\n"): 0x240A, ord("\t"): 0x2409, **_NOT_IN_XML})
    return shown_label(shown)
