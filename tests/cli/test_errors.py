"""Errors: one clear line, a hint, the right exit code, no traceback.

`WRITE_ERRORS=1 python -m pytest -n 0 tests/cli/test_errors.py` writes the page of all errors anew.
"""

import os
import platform
import re
import sys
from pathlib import Path

import pytest

from tests.helpers import Inside

BAD_TEXTS = {
    "empty.txt": b"",
    "two.txt": b"ab",
    "latin.txt": b"ni\xf1o " * 100,
    "binary.bin": bytes(range(256)) * 10,
}


@pytest.fixture
def texts(tmp_path: Path, story: Path) -> Path:
    for name, content in BAD_TEXTS.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    return tmp_path


# A wrong command line, and a word that its error must contain.
WRONG = [
    ("train missing.txt", "missing.txt"),
    ("train folder", "folder"),
    ("train empty.txt", "empty.txt"),
    ("train two.txt", "2"),
    ("train latin.txt", "byte 2"),
    ("train binary.bin", "240 of its first 2,560 bytes"),
    ("train", "a text is required"),
    ("train story.txt --layers 0", "layers"),
    ("train story.txt --layers two", "two"),
    ("train story.txt --size -4", "size"),
    ("train story.txt --cell transformer", "transformer"),
    ("train story.txt --dropout 1", "dropout"),
    ("train story.txt --ngram few", "auto"),
    ("train story.txt --ngram 20", "at most 16"),
    ("train story.txt --ngram 21", "from 0 to 20"),
    ("train story.txt --dropout lots", "lots"),
    ("train story.txt --dropout 0.1 --keep-prob 0.9", "keep-prob"),
    ("train story.txt --max-time soon", "soon"),
    ("train story.txt --max-time 0s", "max time"),
    ("train story.txt --max-time 1:30", "1:30"),
    ("train story.txt --max-time 1h30", "1h30"),
    ("train story.txt --max-time 1e400", "max time"),
    ("train story.txt --clip inf", "clip must be a finite number"),
    ("train story.txt --seeds 0", "0"),
    ("train story.txt --seeds 2 --seed 1", "--seed"),
    ("train --resume tiny --seeds 2", "tiny-seed1"),
    ("train story.txt --patience 3 --val-fraction 0", "--patience"),
    ("train story.txt --eval-every 5 --preset notebook", "--eval-every"),
    ("train story.txt --val-split spread --val-fraction 0", "--val-split"),
    ("train story.txt --shuffle-documents", "--shuffle-documents"),
    ("train story.txt --lr nan", "learning rate"),
    ("train story.txt --epochs 0", "epochs"),
    ("train story.txt --preset deflaut", "deflaut"),
    ("train story.txt --val-fraction 2", "val fraction"),
    ("train story.txt --val-split middle", "middle"),
    ("train story.txt --encoding klingon", "klingon"),
    ("train story.txt --newlines maybe", "maybe"),
    ("train story.txt --run ../up", "../up"),
    ("train story.txt --run CON", "CON"),
    ("train story.txt --run tiny", "tiny"),
    ("train story.txt --device cuda:7", "cuda:7"),
    ("train story.txt --device toaster", "toaster"),
    ("train story.txt --precision fp8", "fp8"),
    ("train story.txt --seq-len 5000", "5,002"),
    ("train story.txt --seq-len 4000", "the training part of this text has 3,744"),
    ("train " + "x" * 300, "x" * 300),
    ("train story.txt --max-time 1s", "too short"),
    ("train story.txt --run best", "best"),
    ("train --resume tiny --preset notebook", "--preset"),
    ("train --resume tiny --dry-run", "--dry-run"),
    ("train --resume tiny --print-config", "--print-config"),
    ("train --resume nowhere", "nowhere"),
    ("train --resume tiny", "tiny"),
    ("train --resume tiny --run other", "--run"),
    ("train story.txt --lairs 2", "--lairs"),
    ("train story.txt --val-fractoin 2", "--val-fractoin"),
    ("train story.txt --val missing.txt", "missing.txt"),
    ("train story.txt --val story.txt --val-split tail", "--val-split"),
    ("train story.txt --val empty.txt", "empty.txt"),
    ("train story.txt --test latin.txt", "byte 2"),
    ("train story.txt --val story.txt --unknown extend", "--unknown extend"),
    ("train --resume tiny --val story.txt", "--val"),
    ("score tiny --split val", "tiny@200"),
    ("score tiny --split dev", "dev"),
    ("score tiny --split val --per-line", "--per-line"),
    ("demo --max-time soon", "soon"),
    ("demo --max-time 1:30", "1:30"),
    ("encode missing.txt", "missing.txt"),
    ("encode folder", "folder"),
    ("encode empty.txt", "empty.txt"),
    ("encode latin.txt", "byte 2"),
    ("encode", "TEXT or --decode FILE"),
    ("encode story.txt -o story.txt", "story.txt"),
    ("encode --decode missing.safetensors", "missing.safetensors"),
    ("encode --decode story.txt", "story.txt"),
    ("encode story.txt --decode story.txt", "TEXT or --decode FILE"),
    ("sample nowhere", "nowhere"),
    ("sample tinny", "tinny"),
    ("sample tiny@7", "7"),
    ("sample tiny@x", "x"),
    ("sample missing.safetensors", "missing.safetensors"),
    ("sample --prime Ω", "U+03A9"),
    ("sample --stop Ω", "U+03A9"),
    ("sample --stop É", "U+00C9"),
    ("sample story.txt", "story.txt"),
    ("sample -n -1", "length"),
    ("sample -n many", "many"),
    ("sample --temperature -1", "temperature"),
    ("sample --temperature inf", "temperature"),
    ("sample --top-k -1", "top-k"),
    ("sample --top-p 0", "top-p"),
    ("sample --min-p 2", "min-p"),
    ("sample --seed -1", "seed"),
    ("sample tiny nowhere", "nowhere"),
    ("sample tiny tinny", "tinny"),
    ("sample tiny Hello", "Hello"),
    ("sample tiny tiny@7", "7"),
    ("sample tiny --each 1", "--each"),
    ("sample tiny@100 --each 3", "tiny@100"),
    ("sample tiny.safetensors --each 3", "tiny.safetensors"),
    ("sample tiny@100 tiny --each 3", "2 references"),
    ("sample tiny@100 tiny@200 --interactive", "--interactive"),
    ("sample --temperature 0.5,1 --interactive", "--interactive"),
    ("sample tiny@100 tiny@200 --prime Ω", "tiny@100: "),
    ("sample tiny@100 tiny@200 --stop Ω", "tiny@100: "),
    ("sample CON", "CON"),
    ("sample ..", ".."),
    ("sample [red]", "[red]"),
    ("sample " + "a" * 300, "a" * 300),
    ("train story.txt --ema 1", "ema"),
    ("train story.txt --reset 2", "reset"),
    ("train story.txt --warmup -1", "warmup"),
    ("train story.txt --clip -1", "clip"),
    ("train story.txt --weight-decay 11", "weight decay"),
    ("train story.txt --schedule steep", "steep"),
    ("train story.txt --patience 0", "patience"),
    ("train story.txt --save-every 0", "save interval"),
    ("train story.txt --sample-every 0", "sample interval"),
    ("train story.txt --log-every 0", "log interval"),
    ("train story.txt --keep 0", "keep"),
    ("train story.txt --threads 0", "threads"),
    ("train story.txt --threads 5000", "threads must be at most"),
    ("train story.txt --batch-size 0", "batch size"),
    ("train story.txt --batch-size 100000", "batch size"),
    ("train story.txt --embed -1", "embed"),
    ("train story.txt --layers 65", "layers"),
    ("train story.txt --layers 0 --size 0", "layers must be from 1 to 64; got 0; size must be"),
    ("train story.txt --lr 0 --epochs 0", "epochs must be at least 1; got 0; learning rate"),
    ("train story.txt --seed 9999999999999999999999", "seed"),
    ("train story.txt --keep-prob 2", "keep prob"),
    ("train story.txt --min-count 0", "min count"),
    ("train story.txt --errors perhaps", "perhaps"),
    ("train story.txt --normalize nfz", "nfz"),
    ("train story.txt --unknown keep", "keep"),
    ("train story.txt --unknown skip", "--unknown"),
    ("train story.txt --init-from nowhere", "nowhere"),
    ("train story.txt --init-from tiny --layers 3", "layers 1, not 3"),
    ("train story.txt --init-from tiny", "the vocabulary lacks 8 characters"),
    ("train story.txt --config missing.toml", "missing.toml"),
    ("train --config story.txt", "not valid TOML"),
    ("train story.txt --sample-prime Ω --sample-every 1", "U+03A9"),
    ("train --resume tiny --init-from tiny", "--init-from"),
    ("train --resume tiny@9", "tiny"),
    ("train folder --include *.txt", "*.txt"),
    ("train story.txt missing.txt", "missing.txt"),
    ("train /dev/zero", "/dev/zero"),
    ("encode story.txt --vocab nowhere", "nowhere"),
    ("encode story.txt --vocab tiny", "the vocabulary lacks 8 characters"),
    ("encode story.txt --unknown skip", "--unknown"),
    ("encode story.txt --unknown keep", "keep"),
    ("encode story.txt --min-count 0", "min count"),
    ("encode story.txt --min-count 2 --vocab tiny", "--min-count"),
    ("sample --count 0", "0"),
    ("sample --threads 0", "threads"),
    ("sample --threads 1025", "1025"),
    ("sample --unknown maybe", "maybe"),
    ("sample --prime a --prime-file story.txt", "--prime"),
    ("sample --prime-file missing.txt", "missing.txt"),
    ("sample --prime-file latin.txt", "byte 2"),
    ("sample --check-copy missing.txt", "missing.txt"),
    ("sample --color", "--color"),
    ("sample --interactive --stats", "--stats"),
    ("sample --interactive --count 3", "--interactive"),
    ("sample --temperature warm", "warm"),
    ("sample --temperature 0.5,,1", "0.5,,1"),
    ("sample --temperature 1,", "1,"),
    ("sample --temperature 0.5;1", "0.5;1"),
    ("sample --temperature 0.5,nan", "nan"),
    ("sample --temperature 0.5,-1", "-1"),
    ("sample --temperature 0.5,1,0.50", "0.5 is given twice"),
    ("score", "REF"),
    ("score tiny", "a text"),
    ("score nowhere story.txt", "nowhere"),
    ("score tiny missing.txt", "missing.txt"),
    ("score tiny story.txt", "the model's vocabulary lacks"),
    ("inspect tiny", "TEXT"),
    ("inspect nowhere story.txt", "nowhere"),
    ("inspect tiny missing.txt", "missing.txt"),
    ("inspect tiny story.txt", "the model's vocabulary lacks"),
    ("inspect tiny story.txt --characters 1", "--characters"),
    ("inspect tiny story.txt --feature digits", "'digits'"),
    ("inspect tiny story.txt --feature a=x --feature a=y", "'a'"),
    ("inspect tiny story.txt --unknown drop", "drop"),
    ("inspect tiny story.txt --cells 3", "requires --output"),
    ("inspect tiny story.txt -o - --force", "requires --output"),
    ("inspect tiny story.txt -o look.txt", "'.txt'"),
    ("inspect tiny story.txt -o look", "no suffix"),
    ("inspect tiny story.txt -o look.svg --cells 3", ".svg"),
    ("inspect tiny story.txt -o look.html --cells few", "'few'"),
    ("inspect tiny story.txt -o look.html --cell 3", "'3'"),
    ("checkpoints show nowhere", "nowhere"),
    ("checkpoints show tiny --plot losses.gif", "losses.gif"),
    ("checkpoints show tiny --plot losses.svg", "no losses"),
    ("checkpoints show -rf", "-r"),
    ("checkpoints rm ..@1 --yes", ".."),
    ("checkpoints rm con --yes", "con"),
    ("checkpoints rm tiny@7 --yes", "7"),
    ("checkpoints rm --yes", "REF"),
    ("checkpoints prune tiny", "--keep"),
    ("checkpoints prune nowhere --keep 1", "nowhere"),
    ("checkpoints export tiny", "--output"),
    ("checkpoints report tiny", "--output"),
    ("checkpoints report nowhere -o run.html", "nowhere"),
    ("checkpoints report tiny -o run.txt", "run.txt"),
    ("checkpoints report tiny@100 -o run.html", "tiny@100"),
    ("checkpoints report tiny -o run.html --prime Ω", "U+03A9"),
    ("checkpoints report tiny -o run.html -n 0", "0"),
    ("tune", "a text is required"),
    ("tune story.txt", "requires a budget of time"),
    ("tune story.txt --budget 0s", "at least 15 s"),
    ("tune story.txt --budget soon", "soon"),
    ("tune story.txt --trials 3", "--max-steps"),
    ("tune story.txt --budget 1h --max-time 1m", "--max-time"),
    ("tune story.txt --budget 1h --set sise=3", "sise"),
    ("tune story.txt --budget 1h --set size=big", "size=big"),
    ("tune story.txt --budget 1h --set size=256,512 --size 256", "fixed and searched"),
    ("tune story.txt --budget 1h --name Up", "Up"),
    ("tune --resume nowhere", "nowhere"),
    ("tune --join nowhere --budget 1h", "--budget"),
    ("tune story.txt --resume nowhere", "TEXT"),
    ("checkpoints compare tiny", "two different runs"),
    ("checkpoints compare tiny nowhere", "nowhere"),
    ("checkpoints compare tiny tiny@100", "tiny@100"),
    ("checkpoints import missing.safetensors", "missing.safetensors"),
    ("checkpoints import x --run ../x", "../x"),
    ("checkpoints verify nowhere", "nowhere"),
    ("checkpoints path tiny@9", "9"),
    ("checkpoints list nowhere", "nowhere"),
    ("checkpoints list --sort beauty", "beauty"),
    ("checkpoints list --limit 0", "0"),
    ("checkpoints list --csv -q", "--quiet"),
    ("checkpoints list --columns beauty", "beauty"),
    ("checkpoints lst", "lst"),
    ("smaple", "smaple"),
    ("list", "list"),
    ("--colour", "--colour"),
]
REFUSED_FILES = ("encode --decode story.txt", "encode story.txt -o story.txt")
MEASURED = r"(took|take|at least --max-time) [\d.]+ ?s\b"
PAGE = Path(__file__).parent / "errors.txt"


