"""Files about an inspection: a page whose numbers are the engine's, and a picture."""

import base64
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.export.look_options import LookOptions
from charrnn_cli.export.look_page import (
    MAX_BYTES,
    STEPS_PER_BIT,
    check_size,
    quantized_bits,
    to_look_page,
)
from charrnn_cli.export.look_svg import COLUMN, COLUMNS, MARGIN, to_look_svg
from charrnn_cli.model.checkpoint import Checkpoint
from charrnn_cli.model.inspection.inspection import Inspection, inspect_text
from charrnn_cli.model.inspection.unit_names import UnitName, shown_units, unit_values
from charrnn_cli.model.reading import in_model_vocabulary
from charrnn_cli.text.clusters import clusters
from charrnn_cli.text.corpus import Corpus
from tests.export.browser import (
    after_script,
    content,
    needs_chromium,
    needs_node,
    node_answer,
    shown_page,
)
from tests.export.test_page import CHARACTERS, FILES, HOSTILE, Parts, hostile_model, random_model
from tests.helpers import make_checkpoint, make_item_checkpoint, save

TEXT = "head bad cab\nface a bed\n\n" * 60
MARKED = "e\u0301a\u0300\u0323 👩\u200d🔬 👍\U0001f3fd b\u200c\nक\u094d\u200d\t\u0301x"
SVG = "{http://www.w3.org/2000/svg}"


def inspected(checkpoint: Checkpoint, text: str = TEXT) -> Inspection:
    return inspect_text(checkpoint, in_model_vocabulary(Corpus.from_text(text), checkpoint))


def options(**chosen: Any) -> LookOptions:
    return LookOptions(**{"name": "tiny@100", "text_name": "text", **chosen})


def page_of(checkpoint: Checkpoint, text: str = TEXT, **chosen: Any) -> str:
    """Return the page of an inspection."""
    exported = to_look_page(checkpoint, inspected(checkpoint, text), options(**chosen))
    return exported.data.decode()


def svg_of(checkpoint: Checkpoint, text: str = TEXT, **chosen: Any) -> str:
    """Return the picture of an inspection."""
    exported = to_look_svg(checkpoint, inspected(checkpoint, text), options(**chosen))
    return exported.data.decode()


def write(directory: Path, page: str) -> Path:
    path = directory / "look.html"
    path.write_text(page, "utf-8")
    return path


def arrays_of(page: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a page by name."""
    parts = Parts(page).scripts
    data = base64.b64decode(parts["numbers"])
    types = {"I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4"}
    return {
        name: np.frombuffer(
            data, types[each["dtype"]], int(np.prod(each["shape"])), each["start"]
        ).reshape(each["shape"])
        for name, each in json.loads(parts["look"])["arrays"].items()
    }


@pytest.mark.parametrize(("cell", "ngram"), [("lstm", 3), ("gru", 0), ("rnn", 2)])
def test_a_page_has_the_numbers_of_the_engine(cell: Cell, ngram: int) -> None:
    """Surprise, guesses and activations are the trace's, up to half a step."""
    checkpoint = random_model(cell, ngram=ngram)
    found = inspected(checkpoint)
    page = page_of(checkpoint)
    arrays, trace = arrays_of(page), found.trace
    assert "".join(CHARACTERS[index] for index in arrays["ids"]) == TEXT
    assert arrays["surprise"][0] == 255
    bits = arrays["surprise"][1:] / STEPS_PER_BIT
    np.testing.assert_allclose(bits, trace.bits[1:], atol=0.5001 / STEPS_PER_BIT)
    assert (arrays["guesses"] == trace.guesses).all()
    np.testing.assert_allclose(arrays["shares"][1:] / 255, trace.shares[1:], atol=0.501 / 255)
    assert ("ngram_surprise" in arrays) == bool(ngram)
    if found.counted is not None:
        counted = arrays["ngram_surprise"][1:] / STEPS_PER_BIT
        np.testing.assert_allclose(counted, found.counted.bits[1:], atol=0.5001 / STEPS_PER_BIT)
    units = json.loads(Parts(page).scripts["look"])["units"]
    assert len(units) == 24
    for name, row in zip(units, arrays["activations"], strict=True):
        values = unit_values(found, UnitName.parse(name)).astype(np.float32)
        np.testing.assert_allclose(row / 127, values, atol=0.501 / 127)


def test_surprise_beyond_the_scale_is_its_end() -> None:
    """Surprise of 16 bits or more, even without an end, is not taken for a missing one."""
    bits = np.array([np.nan, 0, 1 / 32, 15.9, 16, 400, np.inf], np.float32)
    assert quantized_bits(bits).tolist() == [255, 0, 0, 254, 254, 254, 254]


def test_a_page_has_what_was_found_first() -> None:
    """The unit of --cell comes first, then those found, the slowest, and those that vary most."""
    found = inspected(make_checkpoint(scale=1.0))
    first = UnitName(0, 2)
    names = shown_units(found, 8, first)
    known = [UnitName(each.layer, each.unit, each.part) for each in found.units]
    assert names[0] == first
    assert len(names) == len(set(names)) == 8
    assert known
    assert set(known) <= set(names[: len(known) + 1])
    assert shown_units(found, 3, first) == names[:3]
    assert shown_units(found, 0, first) == [first]
    assert shown_units(found, 0) == []
    plain = shown_units(found, 8)
    spread = [float(unit_values(found, name).astype(np.float32).std()) for name in plain]
    rest = spread[len({*known, *names[: len(known) + 1 + len(found.slowest)]}) :]
    assert rest == sorted(rest, reverse=True)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("1", "a unit is LAYER:UNIT or LAYER:UNIT:c, not '1'"),
        ("0:1:x", "a unit is LAYER:UNIT or LAYER:UNIT:c, not '0:1:x'"),
        ("0:\u0661", "a unit is LAYER:UNIT or LAYER:UNIT:c, not '0:\u0661'"),
        ("1:0", "the model has no layer 1"),
        ("0:4", "the model has no unit 4"),
        ("0:3:c", "a gru has no cell state"),
    ],
)
def test_units_that_do_not_exist(typed: str, problem: str) -> None:
    """A name that is no unit's, and a unit that the model lacks, are errors."""
    with pytest.raises(ConfigError) as error:
        UnitName.parse(typed).check_is_in(
            ModelConfig(vocabulary_size=10, cell="gru", layers=1, size=4)
        )
    assert error.value.message == problem


