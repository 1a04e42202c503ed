"""`charrnn sample`, as a user sees it."""

import json
import re
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from charrnn_cli.config import ModelConfig
from tests.conftest import Charrnn, make_checkpoint, save
from tests.terminal import Terminal

pytestmark = pytest.mark.usefixtures("tiny_run")


def test_stdout_is_the_text(charrnn: Charrnn) -> None:
    """The prime and exactly n characters, no newline added; how it was drawn is on stderr."""
    result = charrnn("sample", "--prime", "abc", "-n", "200", "--seed", "7")
    assert result.returncode == 0
    assert result.stdout.startswith("abc")
    assert len(result.stdout) == 203
    assert result.stderr == "sample  tiny@200, temperature 1, top-k 5, seed 7\n"


def test_a_printed_seed_draws_it_again(charrnn: Charrnn) -> None:
    first = charrnn("sample", "-n", "100")
    seed = first.stderr.split()[-1]
    assert charrnn("sample", "-n", "100", "--seed", seed).stdout == first.stdout
    assert charrnn("sample", "-n", "100", env={"CHARRNN_SEED": seed}).stdout == first.stdout


def test_options_change_the_text(charrnn: Charrnn) -> None:
    """Each of them."""
    base = ("sample", "-n", "300", "--seed", "1")
    plain = charrnn(*base).stdout
    for option in (
        ("tiny@100",),
        ("--prime", "abcd"),
        ("--temperature", "0.3"),
        ("--top-k", "1"),
        ("--top-p", "0.2"),
        ("--min-p", "0.9"),
        ("--seed", "2"),
        ("-n", "299"),
    ):
        assert charrnn(*base, *option).stdout != plain, option
    assert (
        charrnn(*base, "--prime", "ab", "--no-echo").stdout
        == charrnn(*base, "--prime", "ab").stdout[2:]
    )
    assert charrnn(*base, "-q").stderr == ""


