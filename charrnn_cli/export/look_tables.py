"""The tables of an inspection as HTML, to be read with and without a program."""

from collections.abc import Iterable, Iterator, Sequence

from charrnn_cli.export.html_text import shown_label
from charrnn_cli.model.inspection.bit_shares import Example, Group
from charrnn_cli.model.inspection.inspection import Inspection
from charrnn_cli.model.inspection.unit_names import UnitName

UNITS_NOTE = (
    "A unit is named layer:unit:part, counted from 0; part h is the hidden state, and c the tanh of"
    " an LSTM’s cell state. It was chosen by its correlation r on every other 1,000 characters, and"
    " is listed because r on the others (held out) exceeds 0.2 and chance: the most that any unit"
    " reaches with the feature shifted against the text."
)
BEYOND_NOTE = "Characters that the model expected, and the characters before them do not suggest."
_PICTURES = str.maketrans({"\n": "⏎", "\t": "⇥", " ": "␣"})


def tables(inspection: Inspection, shown: set[UnitName]) -> Iterator[str]:
    """Yield the sections below the text; the page has the activations of the units `shown`."""
    yield '<div class="columns">'
    yield from _found(inspection, shown)
    yield from _slowest(inspection, shown)
    yield '</div>\n<div class="columns">'
    yield from _groups("Where the bits go", "kind", inspection.kinds)
    yield from _groups("Place in the word", "letter", inspection.places)
    yield "</div>"
    if inspection.counted is not None:
        yield from _beyond(inspection.counted.share_beyond, inspection.counted.beyond)


def _found(inspection: Inspection, shown: set[UnitName]) -> Iterator[str]:
    yield "<section>\n<h2>Units that follow a feature</h2>"
    if not inspection.units:
        yield "<p>No unit follows a feature of this text more closely than by chance.</p>"
    else:
        rows = []
        for each in inspection.units:
            name = UnitName(each.layer, each.unit, each.part)
            numbers = (
                f"{value:.2f}".replace("-", "−")
                for value in (each.r, each.r_held_out, each.r_chance)
            )
            rows.append((_unit_head(each.feature, name, shown), [str(name), *numbers]))
        yield from _table("Units", ("feature", "unit", "r", "held out", "chance"), rows)
        yield f'<p class="quiet">{UNITS_NOTE}</p>'
    yield "</section>"


def _slowest(inspection: Inspection, shown: set[UnitName]) -> Iterator[str]:
    if not inspection.slowest:
        return
    yield "<section>\n<h2>Slowest units</h2>"
    rows = []
    for each in inspection.slowest:
        name = UnitName(each.layer, each.unit, each.part)
        rows.append((_unit_head(str(name), name, shown), [f"{each.characters:,} characters"]))
    yield from _table("Slowest units", ("unit", "remembers"), rows)
    yield "</section>"


def _groups(title: str, head: str, groups: Sequence[Group]) -> Iterator[str]:
    """Yield the section of groups of characters, with a bar for each share."""
    if not groups:
        return
    yield f"<section>\n<h2>{title}</h2>"
    counts = groups[0].ngram_bits is not None
    heads = [head, "characters", "share of bits", "bits each", *(["n-grams"] if counts else [])]
    rows = []
    for group in groups:
        bits = [group.bits, *([] if group.ngram_bits is None else [group.ngram_bits])]
        cells = [f"{group.characters:,}", f"{100 * group.share:.1f}%{_bar(group.share)}"]
        rows.append((_head(group.name), [*cells, *(f"{each:.2f}" for each in bits)]))
    yield from _table(title, heads, rows)
    yield "</section>"


def _beyond(share: float, examples: Sequence[Example]) -> Iterator[str]:
    """Yield the section of what the model knows and 5-grams do not."""
    yield "<section>\n<h2>Beyond 5-grams</h2>"
    yield f"<p>At {100 * share:.1f}% of the characters, the model saves more than 2 bits.</p>"
    rows = []
    for each in examples:
        place = f' data-place="{each.place}"'
        before = shown_label(each.before.translate(_PICTURES))
        character = shown_label(each.character.translate(_PICTURES))
        head = f'<th scope="row"{place}>{before}<mark>{character}</mark></th>'
        rows.append((head, [f"{each.bits:.2f}", f"{each.fivegram_bits:.2f}"]))
    if rows:
        yield from _table(
            "Beyond 5-grams", ("character", "bits", "5-grams"), rows, "numbers context"
        )
        yield f'<p class="quiet">{BEYOND_NOTE}</p>'
    yield "</section>"


def _table(
    label: str,
    heads: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    kind: str = "numbers",
) -> Iterator[str]:
    """Yield a table; each row has a head, which is markup, and cells."""
    region = f'class="wide" tabindex="0" role="group" aria-label="{label}"'
    titles = "".join(f'<th scope="col">{each}</th>' for each in heads)
    yield f'<div {region}>\n<table class="{kind}">\n<thead><tr>{titles}</tr></thead>\n<tbody>'
    for head, cells in rows:
        yield f"<tr>{head}{''.join(f'<td>{each}</td>' for each in cells)}</tr>"
    yield "</tbody>\n</table>\n</div>"


def _head(name: str) -> str:
    return f'<th scope="row">{shown_label(name)}</th>'


def _unit_head(label: str, name: UnitName, shown: set[UnitName]) -> str:
    """Return the head of a unit's row; a program makes a button of it if it has the unit."""
    unit = f' data-unit="{name}"' if name in shown else ""
    return f'<th scope="row"{unit}>{shown_label(label)}</th>'


def _bar(share: float) -> str:
    """Return a bar without style attributes, which the page's policy forbids."""
    size = 'viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"'
    return f'<svg class="bar" {size}><rect width="{100 * share:.1f}" height="4"/></svg>'