def test_all_units_fit_or_the_error_says_what_does() -> None:
    """Pages have at most 30 MB; both numbers of the hint fit, and a tenth more does not."""
    model = ModelConfig(vocabulary_size=80, layers=2, size=512)
    every = options(cells=None)
    check_size(model, 8_000, every)
    with pytest.raises(ConfigError) as error:
        check_size(model, 20_000, every)
    assert error.value.message == (
        "a page of 2,048 units at 20,000 characters would be larger than 30 MB"
    )
    match = re.fullmatch("use --cells ([0-9]+), or --characters ([0-9]+)", error.value.hint or "")
    assert match is not None
    cells, characters = int(match[1]), int(match[2])
    check_size(model, 20_000, options(cells=cells))
    check_size(model, characters, every)
    for number, chosen in (
        (20_000, options(cells=cells + cells // 10)),
        (characters * 11 // 10, every),
    ):
        with pytest.raises(ConfigError):
            check_size(model, number, chosen)


def test_a_page_of_all_units_is_as_large_as_estimated() -> None:
    """The estimate that limits a page is above its size, and not far above."""
    checkpoint, text = random_model(size=64), "head bad\n" * 500
    size = len(page_of(checkpoint, text, cells=None))
    model = checkpoint.model
    most = max(number for number in range(1_000, 200_000, 1_000) if _fits(model, number))
    assert 0.8 * MAX_BYTES < size / len(text) * most < 1.1 * MAX_BYTES


def _fits(model: ModelConfig, characters: int) -> bool:
    try:
        check_size(model, characters, options(cells=None))
    except ConfigError:
        return False
    return True


def test_a_page_is_read_without_a_program() -> None:
    """The tables and the text are in the markup: all kinds, places, examples and units."""
    checkpoint = random_model(ngram=3)
    found, page = inspected(checkpoint), page_of(checkpoint)
    body = page[: page.index("<script")]
    assert TEXT in body
    for group in (*found.kinds, *found.places):
        assert (
            f">{group.name}</th><td>{group.characters:,}</td><td>{100 * group.share:.1f}%" in body
        )
    for unit in found.units:
        assert f"<td>{unit.layer}:{unit.unit}:{unit.part}</td>" in body
    assert re.search(r"its n-grams alone [0-9.]+, 5-grams [0-9.]+\.", body)
    assert "<section>\n<h2>Beyond 5-grams</h2>" in body


def test_the_same_inspection_gives_the_same_files() -> None:
    """Neither the page nor the picture has a date, or an order that changes."""
    checkpoint = random_model(ngram=2)
    assert page_of(checkpoint) == page_of(checkpoint)
    assert svg_of(checkpoint) == svg_of(checkpoint)


HOSTILE_TEXT = (HOSTILE + "ab\n\tcde\ufffe") * 40
NAMES = {"name": 'a"><img src=x onerror=x>@1', "text_name": "</title><script>x</script>\u202e"}


def hostile_reader(**settings: Any) -> Checkpoint:
    checkpoint = hostile_model(**settings)
    return make_checkpoint(
        ModelConfig(vocabulary_size=len(set(HOSTILE_TEXT)), layers=1, size=4, embed=3),
        characters="".join(sorted(set(HOSTILE_TEXT))),
        run=checkpoint.run,
    )


def test_hostile_texts_stay_text() -> None:
    """Whatever text and names are, a page has no other scripts, elements or attributes."""
    tame, hostile = (
        Parts(page)
        for page in (page_of(random_model()), page_of(hostile_reader(), HOSTILE_TEXT, **NAMES))
    )
    kinds = [{(tag, *attributes) for tag, attributes in each.tags} for each in (tame, hostile)]
    assert {tag for tag, *_ in kinds[1]} <= {*(tag for tag, *_ in kinds[0]), "p", "mark"}
    allowed = {name for _, *names in kinds[0] for name in names}
    assert {name for _, *names in kinds[1] for name in names} <= allowed
    assert not {"src", "href", "style", "onclick", "onerror"} & allowed
    assert [dict(attributes).get("id") for tag, attributes in hostile.tags if tag == "script"] == [
        "look",
        "numbers",
        "program",
    ]
    assert "<" not in hostile.scripts["look"]
    assert tame.scripts["program"] == hostile.scripts["program"]
    forbidden = "innerHTML|outerHTML|insertAdjacent|document.write|fetch|eval"
    assert not re.search(forbidden, tame.scripts["program"])
    look = json.loads(hostile.scripts["look"])
    assert (look["checkpoint"], look["text"]) == (NAMES["name"], NAMES["text_name"])


def spans_of(svg: str) -> list[tuple[float, float, str]]:
    """Return the texts of a picture with their places, below its legend."""
    _, lines = ET.fromstring(svg).iter(f"{SVG}g")
    return [
        (float(each.attrib["x"]), float(each.attrib["y"]), each.text or "")
        for each in lines.iter(f"{SVG}text")
    ]


@pytest.mark.parametrize("unit", [None, UnitName(0, 3), UnitName(0, 3, "c")])
def test_a_picture_of_a_hostile_text_is_well_formed(unit: UnitName | None) -> None:
    """A picture is XML without control characters, scripts or references to anything."""
    svg = svg_of(hostile_reader(), HOSTILE_TEXT, unit=unit, **NAMES)
    assert not re.search("[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\u202a-\u202e\ufffe\uffff]", svg)
    names = {each.tag for each in ET.fromstring(svg).iter()}
    assert names == {f"{SVG}{name}" for name in ("svg", "style", "g", "text", "rect")}
    assert "</script>" in "".join(text for _, _, text in spans_of(svg))


def test_a_picture_has_the_text_in_lines() -> None:
    """Each line has at most 80 columns, lines break after spaces, and no character is lost."""
    text = ("head bad " * 30 + "\n" + "abcdefgh" * 25 + "\n\n") * 2
    rows: dict[float, str] = {}
    for left, top, shown in spans_of(svg_of(random_model(), text)):
        start = round((left - MARGIN) / COLUMN)
        rows[top] = rows.get(top, "").ljust(start) + shown
    lines = [rows[top] for top in sorted(rows)]
    assert max(map(len, lines)) <= COLUMNS + 1
    assert "".join(
        f"{line} " if "⏎" not in line and "b" in line else line for line in lines
    ).replace("⏎", "\n").replace(" ", "") == text.replace(" ", "")
    assert all(line.endswith(("bad", "head", "⏎")) or len(line) == COLUMNS for line in lines)


def test_the_shades_of_a_picture_are_those_of_the_unit() -> None:
    """Positive activations are warm, negative ones cool, and stronger ones less translucent."""
    checkpoint = make_checkpoint(scale=1.0)
    found = inspected(checkpoint)
    unit = next(name for name in shown_units(found, 8) if name.part == "h")
    values = unit_values(found, unit).astype(np.float32)
    svg = ET.fromstring(svg_of(checkpoint, unit=unit))
    _, lines = svg.iter(f"{SVG}g")
    first = next(index for index, value in enumerate(values) if abs(value) > 0.2)
    rectangles = [each.attrib for each in lines.iter(f"{SVG}rect")]
    rectangle = next(
        each
        for each in rectangles
        if float(each["x"])
        <= MARGIN + COLUMN * (first + 0.5)
        < float(each["x"]) + float(each["width"])
    )
    assert rectangle["fill"] == ("#c4512d" if values[first] > 0 else "#2f7db5")
    assert len({each["fill-opacity"] for each in rectangles}) > 2


def test_clusters_are_whole() -> None:
    """Marks, joiners and skin tones belong to the character before them; line ends stand alone."""
    assert list(clusters(MARKED)) == [
        *("e\u0301", "a\u0300\u0323", " ", "👩\u200d🔬", " ", "👍\U0001f3fd", " "),
        *("b\u200c", "\n", "क\u094d\u200d", "\t", "\u0301", "x"),
    ]
    assert [len(each) for each in clusters("a" + "\u0301" * 70)] == [32, 32, 7]
    assert list(clusters("")) == []


CLUSTERS = """
const found = [];
let cluster = "";
let length = 0;
for (const character of [...text, null]) {
  if (character !== null && combines(cluster, length, character)) {
    cluster += character;
    length++;
    continue;
  }
  if (cluster) found.push(cluster);
  [cluster, length] = [character, 1];
}
return found;
"""


@needs_node
def test_pages_have_the_same_clusters() -> None:
    """The program of pages groups characters as the package does."""
    text = MARKED + "a" + "\u0301" * 70 + HOSTILE
    program = (FILES / "clusters.js").read_text("utf-8")
    assert node_answer(f"{program}\n{CLUSTERS}", text) == list(clusters(text))


@pytest.mark.browser
@needs_chromium
def test_chromium_shows_a_hostile_text(tmp_path: Path) -> None:
    """The text round-trips, clusters are whole, and the browser reports nothing."""
    text = (HOSTILE + MARKED + "ab\n") * 20
    characters = "".join(sorted(set(text)))
    config = ModelConfig(vocabulary_size=len(characters), layers=1, size=4, embed=3, ngram=2)
    checkpoint = make_checkpoint(config, characters=characters, run=hostile_model().run)
    page = write(tmp_path, page_of(checkpoint, text, **NAMES))
    shown = shown_page(page, at=12, by="saved")
    assert content(shown, "title") == (
        'a"><img src=x onerror=x>@1 reads </title><script>x</script>\ufffd'
    )
    _, _, box = shown.partition('<div id="text"')
    inside = box[box.index(">") + 1 : box.index("<aside")]
    found = re.findall(r"<span[^>]*>(.*?)</span>", inside, re.DOTALL)
    expected = [
        each.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\0", "")
        for each in clusters(text)
    ]
    assert [each.replace("\0", "") for each in found] == expected


STEPS = """
const answers = [];
const press = (key, shiftKey = false) =>
  byId("text").dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true }));
const tick = () => new Promise((resolve) => setTimeout(resolve, 50));
(async () => {
  await tick();
  answers.push(spans.map((span) => span.textContent).join(""));
  answers.push([chosen, coloring.name, byId("status").textContent]);
  answers.push([...byId("guesses").children].map((each) => each.textContent));
  press("ArrowRight");
  answers.push([chosen, byId("strip").querySelector(".at").place]);
  press("ArrowRight", true);
  press("ArrowRight", true);
  press("ArrowRight", true);
  await tick();
  answers.push([passage, location.hash]);
  const listed = [...byId("passage").querySelectorAll("tbody tr")];
  answers.push(listed.map((row) => [...row.children].map((cell) => cell.textContent)));
  listed[0].querySelector("button").click();
  answers.push([coloring.name === listed[0].firstChild.dataset.unit, byId("by").value]);
  answers.push(spans.slice(0, 40).map((span) => span.className.split(" ")[0]));
  press("Escape");
  answers.push(passage);
  byId("facts").textContent = JSON.stringify(answers);
})();
"""


@pytest.mark.browser
@needs_chromium
def test_keys_choose_characters_and_passages(tmp_path: Path) -> None:
    """Arrow keys move, with Shift they select, and the units of a passage color the text."""
    checkpoint = random_model(ngram=2, size=8)
    found = inspected(checkpoint)
    page = write(tmp_path, page_of(checkpoint, cells=None))
    text, first, guesses, moved, selected, listed, colored, shades, cleared = after_script(
        page, STEPS, "facts", at=7
    )
    assert text == TEXT
    assert found.counted is not None
    own, counted = found.trace.bits[7], found.counted.bits[7]
    assert first[:2] == [7, "surprise"]
    assert first[2] == f"“{TEXT[7]}” cost {own:.1f} bits (n-grams alone {counted:.1f})"
    named = {" ": "␣", "\n": "⏎"}
    likely = [CHARACTERS[index] for index in found.trace.guesses[7]]
    assert [each[0] for each in guesses] == [named.get(each, each) for each in likely]
    assert moved == [8, 8]
    assert selected[0] == [8, 12]
    assert selected[1] == "#at=11&by=surprise&passage=8-12"
    expected = []
    for name in shown_units(found, 32):
        values = np.rint(127 * unit_values(found, name).astype(np.float32)).astype(float) / 127
        outside = np.delete(values, range(8, 12))
        difference = abs(values[8:12].mean() - outside.mean()) / values.std()
        expected.append((difference, str(name), values[8:12].mean(), outside.mean()))
    best = sorted(expected, reverse=True)[:6]
    assert [row[0].split(" ")[0] for row in listed] == [name for _, name, _, _ in best]
    numbers = [[float(each.replace("−", "-")) for each in row[1:]] for row in listed]
    np.testing.assert_allclose(numbers, [each[2:] for each in best], atol=0.011)
    assert colored == [True, best[0][1]]
    values = unit_values(found, UnitName.parse(best[0][1])).astype(np.float32)
    signs = ["n" if value < 0 else "s" for value in values[:40] if abs(value) > 0.07]
    assert [
        each[0] for each, value in zip(shades, values, strict=False) if abs(value) > 0.07
    ] == signs
    assert cleared is None


SELECTIONS = """
const text = byId("text");
const [block] = text.children;
const answers = [];
const take = (...ends) => {
  getSelection().setBaseAndExtent(...ends);
  onSelection();
  answers.push(passage);
};
const inside = (place) => spanOfPlace(place).firstChild;
take(inside(3), 0, inside(6), 1);
take(inside(6), 1, inside(3), 0); // backwards
take(spanOfPlace(2), 0, spanOfPlace(4), 1);
take(block, 5, block, 9);
take(text, 0, text, 1);
take(inside(7), 0, byId("status").firstChild, 0);
take(byId("status").firstChild, 0, byId("status").firstChild, 1); // elsewhere: it stays
take(inside(0), 2, inside(9), 1); // inside clusters
byId("facts").textContent = JSON.stringify(answers);
"""


@pytest.mark.browser
@needs_chromium
def test_selections_are_passages(tmp_path: Path) -> None:
    """A selection of any elements, in both directions, is a range of characters."""
    text = "e\u0301\u0323" + "head bad cab\n" * 8
    checkpoint = make_checkpoint(
        ModelConfig(vocabulary_size=12, layers=1, size=4, embed=3),
        characters="\n abcdefh\u0301\u0323g",
    )
    page = write(tmp_path, page_of(checkpoint, text))
    assert after_script(page, SELECTIONS, "facts") == [
        [3, 7],
        [3, 7],
        [0, 5],
        [7, 11],  # of spans; the first has three characters
        [0, len(text)],
        [7, len(text)],
        [7, len(text)],
        [2, 10],
    ]


@pytest.mark.browser
@needs_chromium
def test_items_end_in_new_lines(tmp_path: Path) -> None:
    """The end symbol of items is shown as a new line, and named in guesses."""
    checkpoint = make_item_checkpoint("blank-lines")
    corpus = Corpus.from_documents(["abc", "hh"] * 9, checkpoint.data.reading, "texts")
    known = in_model_vocabulary(corpus, checkpoint)
    exported = to_look_page(checkpoint, inspect_text(checkpoint, known), options(end=corpus.end))
    shown = shown_page(write(tmp_path, exported.data.decode()), at=4)
    assert "end" in content(shown, "guesses") + content(shown, "status")
    assert "\nabc\nhh" in content(shown, "text")


@pytest.mark.slow
def test_a_large_model_is_inspected_within_seconds(tmp_path: Path) -> None:
    """20,000 characters at 2x512 take 8 seconds of one core, and 300 MB of memory."""
    config = ModelConfig(vocabulary_size=len(CHARACTERS), layers=2, size=512, embed=64, ngram=5)
    save(make_checkpoint(config, run="large", scale=0.05))
    (tmp_path / "text.txt").write_text((TEXT * 20)[:20_000])
    script = (
        "import resource, sys\nfrom charrnn_cli.cli.main import main\n"
        "try:\n    main()\nfinally:\n    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(used.ru_utime + used.ru_stime, used.ru_maxrss)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *("inspect", "large", "text.txt", "-o", "look.html")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, kilobytes = map(float, result.stdout.split())
    assert seconds < 8
    assert kilobytes < 300_000
