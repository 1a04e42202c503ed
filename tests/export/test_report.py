"""Reports: everything of a run on one page, which only shows it."""

import base64
import hashlib
import html
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.config import SampleConfig
from charrnn_cli.export.html_text import shown_label, shown_text
from charrnn_cli.export.report_samples import stages
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.model.items import generate_items
from charrnn_cli.model.sampling import generate
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from tests.helpers import FAST, STORY, Inside, make_checkpoint, make_item_checkpoint, save
from tests.test_package import loaded_by_command

VOID = {"meta", "br", "line", "circle", "polyline", "rect"}
HOSTILE = "</title><script>x</script> & \" ' \u202e \0 \ud800"


class Page(HTMLParser):
    """The tags and texts of a page, whose tags must be balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def report(inside: Inside, *arguments: str) -> str:
    """Return the page that the command writes to standard output."""
    result = inside("checkpoints", "report", *arguments, "-o", "-")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def cells(page: str) -> list[list[str]]:
    """Return the texts of all rows of all tables."""
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [
        [
            html.unescape(re.sub("<[^>]*>", "", cell)).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        ]
        for row in rows
    ]


def samples(page: str) -> list[str]:
    """Return the samples of a page, with their primes."""
    found = re.findall(r'<div class="text" dir="auto">(.*?)</div>', page, re.DOTALL)
    return [html.unescape(re.sub("<[^>]*>", "", text)) for text in found]


def write_metrics(run: str, *, scale: dict[str, float] | None = None) -> None:
    """Record a start and two evaluations of a run."""
    started = {"event": "TrainingStarted", "first_step": 0, "scale": scale or {}}
    evaluated = {"event": "Evaluated", "best": True, "seconds": 61.0}
    lines = [
        started,
        *(
            evaluated | {"step": step, "epoch": step / 50, "train_loss": 1.2, "val_loss": loss}
            for step, loss in ((100, 2.0), (200, 1.0))
        ),
    ]
    path = Registry().root / run / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def test_a_report_shows_a_run(tiny_run: Run, inside: Inside) -> None:
    """A report has the curves, the scale, a sample of each stage, all checkpoints, and settings."""
    write_metrics("tiny", scale={"uniform": 3.3, "5-gram": 2.0})
    page = report(inside, "tiny", "--prime", "ab\\n", "--seed", "7", "-n", "20")
    shown = Page(page)
    tags = [tag for tag, _ in shown.tags]
    assert (tags.count("svg"), tags.count("polyline"), tags.count("h1")) == (1, 2, 1)
    assert {"uniform 2.29", "5-gram 1.39", "best 1.000 at step 200"} <= set(shown.texts)
    config = SampleConfig(length=20, seed=7)
    assert samples(page) == [
        "".join(generate(load_checkpoint(f"tiny@{step}"), "ab\n", config, echo=True))
        for step in (100, 200, 300)
    ]
    assert cells(page)[1:] == [
        ["100", "2.00", "1.250", "2.000", "2.89", ""],
        ["200", "4.00", "1.250", "1.000", "1.44", "best"],
        ["300", "6.00", "1.250", "1.500", "2.16", ""],
    ]
    assert "charrnn train TEXT" in page
    settings = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert settings["model"] == "lstm 1x4"
    assert (settings["text"], settings["max steps"], settings["time"]) == ("story", "1000", "1:01")
    assert "Not measured: nothing records where the text is." in shown.texts


@pytest.mark.usefixtures("tiny_run")
def test_the_same_runs_give_the_same_page(inside: Inside) -> None:
    """A report has no date, and its seed is fixed."""
    assert report(inside, "tiny") == report(inside, "tiny")


@pytest.mark.usefixtures("tiny_run")
def test_the_policy_allows_the_style_alone(inside: Inside) -> None:
    """The policy has the digest of the style and forbids all else; nothing is loaded or run."""
    page = report(inside, "tiny")
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = (
        tag["content"] for name, tag in Page(page).tags if name == "meta" and "http-equiv" in tag
    )
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    for tag, attributes in Page(page).tags:
        assert tag not in ("script", "link", "img", "a")
        assert not {"src", "href", "style", "onclick"} & set(attributes)
    assert "url(" not in style


def test_hostile_names_stay_text(inside: Inside) -> None:
    """Whatever the characters and names are, a page has the same tags, and they are text in it."""
    pages = []
    for run, characters, name in (
        ("tame", "abcdefghijklmnopqrstuvwxyz"[: len(set(HOSTILE)) - 1], "story"),
        ("hostile", "".join(sorted(set(HOSTILE) - {"\ud800"})), HOSTILE.replace("\ud800", "")),
    ):
        config = ModelConfig(vocabulary_size=len(characters), layers=1, size=4, embed=3)
        checkpoint = make_checkpoint(config, characters=characters, run=run)
        versions = {name: "<1>"}
        train = {**checkpoint.train, "new": f"{name} $(x)"}
        data = replace(checkpoint.data, name=name, commonest=characters[0])
        save(replace(checkpoint, data=data, versions=versions, train=train))
        write_metrics(run, scale={"<i>\0\u202e": 2.0})
        pages.append(Page(report(inside, run, "--prime", characters[0])))
    tame, hostile = pages
    assert [tag for tag, _ in tame.tags] == [tag for tag, _ in hostile.tags]
    shown = "".join(hostile.texts)
    assert "of </title><script>x</script> & \" ' \ufffd \u2400" in shown
    assert "\0" not in shown


def test_strings_stay_text() -> None:
    """No string has a tag or a character that HTML forbids, or changes what is beside it."""
    assert shown_text("<b>&\"'\n\t") == "&lt;b&gt;&amp;&quot;&#x27;\n\t"
    assert shown_text("\0\r\x7f\x85\ud800") == "\u2400\u240d\u2421\ufffd\ufffd"
    assert shown_text("\u202eא") == "\u202eא"
    assert shown_label("\u202eא\u2066") == "\ufffdא\ufffd"


def test_items_are_shown_whole(inside: Inside) -> None:
    """A model of items has five of them at every stage, one per line."""
    checkpoint = make_item_checkpoint(scale=1.0)
    save(checkpoint)
    page = report(inside, "tiny", "--prime", "a")
    items = re.findall(r'<li dir="auto">(.*?)</li>', page, re.DOTALL)
    expected = generate_items(checkpoint, "a", count=5, seed=1, scored=False)
    assert [html.unescape(re.sub("<[^>]*>", "", item)) for item in items] == [
        item.text for item in expected
    ]


def test_copying_is_measured_in_the_own_text(story: Path, inside: Inside) -> None:
    """The text is read again where the run recorded it; a changed or lost text is one sentence."""
    options = (*FAST, "--max-steps", "4", "--eval-every", "2", "--run", "own")
    assert inside("train", story, *options).returncode == 0
    page = report(inside, "own", "-n", "10")
    said = "% of 5,120 sampled characters stand verbatim in the text, in runs of 30 or more."
    assert said in page
    assert str(story.parent) not in page
    command = re.search("<pre>(.*?)</pre>", page)
    assert command is not None
    assert command[1].startswith("charrnn train TEXT --layers 1 --size 16")
    story.write_text(STORY + "!", "utf-8")
    changed = report(inside, "own", "-n", "10")
    assert "Not measured: the text has changed since it was trained on." in changed
    story.unlink()
    lost = report(inside, "own", "-n", "10")
    assert "<p>Not measured: the text no longer exists.</p>" in lost


def test_copying_of_items_is_measured(tmp_path: Path, inside: Inside) -> None:
    """For a list, the report says how many of 200 items are in it."""
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{first}{second}o\n" for first in "abcd" for second in "efgh") * 9)
    options = (*FAST, "--max-steps", "2", "--eval-every", "2", "--run", "own")
    trained = inside("train", path, "--documents", "lines", "--keep-duplicates", *options)
    assert trained.returncode == 0, trained.stderr
    assert re.search(
        r"<p>At step 2, \d+ of 200 sampled items are in the list\.</p>", report(inside, "own")
    )


def test_several_runs_are_compared(tiny_run: Run, inside: Inside) -> None:
    """Two runs share the picture, and a table has what differs between them."""
    other = make_checkpoint(run="other", step=200, val_loss=1.25)
    save(replace(other, train={"seed": 2, "max_steps": 1000, "dropout": 0.0}))
    write_metrics("tiny")
    write_metrics("other")
    page = report(inside, "tiny", "other", "tiny", "-n", "10")
    assert [tag for tag, _ in Page(page).tags].count("polyline") == 4
    assert "<h1>tiny and other</h1>" in page
    assert cells(page)[:6] == [
        ["", "tiny", "other"],
        ["best step", "200", "200"],
        ["bits per character", "1.44", "1.80"],
        ["weights", "224", "224"],
        ["seed", "1", "2"],
        ["dropout", "–", "0"],
    ]


def test_stages_are_spread_and_have_the_best(home: Path) -> None:
    """Of many checkpoints, the first, the last and the best are among the chosen ones."""
    for step in range(1, 31):
        save(make_checkpoint(step=step, val_loss=1.0 if step == 8 else 2.0, seed=step))
    run = Registry().run("tiny")
    steps = [entry.step for entry in stages(run, 4)]
    assert (steps[0], steps[-1], len(steps)) == (1, 30, 4)
    assert 8 in steps
    assert [entry.step for entry in stages(run, 2)] == [8, 30]
    assert len(stages(run, 50)) == 30


def test_a_run_without_losses_has_a_report(inside: Inside) -> None:
    """Without validation and recorded losses, sections say so, and no checkpoint is the best."""
    save(make_checkpoint(val_loss=None))
    page = report(inside)
    assert '<p class="quiet">No losses were recorded.</p>' in page
    assert cells(page)[1:] == [["100", "2.00", "1.250", "–", "–", ""]]
    assert "best</strong>" not in page


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        ("tiny -o run.txt", "a report must be an .html file, not 'run.txt'", "use -o run.html"),
        (
            "tiny@100 -o a.html",
            "a report requires a run, and 'tiny@100' is one checkpoint",
            "use tiny",
        ),
        (
            "best -o a.html",
            "a report requires a run, and 'best' is one checkpoint",
            "use the name of a run",
        ),
        (
            "tiny --seed 9223372036854775808 -o a.html",
            "seed must be from 0 to 9,223,372,036,854,775,807; got 9223372036854775808",
            "run `charrnn checkpoints report --help` for usage",
        ),
        (
            "home/runs/tiny -o a.html",
            "'home/runs/tiny' is a directory",
            "use the name of a run: tiny",
        ),
        (
            "tiny --prime abz -o a.html",
            "tiny: the vocabulary lacks 'z' (U+007A) at position 3",
            "use only its 10 characters",
        ),
    ],
)
def test_what_is_not_reported(
    inside: Inside, tmp_path: Path, arguments: str, problem: str, hint: str
) -> None:
    """Another suffix, a single checkpoint and an unknown character are errors."""
    result = inside("checkpoints", "report", *arguments.split())
    assert result == (2, "", f"error: {problem}\nhint: {hint}\n")
    assert not list(tmp_path.glob("*.html"))


def test_a_damaged_stage_is_named(inside: Inside) -> None:
    """The hint of an error about a damaged checkpoint names the command that deletes it."""
    for step in (100, 200, 300):
        save(make_checkpoint(step=step, val_loss=1 / step))
    path = Registry().run("tiny").step_path(200)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    result = inside("checkpoints", "report", "tiny", "-o", "a.html")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith(
        "\nhint: delete this checkpoint: charrnn checkpoints rm tiny@200\n"
    )


@pytest.mark.usefixtures("tiny_run")
def test_an_existing_file_stays(inside: Inside, tmp_path: Path) -> None:
    """A report is a new file, and its size is reported."""
    written = inside("checkpoints", "report", "tiny", "-o", "tiny.html")
    content = (tmp_path / "tiny.html").read_bytes()
    assert written == (
        0,
        "",
        f"wrote   tiny.html, {len(content) / 1000:.1f} kB\nnext    open tiny.html in a browser\n",
    )
    again = inside("checkpoints", "report", "tiny", "-o", "tiny.html")
    assert again.returncode == 1
    assert again.stderr.startswith("error: tiny.html already exists\n")
    assert (tmp_path / "tiny.html").read_bytes() == content


@pytest.mark.usefixtures("tiny_run")
def test_a_report_does_not_load_torch(tmp_path: Path) -> None:
    """A report needs numpy alone."""
    page = str(tmp_path / "tiny.html")
    loaded = loaded_by_command("checkpoints", "report", "tiny", "-o", page)
    assert loaded & {"torch", "safetensors"} == set()


@pytest.mark.slow
def test_a_large_run_takes_less_than_five_seconds(inside: Inside) -> None:
    """The report of a run of 2x512 takes less than five seconds of a core."""
    config = ModelConfig(vocabulary_size=9, layers=2, size=512, embed=64)
    for step in range(1, 13):
        save(make_checkpoint(config, characters="\n abcdefg", step=step, seed=step, scale=0.03))
    started = time.process_time()
    report(inside, "tiny")
    assert time.process_time() - started < 5
