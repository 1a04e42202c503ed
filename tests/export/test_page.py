"""Pages: the numbers and texts of the command, and nothing runs but the page's program."""

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest

from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import SampleConfig, TextOptions
from charrnn_cli.errors import ConfigError, UnknownCharacterError
from charrnn_cli.export.formats import FORMATS
from charrnn_cli.export.page import PageOptions, Weights, to_page, to_scaled_rows
from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.items import generate_items
from charrnn_cli.model.sampling import generate
from charrnn_cli.text.clusters import clusters
from tests.export.assembler import assemble
from tests.export.browser import (
    after_script,
    answers,
    content,
    needs_chromium,
    needs_node,
    shown_page,
)
from tests.helpers import Inside, make_checkpoint, make_item_checkpoint
from tests.test_package import loaded_by_command

CHARACTERS = "\n abcdefgh"  # those of `make_checkpoint`
FILES = Path(__file__).parents[2] / "charrnn_cli" / "export" / "page_files"
HOSTILE = "</script> <!-- & \" ' \u2028 \u202e 😀 é \0"


def page_of(directory: Path, checkpoint: Checkpoint, **options: Any) -> Path:
    """Write the page of a checkpoint with full weights, and return its path."""
    options = {"weights": "f32", **options}
    path = directory / f"{len(list(directory.iterdir()))}.html"
    path.write_bytes(to_page(checkpoint, b"", PageOptions(**options)).data)
    return path


def random_model(cell: Cell = "lstm", **settings: Any) -> Checkpoint:
    """Return a model of random weights that are small enough for its state to forget."""
    chosen: dict[str, Any] = {"layers": 2, "size": 24, "embed": 6, **settings}
    characters = chosen.pop("characters", CHARACTERS)
    config = ModelConfig(vocabulary_size=len(characters), cell=cell, **chosen)
    return make_checkpoint(config, characters=characters, scale=0.15)


def expected_logits(checkpoint: Checkpoint, ids: list[int]) -> np.ndarray[Any, Any]:
    engine = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)
    return np.array([engine.step([index])[0].copy() for index in ids])


def settings_of(config: SampleConfig, prime: str = "") -> dict[str, Any]:
    """Return settings as the page has them."""
    return {
        "prime": prime,
        "length": config.length,
        "temperature": config.temperature,
        "topK": config.top_k,
        "topP": config.top_p,
        "minP": config.min_p,
        "seed": str(config.seed),  # JSON of JavaScript holds 53 bits
    }


SHAPES: list[dict[str, Any]] = [
    {"cell": cell, "embed": embed, "layers": layers, "size": size}
    for cell in ("lstm", "gru", "rnn")
    for embed in (0, 5)
    for layers in (1, 2, 3)
    for size in (8, 24, 30)
]


NGRAMS: list[dict[str, Any]] = [
    {"embed": 5, "ngram": 4},
    {"embed": 0, "ngram": 3},
    {"embed": 5, "ngram": 1},
    {"cell": "gru", "ngram": 2},
]
READ = np.random.Generator(np.random.PCG64(1)).integers(0, len(CHARACTERS), 200).tolist()


def check_logits(models: list[Checkpoint], answered: list[Any]) -> None:
    """Compare the logits after each character of READ with the engine's."""
    for model, logits in zip(models, answered, strict=True):
        expected = expected_logits(model, READ)
        np.testing.assert_allclose(logits, expected, atol=1e-4, err_msg=str(model.model))


@needs_node
@pytest.mark.parametrize("plain", [False, True])
def test_logits_are_those_of_the_engine(tmp_path: Path, plain: bool) -> None:
    """All cells, inputs, depths and widths, with n-grams and without, have the engine's logits."""
    models = [random_model(**shape) for shape in [*SHAPES, *NGRAMS]]
    pages = [page_of(tmp_path, model) for model in models]
    check_logits(models, answers([{"page": page, "ids": READ, "plain": plain} for page in pages]))


ALL_SHAPES = """
const answers = requests.map(({ model, weights, product, ids }) => {
  const network = readNetwork(model, weights, fromBase64(product));
  return ids.map((id) => {
    network.read(id);
    return Array.from(network.logits);
  });
});
document.getElementById("answers").textContent = JSON.stringify(answers);
"""