def page() -> dict[str, str]:
    """What stderr shows for each command line, from the page of all errors."""
    parts = PAGE.read_text("utf-8").split("$ charrnn ")[1:] if PAGE.exists() else []
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1].removesuffix("\n") for part in parts}


@pytest.mark.usefixtures("tiny_run", "texts")
@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_wrong_command_lines(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: str, named: str
) -> None:
    """A wrong command line exits with 2, writes nothing to stdout, and shows the page's error."""
    if "--device" in arguments:  # the error lists the machine's devices
        monkeypatch.setattr("charrnn_cli.training.device.available_devices", lambda: ["cpu"])
    if "train story.txt --threads" in arguments:  # the error has the machine's number of cores
        monkeypatch.setattr("charrnn_cli.training.checks.available_cores", lambda: 8)
    code, out, err = inside(*arguments.split())
    shown = re.sub(MEASURED, r"\1 SECONDS", err.replace(str(tmp_path), "DIRECTORY"))
    shown = re.sub(r"^[\d-]+T[\d:]+Z  ", "TIME  ", shown, flags=re.M)
    if os.environ.get("WRITE_ERRORS"):  # read the difference before you commit it
        texts = {**page(), arguments: shown}
        written = (f"$ charrnn {known}\n{texts[known]}\n" for known, _ in WRONG if known in texts)
        PAGE.write_text("".join(written), "utf-8")
    assert out == ""
    assert code == (1 if arguments in REFUSED_FILES else 2)
    lines = err.splitlines()
    assert len(lines) <= 12
    examples = [line for line in lines if line.startswith("      --")]
    error, hint = lines[: len(lines) - len(examples)][-2:]
    assert len(examples) <= 3
    assert error.startswith("error: ")
    assert named in error
    assert hint.startswith("hint: ")
    assert shown == page()[arguments]