def test_utf8_whatever_the_locale(charrnn: Charrnn) -> None:
    """A pipe gets exact UTF-8."""
    save(
        make_checkpoint(
            ModelConfig(vocabulary_size=3, layers=1, size=4, embed=0), characters="漢é😀", run="cjk"
        )
    )
    result = charrnn(
        "sample",
        "cjk",
        "-n",
        "30",
        env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert result.returncode == 0
    assert len(result.stdout) == 30
    assert set(result.stdout) <= set("漢é😀")


def test_a_reader_that_leaves_is_no_error(home: Path) -> None:
    """`| head -c 10` ends with 141, quietly."""
    command = f"{sys.executable} -m charrnn_cli sample -q -n 1000000 | head -c 10; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert result.returncode == 141
    assert result.stderr == b""
    assert len(result.stdout) == 10


def test_a_full_disk_is_one_line(home: Path) -> None:
    command = f"{sys.executable} -m charrnn_cli sample -q > /dev/full"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert result.stderr == "error: cannot write to standard output: No space left on device\n"


def test_several_samples(charrnn: Charrnn) -> None:
    """Apart by a line; the first is what a single one would be; more than a batch of them as well."""
    result = charrnn("sample", "-n", "20", "--seed", "4", "--count", "3", "--prime", "ab")
    samples = result.stdout.split("---\n")
    assert len(samples) == 3
    assert [len(sample.removesuffix("\n")) for sample in samples] in (
        [22, 22, 22],
        [21, 22, 22],
        [22, 21, 22],
    )
    assert all(sample.startswith("ab") for sample in samples)
    assert len(set(samples)) == 3
    many = charrnn("sample", "-n", "5", "--count", "130", "--json", "--seed", "4")
    assert [json.loads(line)["sample"] for line in many.stdout.splitlines()] == list(range(130))


def test_json_says_all_that_draws_it_again(charrnn: Charrnn) -> None:
    result = charrnn(
        "sample", "-n", "50", "--json", "--temperature", "0.5", "--prime", "ab", "--stop", "zzz"
    )
    row = json.loads(result.stdout)
    assert len(row["text"]) == len(row["log_probabilities"]) == 50
    assert all(score <= 0 for score in row["log_probabilities"])
    assert (row["checkpoint"], row["prime"], row["sample"], row["stopped"]) == (
        "tiny@200",
        "ab",
        0,
        False,
    )
    assert row["settings"] == {
        "length": 50,
        "temperature": 0.5,
        "top_k": 5,
        "top_p": 1.0,
        "min_p": 0.0,
        "stop": ["zzz"],
    }
    again = charrnn(
        "sample",
        "-n",
        "50",
        "--temperature",
        "0.5",
        "--no-echo",
        "--prime",
        "ab",
        "--seed",
        row["seed"],
    )
    assert again.stdout == row["text"]


def test_stop_strings_end_the_text(charrnn: Charrnn) -> None:
    """Before the first that comes, wherever it falls."""
    base = ("sample", "-n", "300", "--seed", "1", "--no-echo")
    plain = charrnn(*base).stdout
    stops = (plain[40:43], plain[100:105])
    ended = charrnn(*base, "--stop", stops[0], "--stop", stops[1]).stdout
    assert ended == plain[: min(plain.index(stop) for stop in stops)]
    assert json.loads(charrnn(*base, "--stop", stops[0], "--json").stdout)["stopped"]


def test_a_prime_from_a_file(charrnn: Charrnn, tmp_path: Path) -> None:
    (tmp_path / "prime.txt").write_bytes(b"abc\r\ndef")
    base = ("sample", "-n", "30", "--seed", "1")
    expected = charrnn(*base, "--prime", "abc\ndef").stdout
    assert charrnn(*base, "--prime-file", "prime.txt").stdout == expected
    assert charrnn(*base, "--prime-file", "-", stdin="abc\ndef").stdout == expected
    assert charrnn(*base, "--prime-file", "missing.txt").returncode == 2
    (tmp_path / "wide.txt").write_bytes("abc\ndef".encode("utf-16-le"))
    assert charrnn(*base, "--prime-file", "wide.txt", "--encoding", "utf-16-le").stdout == expected
    assert charrnn(*base, "--prime-file", "prime.txt", "--prime", "a").returncode == 2


def test_unknown_characters(charrnn: Charrnn) -> None:
    """An error that names them and what is like them, or left out, or replaced."""
    base = ("sample", "-n", "30", "--seed", "1", "--prime", "aÉ漢b")
    result = charrnn(*base)
    assert result.returncode == 2
    assert "'É' (U+00C9) at position 2" in result.stderr
    assert "'漢' (U+6F22) at position 3" in result.stderr
    assert charrnn(*base, "--unknown", "skip").stdout.startswith("ab")
    assert charrnn(*base, "--unknown", "sometimes").returncode == 2
    curly = charrnn("sample", "--prime", "aÉ")
    assert "use --unknown closest to write 'e' for 'É'" in curly.stderr
    assert charrnn("sample", "--prime", "aÉ", "--unknown", "closest").stdout.startswith("ae")


def test_a_file_of_samples(charrnn: Charrnn, tmp_path: Path) -> None:
    """The same bytes as standard output; an existing file stays."""
    base = ("sample", "-n", "30", "--seed", "1", "--count", "2")
    result = charrnn(*base, "-o", "out.txt")
    assert (result.returncode, result.stdout) == (0, "")
    assert (tmp_path / "out.txt").read_text() == charrnn(*base).stdout
    assert charrnn(*base, "-o", "out.txt").returncode == 1


def test_stats_and_copies_are_told(charrnn: Charrnn, tmp_path: Path) -> None:
    """On standard error; a text that the sample was taken from is found in full."""
    base = ("sample", "-n", "400", "--seed", "1", "--no-echo")
    text = charrnn(*base).stdout
    (tmp_path / "source.txt").write_text("before " + text + " after")
    result = charrnn(*base, "--stats", "--check-copy", "source.txt")
    assert result.stdout == text
    assert "stats   400 characters in" in result.stderr
    assert "bits a character under the model" in result.stderr
    assert "copied  100.0% in spans of 30 or more characters" in result.stderr
    assert "longest 400 characters at character 7 of source" in result.stderr
    assert charrnn(*base, "--check-copy", "missing.txt").returncode == 2
    (tmp_path / "latin.txt").write_bytes(b"\xe9" * 9)
    refused = charrnn(*base, "--check-copy", "latin.txt")  # before anything is drawn
    assert (refused.returncode, refused.stdout, "--encoding" in refused.stderr) == (2, "", True)
    assert "copied" in charrnn(*base, "--check-copy", "latin.txt", "--encoding", "latin-1").stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--json", "--color"),
        ("--color",),
        ("--interactive", "--json"),
        ("--interactive", "--count", "2"),
        ("--interactive", "-o", "x"),
        ("--interactive", "--stats"),
        ("--interactive", "--check-copy", "x"),
        ("--count", "0"),
        ("--temperature", "nan"),
        ("-n", "-1"),
    ],
)
def test_contradictions(charrnn: Charrnn, options: tuple[str, ...]) -> None:
    result = charrnn("sample", *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")


def test_a_conversation_in_a_pipe(charrnn: Charrnn) -> None:
    """Each line is read and gone on from; the model remembers what was before, so the second answer differs."""
    base = ("sample", "--interactive", "-n", "20", "--seed", "1", "-q", "--temperature", "0")
    result = charrnn(*base, stdin="abc\nabc\n")
    assert result.returncode == 0
    answers = [line for line in result.stdout.split("\n") if line]
    assert "".join(answers)
    bad = charrnn(*base, stdin="abΩ\nabc\n")
    assert bad.returncode == 0
    assert "'Ω'" in bad.stderr
    assert charrnn(*base, stdin="abc\n").stdout == bad.stdout
    assert result.stdout.startswith(bad.stdout)


def test_memory_does_not_grow_with_the_text(home: Path) -> None:
    """200,000 characters within 5 MB of 1,000."""
    peaks = []
    for length in ("1000", "200000"):
        script = (
            "import resource, sys\nfrom charrnn_cli.cli.main import main\n"
            f"sys.argv = ['charrnn', 'sample', '-q', '-n', '{length}', '--top-k', '0']\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, timeout=120, check=True
        )
        assert len(result.stdout) >= int(length)
        peaks.append(int(result.stderr))
    assert peaks[1] - peaks[0] < 5_000  # kB


# ---- on a terminal


def test_a_conversation_on_a_terminal(home: Path) -> None:
    """Ctrl-C stops a text and not the program, a line goes on from it, Ctrl-D leaves with 0."""
    with Terminal("sample", "--interactive", "-n", "100000000", "--seed", "1") as terminal:
        end = terminal.wait_for("> ")
        terminal.type("abc\n")
        terminal.wait_for("abc", end)
        end = len(terminal.written) + 100
        while len(terminal.written) < end:
            terminal.wait_for("", len(terminal.written) + 1)
        terminal.type("\x03")
        terminal.wait_for("> ", end)
        time.sleep(0.5)  # until the line editor waits
        end = len(terminal.written)
        terminal.type("\x03")
        terminal.wait_for("> ", end)
        terminal.type("\x04")
        assert terminal.wait() == 0


def test_surprise_is_a_colour(home: Path) -> None:
    """The text between the colours is the text; nothing is coloured without the option."""
    text = subprocess.run(
        [sys.executable, "-m", "charrnn_cli", "sample", "-q", "-n", "80", "--seed", "1"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    for options, colours in (((), 0), (("--color",), len(text) - text.count("\n"))):
        with Terminal("sample", "-q", "-n", "80", "--seed", "1", *options) as terminal:
            assert terminal.wait() == 0
        shown = terminal.written.decode().replace("\r\n", "\n")
        assert shown.count("\x1b[38;5;") == colours
        assert re.sub(r"\x1b\[[0-9;]*m", "", shown).removesuffix("\n") == text.removesuffix("\n")


HOSTILE = "".join(map(chr, range(256))) + "\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u2028"


def test_hostile_characters_are_visible_on_a_terminal_and_exact_in_a_pipe(home: Path) -> None:
    """Every byte from 0x00 to 0xff, and so OSC 52 and C1, and bidi overrides: none reaches the terminal as it is."""
    config = ModelConfig(vocabulary_size=len(HOSTILE), layers=1, size=4, embed=3)
    save(make_checkpoint(config, characters=HOSTILE, run="hostile", scale=0.01))
    arguments = [
        "sample",
        "hostile",
        "-q",
        "-n",
        "20000",
        "--top-k",
        "0",
        "--seed",
        "1",
        "--prime",
        "a",
    ]
    command = [sys.executable, "-m", "charrnn_cli", *arguments]
    piped = subprocess.run(command, capture_output=True, timeout=60, check=True)
    text = piped.stdout.decode()
    assert len(text) == 20_001
    assert set(text) == set(HOSTILE)
    for options in ((), ("--color",)):
        with Terminal(*arguments, *options) as terminal:
            assert terminal.wait() == 0
        shown = re.sub(r"\x1b\[(38;5;\d+|0)m", "", terminal.written.decode())
        assert not {
            character for character in shown if unicodedata.category(character) == "Cc"
        } - set("\r\n\t")
        assert not set(shown) & set(HOSTILE[256:])
        assert shown.count("\r") == shown.count("\n")


def test_the_first_character_does_not_wait_for_the_last(home: Path) -> None:
    """Text arrives as it is drawn, also in a pipe."""
    command = [sys.executable, "-m", "charrnn_cli", "sample", "-q", "-n", "100000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(100)
        process.kill()