@pytest.mark.slow
@pytest.mark.browser
@needs_chromium
def test_chromium_has_the_logits_of_the_engine(tmp_path: Path) -> None:
    """One page with all shapes has the engine's logits in Chromium."""
    models = [random_model(**shape) for shape in [*SHAPES, *NGRAMS]]
    pages = [Parts(page_of(tmp_path, model).read_text("utf-8")).scripts for model in models]
    requests = [
        {"model": json.loads(page["model"]), "weights": page["weights"], "ids": READ}
        | {"product": page["product"]}
        for page in pages
    ]
    program = f"const requests = {json.dumps(requests)};{pages[0]['engine']};{ALL_SHAPES}"
    joined = tmp_path / "all.html"
    joined.write_text(f'<p id="answers"></p><script>{program}</script>', "utf-8")
    check_logits(models, json.loads(content(shown_page(joined), "answers")))


@pytest.mark.slow
@needs_node
@pytest.mark.parametrize(("plain", "least"), [(False, 1000), (True, 150)])
def test_large_models_write_quickly(tmp_path: Path, plain: bool, least: int) -> None:
    """A model of 2x512 writes 1,000 characters per second with vectors, and 150 without."""
    page = page_of(tmp_path, random_model(layers=2, size=512, embed=64))
    settings = settings_of(SampleConfig(seed=1))
    request = {"page": page, "places": 500, "settings": settings, "plain": plain}
    (answer,) = answers([request])
    assert 500 / answer["seconds"] > least


CONFIGS = [
    SampleConfig(length=600, seed=1),
    SampleConfig(length=600, seed=2, temperature=0.7, top_k=0, top_p=0.9),
    SampleConfig(length=600, seed=2**63 - 1, temperature=1.3, top_k=0, min_p=0.02),
    SampleConfig(length=600, seed=4, top_k=0),
    SampleConfig(length=600, seed=5, temperature=0),
]


@needs_node
def test_texts_are_those_of_the_command(tmp_path: Path) -> None:
    """The built-in model writes the command's 600 characters, with vectors and without."""
    checkpoint = load_checkpoint("english")
    page = page_of(tmp_path, checkpoint)
    expected = ["".join(generate(checkpoint, "Far ", config)) for config in CONFIGS]
    for plain in (False, True):
        request = {"page": page, "places": 600, "plain": plain}
        requests = [request | {"settings": settings_of(config, "Far ")} for config in CONFIGS]
        assert [each["text"] for each in answers(requests)] == expected


@needs_node
@pytest.mark.parametrize("ngram", [0, 3])
@pytest.mark.parametrize("prime", ["", "ab\r\n", "\n"])
def test_primes_are_read_as_the_command_reads_them(tmp_path: Path, prime: str, ngram: int) -> None:
    """Line ends are normalized, and a model of files begins a document, whose end is a newline."""
    size = len(CHARACTERS) + 1
    config = ModelConfig(vocabulary_size=size, layers=1, size=8, embed=4, ngram=ngram)
    models = [random_model(), make_item_checkpoint("files", config=config, scale=1.0)]
    chosen = SampleConfig(length=100, seed=3)
    requests = [
        {"page": page_of(tmp_path, model), "places": 100, "settings": settings_of(chosen, prime)}
        for model in models
    ]
    expected = ["".join(generate(model, prime, chosen)) for model in models]
    assert [each["text"] for each in answers(requests)] == expected


@needs_node
@pytest.mark.parametrize("documents", ["lines", "blank-lines", "--"])
@pytest.mark.parametrize("prime", ["", "ab"])
def test_items_are_those_of_the_command(tmp_path: Path, documents: str, prime: str) -> None:
    """Items are whole, begin with the prime, and are cut off at the same length."""
    size = len(CHARACTERS) + (documents != "lines")
    config = ModelConfig(vocabulary_size=size, layers=1, size=8, embed=4, ngram=3)
    checkpoint = make_item_checkpoint(documents, config=config, scale=1.0)
    chosen = SampleConfig(length=2, seed=7, temperature=1.3)
    items = list(generate_items(checkpoint, prime, count=30, **chosen.to_json()))
    places = sum(len(item.text) - len(prime) + 1 for item in items)
    settings = settings_of(chosen, prime)
    request = {"page": page_of(tmp_path, checkpoint), "places": places, "settings": settings}
    (answer,) = answers([request])
    assert not all(item.ended for item in items)
    written = "".join(
        item.text.removeprefix(prime) + checkpoint.data.reading.between for item in items
    )
    assert answer["text"] == written
    assert sum(cell["isLast"] for cell in answer["cells"]) == len(items)