@pytest.mark.usefixtures("texts")
def test_a_wrong_run_leaves_nothing_behind(inside: Inside, home: Path) -> None:
    """A refused run leaves neither an empty run nor a partial corpus."""
    for arguments in (
        "two.txt",
        "story.txt --seq-len 5000",
        "story.txt --device toaster",
        "latin.txt",
    ):
        assert inside("train", *arguments.split()).returncode == 2
    assert not list((home / "runs").glob("*")) if (home / "runs").exists() else True
    assert all(path.suffix in (".safetensors", ".json") for path in (home / "corpora").iterdir())


def test_control_characters_in_names_are_escaped(inside: Inside) -> None:
    """Control characters in a name are shown as escapes, and brackets are not markup."""
    for name in ("\x1b[31mred.txt", "[red]x[/red].txt", "a\u202eb.txt", "[/x]"):
        result = inside("train", name)
        assert result.returncode == 2
        assert not set(result.stderr) & {"\x1b", "\u202e"}
        assert "Traceback" not in result.stderr
    assert "[red]x[/red].txt" in inside("train", "[red]x[/red].txt").stderr


def test_debug_shows_the_traceback(inside: Inside) -> None:
    """--debug adds a traceback to the error; after the command it is refused with a hint."""
    result = inside("--debug", "sample", "nowhere")
    assert "Traceback" in result.stderr
    assert "error: no run named 'nowhere'" in result.stderr
    assert result.returncode == 2
    assert "charrnn --debug sample" in inside("sample", "--debug", "nowhere").stderr


