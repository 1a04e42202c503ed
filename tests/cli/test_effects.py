"""Every option of the commands besides `train` changes what the command does."""

import io
import os
import sys
from pathlib import Path

import pytest

from charrnn_cli.config import TextOptions
from charrnn_cli.events import Evaluated
from charrnn_cli.model.checkpoint import save_checkpoint
from charrnn_cli.model.item_selection import likeliest_first
from charrnn_cli.model.items import generate_items
from charrnn_cli.model.sampling import generate
from charrnn_cli.storage.metrics_log import record
from charrnn_cli.storage.registry import Registry
from charrnn_cli.text.encoding import encode_text
from charrnn_cli.version import __version__
from tests.cli.test_help import TREE
from tests.cli.test_options import options_of
from tests.helpers import Inside, make_checkpoint, make_item_checkpoint, save

SAMPLE = "sample tiny --seed 1 -n 20"
ITEM_MODEL = make_item_checkpoint(scale=1.0)
ITEMS, FILES = "sample items.safetensors --seed 1", "sample files.safetensors --seed 1 -n 500"
LIKELIEST = "".join(
    f"{item.text}\n" for item in likeliest_first(list(generate_items(ITEM_MODEL, count=5, seed=1)))
)
REPORTED = "".join(generate(make_checkpoint(seed=100), length=7, seed=1))
FIRST = "file home/runs/tiny/step-0000000100.safetensors"