@needs_node
def test_a_choice_replaces_what_is_drawn(tmp_path: Path) -> None:
    """A chosen character stands in its place, and its rivals have the shares of the engine."""
    checkpoint = random_model()
    page, config = page_of(tmp_path, checkpoint), SampleConfig(length=40, seed=3)
    request = {"page": page, "places": 40, "settings": settings_of(config, "ab")}
    free, chosen = answers([request, request | {"choices": [[10, 4]]}])
    assert chosen["text"][:10] == free["text"][:10]
    assert chosen["text"][10] == CHARACTERS[4]
    cell = free["cells"][10]
    shares = [rival["share"] for rival in cell["rivals"]]
    logits = expected_logits(checkpoint, checkpoint.vocab.encode("ab" + free["text"]))
    weights = np.exp(logits[11].astype(float))
    expected = np.sort(weights / weights.sum())[::-1][:8]
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    assert cell["bits"] == pytest.approx(-np.log2(cell["share"]))


@needs_node
@pytest.mark.parametrize("weights", ["i8", "f16"])
def test_small_weights_are_nearly_as_good(weights: Weights, tmp_path: Path) -> None:
    """The built-in model needs at most 0.002 bits per character more with small weights."""
    checkpoint = load_checkpoint("english")
    book = (FILES.parents[1] / "data" / "alice.txt").read_text("utf-8")[2000:6000]
    ids = checkpoint.vocab.encode("".join(each for each in book if each in checkpoint.vocab))
    requests = [
        {"page": page_of(tmp_path, checkpoint, weights=each), "ids": ids}
        for each in ("f32", weights)
    ]
    full, small = (bits_of(logits, ids) for logits in answers(requests))
    assert small < full + 0.002


def bits_of(logits: list[list[float]], ids: list[int]) -> float:
    """Return the bits per character of ids after the first."""
    shifted = np.array(logits[:-1]) - np.max(logits[:-1], axis=1, keepdims=True)
    nats = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(ids) - 1), ids[1:]]
    return float(nats.mean() / np.log(2))


def test_the_product_is_its_text() -> None:
    """The binary module is what its text says, instruction by instruction."""
    text = (FILES / "product.wat").read_text("utf-8")
    assert (FILES / "product.wasm").read_bytes() == assemble(text)


def test_scaled_rows_keep_zeros_and_extremes() -> None:
    """A row of zeros stays zeros, and a row's largest number keeps its value."""
    weight = np.array([[0, 0, 0], [1, -2, 0.5], [3e38, 0, -3e38], [1e-45, 0, 0]], np.float32)
    numbers, scales = to_scaled_rows(weight)
    read = numbers * scales[:, None]
    assert (read[0] == 0).all()
    np.testing.assert_allclose(read[1:3], weight[1:3], rtol=1e-2)