@pytest.mark.parametrize("group", [(), ("checkpoints",)])
def test_help_where_no_command_is_typed(inside: Inside, group: tuple[str, ...]) -> None:
    """Without a command, the help goes to stderr, in plain lines in a pipe."""
    result = inside(*group)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: charrnn")
    assert "\nCommands:\n" in result.stderr


def test_version(inside: Inside) -> None:
    """--version prints the program and its version."""
    from charrnn_cli.version import __version__

    assert inside("--version").stdout == f"charrnn {__version__}\n"


def test_the_unexpected_is_a_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    """A bug exits with 1 and names a log file; --debug shows the traceback instead."""
    from charrnn_cli.cli.main import main

    def broken() -> str:
        raise RuntimeError("the machine is [red]odd[/red]\x1b")

    monkeypatch.setattr(platform, "platform", broken)
    monkeypatch.setattr(sys, "argv", ["charrnn", "doctor"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    (log,) = (home / "logs").iterdir()
    shown = capsys.readouterr().err.split("\n", 1)[1]
    assert shown == (
        "error: internal error: RuntimeError: the machine is [red]odd[/red]\\x1b\n"
        f"hint: report this problem and attach {log}\n"
    )
    assert "RuntimeError, most recent call last:" in log.read_text()
    assert "charrnn doctor" not in shown
    monkeypatch.setattr(sys, "argv", ["charrnn", "--debug", "doctor"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert capsys.readouterr().err.endswith("RuntimeError: the machine is [red]odd[/red]\\x1b\n")