# A command, an option, and a string that the outcome has with the option alone; after a `!`, a
# string that the outcome has without the option alone. The outcome is the exit code, both streams,
# numpy's number of threads, and the files of the registry and those that the command wrote.
EFFECTS = [
    ("", "--version", f"charrnn {__version__}"),
    ("", "--show-completion bash", "_CHARRNN_COMPLETE=complete_bash"),
    ("", "--install-completion bash", "file .bash_completions/charrnn.sh"),
    ("sample nowhere", "--debug", "Traceback"),
    ("encode text.txt", "--output new.safetensors", "file new.safetensors"),
    ("encode latin.txt --json", "--encoding latin-1", '"vocabulary": " inoñ"'),
    ("encode latin.txt --json", "--errors replace", '"vocabulary": " ino\ufffd"'),
    ("encode crlf.txt --json", "--newlines keep", r'"vocabulary": "\n\rabc"'),
    ("encode ligature.txt --json", "--normalize nfkc", '"vocabulary": " abfin"'),
    ("encode text.txt --json", "--min-count 25", r'"vocabulary": "\n abcde' + '\ufffd"'),
    ("encode folder --json", "--include *.md", '"vocabulary": "abc"'),
    ("encode text.txt gaffe.txt --json", "--keep-duplicates", '"documents": 2'),
    ("encode odd.txt --json", "--force-text", '"characters": 36'),
    ("encode folder --json", "--separator |", '"vocabulary": "abcd|"'),
    ("encode text.txt --json", "--documents lines", '"documents": 40'),
    ("encode table.csv --json", "--column name", '"vocabulary": "\\nabd"'),
    ("encode text.txt --json", "--vocab tiny", r'"vocabulary": "\n abcdefgh"'),
    ("encode ligature.txt --json --vocab tiny", "--unknown skip", '"characters": 60'),
    ("encode text.txt --json", "--baselines", '"uniform": 3.16'),
    ("encode text.txt", "--json", '"vocabulary_size": 9'),
    ("encode", "--decode encoded.safetensors", "head bad cab\nface\nhead bad cab\nface\n"),
    (SAMPLE, "--prime gagfed", "gagfed"),
    (SAMPLE, "--prime-file prime.txt", "gagfed"),
    (f"{SAMPLE} --json", "--length 5", '"length": 5,'),
    (f"{SAMPLE} --json", "--temperature 0", '"temperature": 0.0,'),
    (f"{SAMPLE} --json", "--top-k 1", '"top_k": 1,'),
    (f"{SAMPLE} --json", "--top-p 0.1", '"top_p": 0.1,'),
    (f"{SAMPLE} --json", "--min-p 0.9", '"min_p": 0.9,'),
    (f"{SAMPLE} --json", "--seed 2", '"seed": 2,'),
    (f"{SAMPLE} --json", "--count 2", '"sample": 1,'),
    (f"{SAMPLE} --json -n 500", "--stop e", '"stopped": true'),
    (f"{SAMPLE} --prime gagfed", "--no-echo", "!gagfed"),
    (f"{SAMPLE} --prime b~d --json", "--unknown skip", '"prime": "bd"'),
    (f"{SAMPLE} --prime-file accent.txt --unknown skip --json", "--encoding latin-1", '"bd"'),
    (f"{SAMPLE} --prime-file odd.txt --unknown skip", "--force-text", "badbadbad"),
    (SAMPLE, "--color", "exit 2"),  # refused in a pipe; the colors have a test on a terminal
    (f"{SAMPLE} --prime gagfed", "--interactive", "!gagfed"),  # shows answers alone
    (SAMPLE, "--check-copy gaffe.txt", "gaffe"),
    (SAMPLE, "--output new.txt", "file new.txt"),
    (f"{SAMPLE} -o text.txt", "--append", "wrote   text.txt"),
    (f"{SAMPLE} -o text.txt", "--force", "wrote   text.txt"),
    (SAMPLE, "--json", '"log_probabilities"'),
    (SAMPLE, "--stats", "stats"),
    (f"{FILES} --json --top-k 0", "--stop-at-end", '"stopped": true'),
    (f"{ITEMS} --count 300", "--unique", "!300 of 300 drawn"),
    (ITEMS, "--novel", "nothing records where the text of"),  # it has a test with a run
    (ITEMS, "--novel-against text.txt", "% new"),
    (ITEMS, "--min-length 3", "!10 of 10 drawn"),
    (ITEMS, "--max-length 1", "!10 of 10 drawn"),
    (ITEMS, "--match ^a", "!10 of 10 drawn"),
    (f"{ITEMS} --count 5", "--sort bits", LIKELIEST),
    (ITEMS, "--tsv", "item\tbits\tended\n"),
    (SAMPLE, "--each 2", "--- tiny@300\n"),
    (SAMPLE, "--threads 4", "4 threads"),
    (SAMPLE, "--quiet", "!tiny@200"),
    ("score tiny", "--split val", "error: nothing records where the text of tiny@200 is"),
    ("score tiny text.txt", "--per-line", "\tface\n"),
    ("score tiny text.txt", "--json", '"perplexity": '),
    ("score tiny latin.txt", "--encoding latin-1", "!utf-8"),
    ("score tiny accent.txt --unknown skip", "--errors replace", "tiny@200\t1\t"),
    ("score tiny crlf.txt", "--newlines keep", "U+000D"),
    ("score tiny wide.txt", "--normalize nfkc", "tiny@200\t1\t"),
    ("score tiny folder", "--include *.md", "tiny@200\t26\t"),
    ("score tiny folder", "--separator e", "tiny@200\t54\t"),
    ("score items.safetensors text.txt", "--documents files", "\t359\t"),
    ("score items.safetensors table.csv --unknown skip", "--column name", "\t8\t"),
    ("score tiny accent.txt --encoding latin-1", "--unknown skip", "tiny@200\t1\t"),
    ("score tiny twins", "--keep-duplicates", "tiny@200\t53\t"),
    ("score tiny odd.txt --unknown skip", "--force-text", "9 characters that tiny@200"),
    ("score tiny text.txt", "--threads 4", "4 threads"),
    ("inspect tiny text.txt", "--characters 30", "tiny@200\t29\t"),
    ("inspect tiny text.txt", "--feature x=(", "the pattern of 'x' is not valid"),
    ("inspect tiny latin.txt", "--encoding latin-1", "!utf-8"),
    ("inspect items.safetensors text.txt", "--documents files", "\t359\t"),
    ("inspect tiny accent.txt --encoding latin-1", "--unknown skip", "tiny@200\t1\t"),
    ("inspect tiny text.txt", "--threads 4", "4 threads"),
    ("inspect tiny text.txt", "--json", '"surprise": '),
    # The options that `tune` shares with `train` have tests in test_tune.py.
    ("tune text.txt", "--budget soon", "'soon' is not a duration"),
    ("tune text.txt --budget 0s", "--name ../x", "'../x' is not a valid name"),
    ("tune text.txt --budget 0s", "--set sise=1", "cannot search 'sise=1'"),
    ("tune text.txt --max-steps 1", "--trials 0", "0 is not from 1 to 1000"),
    ("tune", "--resume nowhere", "no study named 'nowhere'"),
    ("tune", "--join nowhere", "no study named 'nowhere'"),
    ("inspect tiny text.txt", "--output look.html", "file look.html"),
    ("inspect tiny text.txt -o -", "--cells 2", '"shape":[2,360]'),
    ("inspect tiny text.txt -o -", "--cell 0:1", '"first":"0:1:h"'),
    ("inspect tiny text.txt -o old.svg", "--force", "wrote   old.svg"),
    ("demo --max-time 0s", "--max-time soon", "'soon' is not a duration"),
    ("doctor", "--json", '"packages": {'),
    ("checkpoints list", "--columns seed", "\tseed\n"),
    ("checkpoints list", "--csv", "run,model,parameters"),
    ("checkpoints list -q --sort name", "--sort size", "tiny\nother\n"),
    ("checkpoints list -q --sort name", "--limit 1", "!other\ntiny\n"),
    ("checkpoints list", "--json", '"parameters": 224'),
    ("checkpoints list", "--quiet", "!lstm 1x4"),
    ("checkpoints show tiny", "--json", '"reference": "tiny@200"'),
    ("checkpoints show tiny", "--plot losses.svg", "file losses.svg"),
    ("checkpoints rm tiny@100", "--yes", f"!{FIRST}"),
    ("checkpoints rm tiny@100 -y", "--dry-run", FIRST),
    ("checkpoints prune tiny --keep 1", "--yes", f"!{FIRST}"),
    ("checkpoints prune tiny --keep 1 -y", "--dry-run", FIRST),
    ("checkpoints prune tiny --keep 9 -y", "--keep 1", f"!{FIRST}"),
    ("checkpoints export tiny", "--output gift.safetensors", "file gift.safetensors"),
    ("checkpoints export tiny -o gift", "--format html", "open ./gift in a browser"),
    ("checkpoints export tiny -o gift.html", "--weights f32", "(896 B of weights)"),
    ("checkpoints export tiny --format html -o -", "--prime gag", '"prime":"gag"'),
    ("checkpoints export tiny --format html -o -", "--title Gift", "<title>Gift</title>"),
    ("checkpoints export tiny -o gift", "--list", ".html\t"),
    ("checkpoints report tiny", "--output gift.html", "file gift.html"),
    ("checkpoints report tiny -o -", "--prime gag", '<span class="prime">gag</span>'),
    ("checkpoints report tiny -o -", "--seed 7", "prime and seed (7)"),
    ("checkpoints report tiny -o -", "--length 7", f'dir="auto">{REPORTED}</div>'),
    ("checkpoints compare tiny other", "--csv", "tiny,3,"),
    ("checkpoints compare tiny other", "--json", '"pairs": []'),
    ("checkpoints import step.safetensors", "--run gift", "gift@200"),
]