class Parts(HTMLParser):
    """The tags of a page in order, and the content of its scripts and styles by id or name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._inside: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = str(dict(attrs).get("id", tag)) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data


def hostile_model(**settings: Any) -> Checkpoint:
    """Return a model whose characters, run and text are made to break out of a page."""
    characters = "".join(sorted(set(HOSTILE + CHARACTERS)))
    checkpoint = random_model(characters=characters, **settings)
    data = replace(checkpoint.data, name="</title><script>x</script>", commonest="<")
    return replace(checkpoint, run='a"><img src=x onerror=x>', data=data)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """Whatever the names and characters are, a page has the same tags, and they are text in it."""
    title = "</script></title>\ud800<!--\u202e"
    tame = Parts(page_of(tmp_path, random_model()).read_text("utf-8"))
    hostile = Parts(page_of(tmp_path, hostile_model(), title=title, prime="<").read_text("utf-8"))
    without_policy = [[tag for tag in page.tags if tag[0] != "meta"] for page in (tame, hostile)]
    assert without_policy[0] == without_policy[1]
    assert all("<" not in hostile.scripts[name] for name in ("model", "weights", "product"))
    model = json.loads(hostile.scripts["model"])
    assert "".join(map(chr, model["vocabulary"])) == hostile_model().vocab.characters
    assert (model["run"], model["text"]) == (hostile_model().run, hostile_model().data.name)
    assert tame.scripts["engine"] == hostile.scripts["engine"]


def test_the_policy_allows_the_programs_alone(tmp_path: Path) -> None:
    """The policy has the digests of the two scripts and the style, and forbids all else."""
    page = Parts(page_of(tmp_path, random_model()).read_text("utf-8"))
    (policy,) = (
        tag["content"] for name, tag in page.tags if tag.get("http-equiv") and name == "meta"
    )
    digests = [
        "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for text in (page.scripts["engine"], page.scripts["page"], page.scripts["style"])
    ]
    assert policy == (
        f"default-src 'none'; script-src {digests[0]} {digests[1]} 'wasm-unsafe-eval'; "
        f"style-src {digests[2]}; base-uri 'none'; form-action 'none'"
    )
    assert not any({"src", "href", "style", "onclick"} & set(tag) for _, tag in page.tags)
    programs = page.scripts["engine"] + page.scripts["page"]
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|fetch|eval", programs)


def test_the_same_model_gives_the_same_page(tmp_path: Path) -> None:
    """A page has no date, and no order that changes."""
    checkpoint = random_model(ngram=3)
    first, second = (page_of(tmp_path, checkpoint, weights="i8") for _ in range(2))
    assert first.read_bytes() == second.read_bytes()


def test_a_large_model_takes_less_than_a_second() -> None:
    """A model of 2x512 is exported in less than a second."""
    checkpoint = random_model(layers=2, size=512, embed=64)
    started = time.process_time()
    exported = to_page(checkpoint, b"", PageOptions())
    assert time.process_time() - started < 1
    assert exported.sizes["weights"] == pytest.approx(checkpoint.model.num_parameters, rel=0.02)


def test_what_a_page_cannot_hold() -> None:
    """A prime with unknown characters, and weights above the range of f16, are errors."""
    with pytest.raises(UnknownCharacterError, match="the vocabulary lacks 'z'"):
        to_page(random_model(), b"", PageOptions(prime="abz"))
    large = random_model()
    weights = {**large.weights, "output.weight": large.weights["output.weight"] * 1e6}
    with pytest.raises(ConfigError, match="a weight is too large for f16"):
        to_page(replace(large, weights=weights), b"", PageOptions(weights="f16"))


@pytest.mark.usefixtures("tiny_run")
def test_the_suffix_chooses_the_format(inside: Inside, tmp_path: Path) -> None:
    """A name in .html gets a page, --format html one on standard output, and both are equal."""
    result = inside("checkpoints", "export", "tiny", "-o", "tiny.html", "--prime", "ab\\n")
    written = (tmp_path / "tiny.html").read_bytes()
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (
        f"wrote   tiny.html, {len(written) / 1000:.1f} kB (560 B of weights)\n"
        "next    open ./tiny.html in a browser\n"
    )
    assert json.loads(Parts(written.decode()).scripts["model"])["defaults"]["prime"] == "ab\n"
    options = ("--format", "html", "--prime", "ab\\n")
    assert inside("checkpoints", "export", "tiny", "-o", "-", *options).stdout == written.decode()


def test_the_formats_are_listed(inside: Inside) -> None:
    """--list needs no checkpoint, and names the suffixes."""
    assert inside("checkpoints", "export", "--list") == (
        0,
        "".join(f".{name}\t{each.description}\n" for name, each in FORMATS.items()),
        "",
    )


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        (
            "-o model.txt",
            "no format has files that end in '.txt'",
            "use a name that ends in .safetensors, .html or .onnx, or add --format",
        ),
        ("-o a.html --format x", "no format is named 'x'", "use one of safetensors, html, onnx"),
        (
            "-o a.safetensors --title x",
            "--title does not apply to .safetensors files",
            "leave out --title",
        ),
        ("-o a.html --weights i4", "no weights are named 'i4'", "use one of i8, f16, f32"),
        (
            "-o .html",
            "the name '.html' has nothing before its suffix",
            "use a name that ends in .safetensors, .html or .onnx, or add --format",
        ),
        (
            "-o a.html --prime abz",
            "the vocabulary lacks 'z' (U+007A) at position 3",
            "use only its 10 characters",
        ),
    ],
)
def test_what_is_not_exported(
    inside: Inside, tmp_path: Path, arguments: str, problem: str, hint: str
) -> None:
    """A format that does not exist, and an option that does not apply, are errors."""
    result = inside("checkpoints", "export", "tiny", *arguments.split())
    assert result == (2, "", f"error: {problem}\nhint: {hint}\n")
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.usefixtures("tiny_run")
def test_exporting_a_page_does_not_load_torch(tmp_path: Path) -> None:
    """A page needs numpy alone."""
    page = str(tmp_path / "tiny.html")
    loaded = loaded_by_command("checkpoints", "export", "tiny", "-o", page)
    assert loaded & {"torch", "safetensors"} == set()


@pytest.mark.browser
@needs_chromium
def test_a_request_is_noticed(tmp_path: Path) -> None:
    """The tests of pages in Chromium fail when a page asks for anything."""
    page = page_of(tmp_path, make_checkpoint())
    html = page.read_text("utf-8")
    page.write_text(html.replace("</body>", '<img src="picture.png"></body>'), "utf-8")
    with pytest.raises(AssertionError, match="Content Security Policy"):
        shown_page(page)


@pytest.mark.browser
@needs_chromium
def test_chromium_shows_the_text_of_the_command(tmp_path: Path) -> None:
    """The address starts the page; it shows the command's text, and reports nothing."""
    checkpoint = hostile_model(ngram=2)
    page = page_of(tmp_path, checkpoint)
    config = SampleConfig(length=300, seed=1, top_k=0)
    address = {"prime": "ab <", "seed": 1, "top-k": 0, "length": 300}
    shown = shown_page(page, write=1, shade=1, **address)
    text = "".join(generate(checkpoint, "ab <", config, echo=True))
    assert content(shown, "text").replace("\0", "") == text.replace("\0", "")
    assert re.fullmatch(
        r"300 characters, .* bits per character, seed 1.*", content(shown, "status")
    )
    assert content(shown, "title") == checkpoint.run