def prepare(directory: Path) -> None:
    """Make two runs and a few texts."""
    directory.mkdir()
    registry = Registry(directory / "home" / "runs")
    for step, val_loss in ((100, 2.0), (200, 1.0), (300, 1.5)):
        save(make_checkpoint(step=step, val_loss=val_loss, seed=step), registry)
    save(make_checkpoint(run="other", step=50), registry)
    rows = [
        Evaluated(
            step=step,
            epoch=0.1 * step,
            train_loss=2.0,
            val_loss=3 / step,
            best=True,
            seconds=1.0,
        )
        for step in (1, 2, 3)
    ]
    list(record(rows, registry.run("tiny")))
    texts = {
        "text.txt": b"head bad cab\nface\n" * 20,
        "gaffe.txt": b"head bad cab\nface\n" * 20,
        "latin.txt": b"ni\xf1o " * 20,
        "crlf.txt": b"cab\r\n" * 20,
        "ligature.txt": "ﬁn ab".encode() * 20,
        "prime.txt": b"gagfed",
        "old.svg": b"<svg/>",
        "accent.txt": b"b\xe9d",
        "wide.txt": "ａｂ".encode(),
        "table.csv": b"name,n\nbad,7\ndad,8\n",
        "odd.txt": b"\x01bad" * 9,
        "folder/a.md": b"abc" * 9,
        "twins/a.md": b"abc" * 9,
        "twins/b.md": b"abc" * 9,
        "folder/b.txt": b"bad" * 9,
    }
    (directory / "folder").mkdir()
    (directory / "twins").mkdir()
    for name, content in texts.items():
        (directory / name).write_bytes(content)
    encode_text([directory / "text.txt"], directory / "encoded.safetensors", TextOptions())
    save_checkpoint(directory / "items.safetensors", ITEM_MODEL)
    save_checkpoint(directory / "files.safetensors", make_item_checkpoint("files", scale=1.0))
    checkpoint = registry.run("tiny").step_path(200).read_bytes()
    (directory / "step.safetensors").write_bytes(checkpoint)