STEPS = """
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
const done = () => !byId("more").disabled;
const text = () => byId("text").textContent;
const press = (name, key) =>
  byId(name).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const choose = (place) => byId("text").querySelector(`[data-place="${place}"]`).click();
const buttons = () => [...byId("choices").querySelectorAll("button")];
const other = () => buttons().findIndex((each) => !each.hasAttribute("aria-current"));
(async () => {
  const answers = [];
  await until(done);
  STEPS
  byId("facts").textContent = JSON.stringify(answers);
})();
"""


def after_steps(page: Path, steps: str, **address: Any) -> list[Any]:
    """Return what steps in JavaScript push to `answers` after the page has written its text."""
    script = STEPS.replace("STEPS", steps)
    answered: list[Any] = after_script(page, script, "facts", write=1, **address)
    return answered


KEPT = """
answers.push(text());
byId("seed").value = "1";
byId("prime").value = "ab\\nc";
byId("write").click();
await until(done);
answers.push(text());
"""


@pytest.mark.browser
@needs_chromium
def test_line_ends_that_are_kept(tmp_path: Path) -> None:
    """A model of a text with line ends of its own reads them from the address and the keys."""
    checkpoint = random_model(characters="\n\r abcdefgh")
    reading = TextOptions(newlines="keep")
    checkpoint = replace(checkpoint, data=replace(checkpoint.data, reading=reading))
    page = page_of(tmp_path, checkpoint)
    prime, config = "ab\r\nc", SampleConfig(length=100, seed=1)
    expected = "".join(generate(checkpoint, prime, config, echo=True))
    assert after_steps(page, KEPT, prime=prime, seed=1, length=100) == [expected, expected]


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("setting", [{"length": 0}, {"seed": 2**63}, {"temperature": -1}])
def test_an_address_that_is_not_valid(tmp_path: Path, setting: dict[str, Any]) -> None:
    """The page says so where a setting of its address is not valid."""
    shown = shown_page(page_of(tmp_path, make_checkpoint()), write=1, **setting)
    assert content(shown, "status") == "One of the settings is not valid."