def outcome(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, directory: Path, words: list[str]
) -> str:
    """Run a command in a prepared directory of its own; return what came out."""
    prepare(directory)
    given = set(directory.iterdir())
    monkeypatch.chdir(directory)
    monkeypatch.setenv("CHARRNN_HOME", str(directory / "home"))
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("charrnn_cli.cli.process.available_cores", lambda: 8)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"gag\n")))
    code, out, err = inside(*words)
    files = [path for path in sorted(directory.rglob("*")) if path not in given]
    listed = [f"file {path.relative_to(directory)}" for path in files]
    threads = f"{os.environ['OPENBLAS_NUM_THREADS']} threads"
    return "\n".join([f"exit {code}", out, err, threads, *listed])


@pytest.mark.parametrize(("command", "option", "effect"), EFFECTS)
def test_an_option_has_an_effect(
    inside: Inside,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    option: str,
    effect: str,
) -> None:
    """The outcome has the effect with the option, and does not have it without."""
    words, extra = command.split(), option.split(" ")
    before = option in ("--debug", "--version") or not words
    typed = [*extra, *words] if before else [*words, *extra]
    plain = outcome(inside, monkeypatch, tmp_path / "without", words)
    changed = outcome(inside, monkeypatch, tmp_path / "with", typed)
    if effect.startswith("!"):
        plain, changed, effect = changed, plain, effect[1:]
    assert effect in changed
    assert effect not in plain


def test_every_option_is_in_the_table() -> None:
    """The table has every option of every command but those of `train`, which have own modules."""
    options = {
        (" ".join(words), max((*parameter.opts, *parameter.secondary_opts), key=len))
        for words, command in TREE
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name != "help"
        if words not in (("train",), ("checkpoints", "ls"))
    }
    of_train = {("tune", option) for option in options_of("train")}
    options -= of_train - {("tune", "--resume")}
    names = sorted((" ".join(words) for words, _ in TREE), key=len, reverse=True)
    tested = set()
    for command, option, _ in EFFECTS:
        words = next(name for name in names if command.startswith(name))
        tested.add(("" if option == "--debug" else words, option.split(" ")[0]))
    assert tested == options