CLICKS = """
answers.push(text());
byId("more").click();
await until(done);
answers.push(text());
choose(50);
answers.push(buttons().length, cells[50].rivals[other()].id, byId("rivals").hidden);
press("choices", "Escape");
answers.push(byId("rivals").hidden);
press("text", "ArrowRight");
answers.push(chosen);
press("text", "ArrowLeft");
byId("prime").value = "typed on";
buttons()[other()].click();
await until(done);
answers.push(text(), location.hash);
byId("prime").value = "z";
byId("write").click();
answers.push(byId("status").textContent);
"""


@pytest.mark.browser
@needs_chromium
def test_clicks_go_on_from_a_rival(tmp_path: Path) -> None:
    """Go on continues the text; a rival replaces a character; the address then shows that text."""
    checkpoint = random_model(ngram=2)
    page = page_of(tmp_path, checkpoint)
    first, longer, *rest = after_steps(page, CLICKS, prime="ab", seed=1, length=100)
    rivals, rival, is_hidden, is_closed, after, branched, address, status = rest
    config = SampleConfig(length=200, seed=1)
    assert longer == "".join(generate(checkpoint, "ab", config, echo=True))
    assert longer.startswith(first)
    assert (len(first), rivals, is_hidden, is_closed, after) == (102, 8, False, True, 51)
    assert branched[:53] == longer[:52] + CHARACTERS[rival]
    assert branched[52] != longer[52]
    assert len(branched) == 202
    assert address == f"#prime=ab&length=200&seed=1&choices=50.{rival}&write=1"
    assert status == "The model does not know “z” (U+007A)."
    assert content(shown_page(page, **dict(parse_qsl(address[1:]))), "text") == branched


@pytest.mark.browser
@needs_chromium
def test_clusters_have_one_shade(tmp_path: Path) -> None:
    """A character and its marks have the shade of the most surprising, after a rival, too."""
    page = page_of(tmp_path, random_model(characters="ab\u0301\u0323cd"))
    taken = "answers.push(cells.map(({ text, bits, span }) => [text, bits, span.className]));"
    steps = f"{taken}choose(40); buttons()[other()].click(); await until(done); {taken}"
    for cells in after_steps(page, steps, prime="a", seed=1, **{"top-k": 0, "length": 200}):
        places = iter(cells)
        found = list(clusters("".join(text for text, _, _ in cells)))
        assert max(map(len, found)) > 2
        for cluster in found:
            bits, shades = zip(*([*next(places)][1:] for _ in cluster), strict=True)
            shade = f"s{min(8, int(max(bits)))}"
            assert {each.removesuffix(" chosen") for each in shades} == {shade}


@pytest.mark.browser
@needs_chromium
def test_items_go_on_from_a_rival(tmp_path: Path) -> None:
    """After a rival within a list, there are as many items, and the address shows them."""
    config = ModelConfig(vocabulary_size=10, layers=1, size=8, embed=4, ngram=2)
    page = page_of(tmp_path, make_item_checkpoint(config=config, scale=1.0))
    steps = """
    answers.push(text());
    choose(40);
    buttons()[other()].click();
    await until(done);
    answers.push(text(), location.hash);
    """
    first, branched, address = after_steps(page, steps, prime="ab", seed=1, items=20)
    for text in (first, branched):
        items = text.removesuffix("\n").split("\n")
        assert len(items) == 20
        assert all(item.startswith("ab") for item in items)
    assert branched != first
    assert content(shown_page(page, **dict(parse_qsl(address[1:]))), "text") == branched
