"""`charrnn sample`: what a user types and sees."""

import gzip
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from charrnn_cli.architecture import ModelConfig
from tests.helpers import TIMEOUT, Charrnn, Inside, make_checkpoint, save
from tests.processes import running
from tests.terminal import Terminal

pytestmark = pytest.mark.usefixtures("tiny_run")


def test_stdout_is_the_text(inside: Inside) -> None:
    """Standard output is the prime, exactly n characters, and the end of the line."""
    result = inside("sample", "--prime", "abc", "-n", "200", "--seed", "7")
    assert result.returncode == 0
    assert result.stdout.startswith("abc")
    assert len(result.stdout.removesuffix("\n")) in (202, 203)  # the last may be a line end
    assert result.stdout.endswith("\n")
    assert result.stderr == "sample  tiny@200, temperature 1, top-k 5, seed 7\n"


def test_a_printed_seed_draws_it_again(inside: Inside) -> None:
    """The seed on standard error draws the same text, as an option or from the environment."""
    first = inside("sample", "-n", "100")
    seed = first.stderr.split()[-1]
    assert inside("sample", "-n", "100", "--seed", seed).stdout == first.stdout
    assert inside("sample", "-n", "100", env={"CHARRNN_SEED": seed}).stdout == first.stdout


def test_options_change_the_text(inside: Inside) -> None:
    """Every option that decides the text changes it; --no-echo and -q only leave things out."""
    base = ("sample", "-n", "300", "--seed", "1")
    plain = inside(*base).stdout
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
        assert inside(*base, *option).stdout != plain, option
    assert (
        inside(*base, "--prime", "ab", "--no-echo").stdout
        == inside(*base, "--prime", "ab").stdout[2:]
    )
    assert inside(*base, "-q").stderr == ""


def test_utf8_whatever_the_locale(inside: Inside) -> None:
    """A pipe gets exact UTF-8, whatever the locale and Python's settings."""
    save(
        make_checkpoint(
            ModelConfig(vocabulary_size=3, layers=1, size=4, embed=0), characters="漢é😀", run="cjk"
        )
    )
    result = inside(
        "sample",
        "cjk",
        "-n",
        "30",
        env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert result.returncode == 0
    assert len(result.stdout) == 31
    assert set(result.stdout) <= set("漢é😀\n")


def test_a_reader_that_leaves_is_not_reported(home: Path) -> None:
    """A pipe that its reader closes ends the program with code 141 and no message."""
    sample = f"{sys.executable} -m charrnn_cli sample -q -n 1000000"
    command = f"{sample} | head -c 10; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, timeout=TIMEOUT, check=False
    )
    assert result.returncode == 141
    assert result.stderr == b""
    assert len(result.stdout) == 10


def test_a_full_disk_is_one_line(home: Path) -> None:
    """A write that fails ends the program with one line and code 1."""
    command = f"{sys.executable} -m charrnn_cli sample -q > /dev/full"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert result.returncode == 1
    assert result.stderr == "error: cannot write to standard output: No space left on device\n"


def test_several_samples(inside: Inside) -> None:
    """Samples differ, are separated by a line and come in order, also in several batches."""
    result = inside("sample", "-n", "20", "--seed", "4", "--count", "3", "--prime", "ab")
    samples = result.stdout.split("---\n")
    assert len(samples) == 3
    assert [len(sample.removesuffix("\n")) for sample in samples] in (
        [22, 22, 22],
        [21, 22, 22],
        [22, 21, 22],
    )
    assert all(sample.startswith("ab") for sample in samples)
    assert len(set(samples)) == 3
    many = inside("sample", "-n", "5", "--count", "130", "--json", "--seed", "4")
    assert [json.loads(line)["sample"] for line in many.stdout.splitlines()] == list(range(130))


def test_json_is_enough_to_draw_again(inside: Inside) -> None:
    """The object of a sample has its text, log-probabilities, and all settings to draw it again."""
    result = inside(
        "sample", "-n", "50", "--json", "--temperature", "0.5", "--prime", "ab", "--stop", "hahaha"
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
        "stop": ["hahaha"],
    }
    again = inside(
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
    assert again.stdout == row["text"].removesuffix("\n") + "\n"


def test_stop_strings_end_the_text(inside: Inside) -> None:
    """Text ends before the stop string that occurs first."""
    base = ("sample", "-n", "300", "--seed", "1", "--no-echo")
    plain = inside(*base).stdout
    stops = (plain[40:43], plain[100:105])
    ended = inside(*base, "--stop", stops[0], "--stop", stops[1]).stdout
    assert ended == plain[: min(plain.index(stop) for stop in stops)].removesuffix("\n") + "\n"
    assert json.loads(inside(*base, "--stop", stops[0], "--json").stdout)["stopped"]


def test_a_stop_string_that_cannot_occur(inside: Inside) -> None:
    """Unknown characters of a stop string are named, and --unknown closest replaces them."""
    base = ("sample", "-n", "100", "--seed", "1", "--no-echo", "-q", "--stop")
    assert inside(*base, "aΩ", "--unknown", "skip") == (
        2,
        "",
        (
            "error: the stop string 'aΩ' can never occur: the vocabulary lacks 'Ω' (U+03A9)\n"
            "hint: leave out --stop 'aΩ'\n"
        ),
    )
    assert inside(*base, "É") == (
        2,
        "",
        (
            "error: the stop string 'É' can never occur: the vocabulary lacks 'É' (U+00C9)\n"
            "hint: with --unknown closest, 'É' becomes 'e'\n"
        ),
    )
    replaced = inside(*base, "É", "--unknown", "closest")
    assert replaced[0] == 0
    assert replaced == inside(*base, "e")


def test_a_hint_for_characters_without_a_likeness(inside: Inside) -> None:
    """--unknown closest is proposed only where it replaces all unknown characters."""
    assert inside("sample", "--prime", "ÉΩ") == (
        2,
        "",
        (
            "error: the vocabulary lacks 'É' (U+00C9) at position 1, 'Ω' (U+03A9) at position 2\n"
            "hint: use only its 10 characters, or leave others out with --unknown skip\n"
        ),
    )
    err = inside("sample", "--prime", "e\u0301")[2]
    assert err.endswith(
        "hint: use only its 10 characters, or leave others out with --unknown skip\n"
    )


@pytest.mark.parametrize("source", ["prime.txt", "-"])
@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b"abc\r\ndef", ()),
        (b"\xef\xbb\xbfabc\rdef", ()),
        ("abc\ndef".encode("utf-16"), ()),
        ("abc\ndef".encode("utf-16-le"), ("--encoding", "utf-16-le")),
        (gzip.compress(b"abc\ndef"), ()),
    ],
    ids=["crlf", "mark and cr", "utf-16", "encoding", "gzip"],
)
def test_a_prime_from_a_file(
    home: Path, tmp_path: Path, source: str, data: bytes, options: tuple[str, ...]
) -> None:
    """A prime is decoded as texts are, from a file as from standard input."""
    (tmp_path / "prime.txt").write_bytes(data)
    command = [sys.executable, "-m", "charrnn_cli", "sample", "-q", "-n", "0"]
    result = subprocess.run(
        [*command, "--prime-file", source, *options],
        input=data,
        capture_output=True,
        cwd=tmp_path,
        timeout=TIMEOUT,
        check=True,
    )
    assert result.stdout == b"abc\ndef\n"


@pytest.mark.parametrize("source", ["prime.txt", "-"])
def test_a_prime_that_cannot_be_decoded(home: Path, tmp_path: Path, source: str) -> None:
    """The error names the source, the byte and the line, and suggests an encoding."""
    (tmp_path / "prime.txt").write_bytes(b"abc\ncaf\xe9")
    result = subprocess.run(
        [sys.executable, "-m", "charrnn_cli", "sample", "--prime-file", source],
        input=b"abc\ncaf\xe9",
        capture_output=True,
        cwd=tmp_path,
        timeout=TIMEOUT,
        check=False,
    )
    name = "standard input" if source == "-" else source
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode() == (
        f"error: {name} is not valid utf-8: 0xe9 at byte 7 (line 2)\n"
        "hint: add the option that makes this line readable:\n"
        "      --encoding cp1252      café\n"
        "      --encoding mac-latin2  cafť\n"
        "      --encoding cp874       caf้\n"
    )


def test_unknown_characters(inside: Inside) -> None:
    """Characters that the model never saw are an error, left out or replaced, as --unknown says."""
    base = ("sample", "-n", "30", "--seed", "1", "--prime")
    refused = inside(*base, "aÉ漢b")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "'É' (U+00C9) at position 2, '漢' (U+6F22) at position 3" in refused.stderr
    assert "hint: use only its 10 characters, or leave others out with --unknown skip\n" in (
        refused.stderr
    )
    close = inside(*base, "aÉ")
    assert close.stderr.endswith("hint: with --unknown closest, 'É' becomes 'e'\n")
    assert inside(*base, "aÉ漢b", "--unknown", "skip").stdout == inside(*base, "ab").stdout
    assert inside(*base, "aÉ", "--unknown", "closest").stdout == inside(*base, "ae").stdout
    for choice in ("sometimes", "extend"):
        wrong = inside(*base, "a", "--unknown", choice)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert wrong.stderr == (
            f"error: --unknown must be one of error, skip, closest; got '{choice}'\n"
            "hint: run `charrnn sample --help` for usage\n"
        )


def test_a_file_of_samples(inside: Inside, tmp_path: Path) -> None:
    """A file gets the bytes of standard output; an existing file stays as it is."""
    base = ("sample", "-n", "30", "--seed", "1", "--count", "2")
    result = inside(*base, "-o", "out.txt")
    assert (result.returncode, result.stdout) == (0, "")
    assert (tmp_path / "out.txt").read_text() == inside(*base).stdout
    again = inside(*base, "-o", "out.txt")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == (
        "error: out.txt already exists\nhint: add to it with --append, or replace it with --force\n"
    )


def test_a_file_is_added_to_or_replaced(inside: Inside, tmp_path: Path) -> None:
    """--append adds lines to a file, and --force replaces it; both also make a new one."""
    path = tmp_path / "out.txt"
    base = ("sample", "-q", "-n", "30", "--seed", "1")
    text = inside(*base).stdout
    for option in ("--append", "--force"):
        assert inside(*base, "-o", "out.txt", option) == (0, "", "")
        assert path.read_text() == text
        path.write_text("no end")
    assert inside(*base, "-o", "out.txt", "--append").returncode == 0
    assert inside(*base, "-o", "out.txt", "--append", "--json").returncode == 0
    first, rest = path.read_text().split("\n", 1)
    assert (first, rest.startswith(text)) == ("no end", True)
    assert json.loads(rest.removeprefix(text))["seed"] == 1
    assert inside(*base, "-o", "out.txt", "--force").returncode == 0
    assert path.read_text() == text
    refused = inside(*base, "-o", "..", "--append")
    assert refused == (1, "", "error: .. is not a regular file\n")


def test_stats_and_copies_are_reported(inside: Inside, tmp_path: Path) -> None:
    """Standard error has the speed, the surprise, and the share that a text has in common."""
    base = ("sample", "-n", "400", "--seed", "1", "--no-echo")
    text = inside(*base).stdout
    (tmp_path / "source.txt").write_text("before " + text + " after")
    result = inside(*base, "--stats", "--check-copy", "source.txt")
    assert result.stdout == text
    assert "stats   400 characters in" in result.stderr
    assert re.search(r", mean surprise \d\.\d{3} \(\d\.\d\d bpc\)\n", result.stderr)
    assert "copied  100.0% in spans of 30 or more characters" in result.stderr
    assert "longest 400 characters at character 7 of source" in result.stderr
    assert inside(*base, "--check-copy", "missing.txt").returncode == 2
    (tmp_path / "latin.txt").write_bytes(b"\xe9" * 9)
    refused = inside(*base, "--check-copy", "latin.txt")  # before anything is drawn
    assert (refused.returncode, refused.stdout, "--encoding" in refused.stderr) == (2, "", True)
    assert "copied" in inside(*base, "--check-copy", "latin.txt", "--encoding", "latin-1").stderr


NOT_TOGETHER = "error: {} cannot be combined with {}\n"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--color", "error: --color requires a terminal\n"),
        ("--prime a --prime-file b", NOT_TOGETHER.format("--prime", "--prime-file")),
        ("--stop=", "error: --stop must not be empty\n"),
        ("--interactive --count 2", NOT_TOGETHER.format("--interactive", "--count")),
        ("--interactive -o x", NOT_TOGETHER.format("--interactive", "--output")),
        ("--interactive --stats", NOT_TOGETHER.format("--interactive", "--stats")),
        ("--interactive --check-copy x", NOT_TOGETHER.format("--interactive", "--check-copy")),
        ("-o x --append --force", NOT_TOGETHER.format("--append", "--force")),
        ("--append", "error: --append requires --output FILE\n"),
        ("--force -o -", "error: --force requires --output FILE\n"),
        ("--count 0", "error: invalid value for '--count': 0 is below 1\n"),
        ("--temperature nan", "error: temperature must be a finite number; got nan\n"),
        ("-n -1", "error: length must be at least 0; got -1\n"),
    ],
)
def test_contradictions(inside: Inside, options: str, error: str) -> None:
    """Options that contradict each other, and values out of range, are an error and one hint."""
    result = inside("sample", *options.split())
    assert (result.returncode, result.stdout) == (2, "")
    message, hint = result.stderr.splitlines(keepends=True)
    assert message == error
    assert hint.startswith("hint: ")


def test_json_excludes_other_forms(inside: Inside) -> None:
    """--json is neither colored nor a conversation; the error is an object."""
    for options, pair in (
        ("--json --color", "--json --color"),
        ("-i --json", "--interactive --json"),
    ):
        first, second = pair.split()
        code, out, err = inside("sample", *options.split())
        assert (code, out) == (2, "")
        assert json.loads(err) == {
            "error": f"{first} cannot be combined with {second}",
            "hint": f"leave out {second}",
            "exit_code": 2,
        }


def test_a_conversation_in_a_pipe(inside: Inside) -> None:
    """Each line is continued as one text with all lines and answers before it."""
    config = ModelConfig(vocabulary_size=10, layers=1, size=16, embed=3)
    save(make_checkpoint(config, run="talker", seed=2, scale=1.5))  # its answers depend on the past
    base = ("sample", "talker", "-n", "20", "-q", "--temperature", "0")
    result = inside(*base, "--interactive", stdin="abc\nabc\n")
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first != second
    for prime, answer in (("\nabc", first), (f"\nabc{first}abc", second)):
        assert inside(*base, "--no-echo", "--prime", prime).stdout == answer + "\n"


def test_a_line_of_unknown_characters_is_not_read(inside: Inside) -> None:
    """A line with an unknown character is reported, and the conversation goes on without it."""
    base = ("sample", "--interactive", "-n", "20", "--seed", "1", "-q")
    refused = inside(*base, stdin="abΩ\nabc\n")
    assert refused.returncode == 0
    assert refused.stdout == inside(*base, stdin="abc\n").stdout
    assert refused.stderr == (
        "error: the vocabulary lacks 'Ω' (U+03A9) at position 3\n"
        "hint: use only its 10 characters, or leave others out with --unknown skip\n"
    )


def test_a_line_that_is_not_utf8_is_not_read(home: Path) -> None:
    """A line with a byte that is not UTF-8 is reported, and the conversation goes on without it."""
    words = (sys.executable, "-m", "charrnn_cli", "sample", "--interactive", "-n", "20", "-q")
    refused, expected = (
        subprocess.run(
            [*words, "--seed", "1"],
            input=lines,
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        )
        for lines in (b"ab\xff\nabc\n", b"abc\n")
    )
    assert refused.stdout == expected.stdout
    assert refused.stderr.decode() == (
        "error: the vocabulary lacks '\\udcff' (U+DCFF) at position 3\n"
        "hint: use only its 10 characters, or leave others out with --unknown skip\n"
    )


@pytest.mark.parametrize("option", ["--prime-file", "--check-copy"])
def test_threads_are_set_before_numpy_is_imported(home: Path, tmp_path: Path, option: str) -> None:
    """The number of threads is set before a prime or a text to compare with is read."""
    text = tmp_path / "text.txt"
    text.write_text("abc")
    script = (
        "import sys\nfrom charrnn_cli.cli.commands import sample\n"
        "from charrnn_cli.cli.main import main\n"
        "def record(threads):\n    print('numpy' in sys.modules, file=sys.stderr)\n"
        "sample.set_blas_threads = record\n"
        f"sys.argv = ['charrnn', 'sample', '-q', '-n', '1', {option!r}, {str(text)!r}]\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=TIMEOUT)
    assert (result.returncode, result.stderr.splitlines()[0]) == (0, b"False")


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ("sample -n 1 --count 100", None, "1"),
        ("sample -n 1", "3", "3"),
        ("sample -n 1 --threads 4", "3", "4"),
        ("sample -n 1 --threads 1024", None, "8"),
        ("score tiny text.txt", None, "1"),
        ("score tiny text.txt --threads 2", "1", "2"),
    ],
)
def test_one_thread_unless_more_are_wanted(
    inside: Inside,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: str,
    before: str | None,
    after: str,
) -> None:
    """Numpy has one thread, or the given number, up to that of the cores."""
    (tmp_path / "text.txt").write_text("head bad cab\n")
    monkeypatch.setattr("charrnn_cli.cli.process.available_cores", lambda: 8)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", before or "")
    monkeypatch.delenv("CHARRNN_THREADS")
    if before is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert inside(*options.split())[0] == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == after
    assert inside(*options.split(), env={"CHARRNN_THREADS": "5"})[0] == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == ("5" if "--threads" not in options else after)


def test_the_text_does_not_depend_on_the_threads(charrnn: Charrnn) -> None:
    """One and two threads draw the same samples with the same seed."""
    config = ModelConfig(vocabulary_size=10, layers=1, size=256, embed=0)
    save(make_checkpoint(config, run="wide", scale=0.05))
    base = ("sample", "wide", "-n", "20", "--count", "64", "--seed", "1")
    one, two = (charrnn(*base, "--threads", threads) for threads in ("1", "2"))
    assert (one.returncode, two.returncode) == (0, 0)
    assert one.stdout == two.stdout


def test_memory_does_not_grow_with_the_text(home: Path) -> None:
    """Drawing 100,000 characters takes at most 2.5 MB more than drawing 1,000."""
    peaks = []
    for length in ("1000", "100000"):
        script = (
            "import resource, sys\nfrom charrnn_cli.cli.main import main\n"
            f"sys.argv = ['charrnn', 'sample', '-q', '-n', '{length}', '--top-k', '0']\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, timeout=TIMEOUT, check=True
        )
        assert len(result.stdout) >= int(length)
        peaks.append(int(result.stderr))
    assert peaks[1] - peaks[0] < 2_500  # kB


# ---- on a terminal


def test_a_conversation_on_a_terminal(home: Path) -> None:
    """Ctrl-C stops the text and not the program; Ctrl-D ends the program with code 0."""
    with Terminal("sample", "--interactive", "-n", "100000000", "--seed", "1") as terminal:
        end = terminal.wait_for("> ")
        terminal.type("abc\n")
        terminal.wait_for("abc", end)
        end = len(terminal.written) + 100
        while len(terminal.written) < end:
            terminal.wait_for("", len(terminal.written) + 1)
        terminal.type("\x03")
        terminal.wait_for("> ", end)
        terminal.press("\x03", "> ")
        while terminal.process.poll() is None:
            terminal.type("\x04")
            terminal.wait_briefly()
        assert terminal.process.returncode == 0


def test_surprise_is_a_color(home: Path) -> None:
    """With --color every character is colored, and without it none; the text is the same."""
    text = subprocess.run(
        [sys.executable, "-m", "charrnn_cli", "sample", "-q", "-n", "80", "--seed", "1"],
        capture_output=True,
        check=True,
        timeout=TIMEOUT,
    ).stdout.decode()
    with Terminal("sample", "-n", "80", "--seed", "1", "--color") as terminal:
        assert terminal.wait() == 0
    assert "\r\ncolor   bits of surprise: \x1b[38;5;243m0\x1b[0m " in terminal.written.decode()
    for options, colors in (((), 0), (("--color",), len(text) - text.count("\n"))):
        with Terminal("sample", "-q", "-n", "80", "--seed", "1", *options) as terminal:
            assert terminal.wait() == 0
        shown = terminal.written.decode().replace("\r\n", "\n")
        assert shown.count("\x1b[38;5;") == colors
        assert re.sub(r"\x1b\[[0-9;]*m", "", shown).removesuffix("\n") == text.removesuffix("\n")


NEEDED = "\u061c\u200c\u200d\u200e\u200f"  # by Arabic, Hebrew, Indic scripts and emoji
HOSTILE = "".join(map(chr, range(256))) + "\u202a\u202e\u2066\u2069\u2028" + NEEDED


def test_hostile_characters_are_visible_on_a_terminal_and_exact_in_a_pipe(home: Path) -> None:
    """A terminal gets no control character and no bidi override; a pipe gets every character."""
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
    piped = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
    text = piped.stdout.decode()
    assert len(text.removesuffix("\n")) in (20_000, 20_001)
    assert text.endswith("\n")
    assert set(text) == set(HOSTILE)
    for options in ((), ("--color",)):
        with Terminal(*arguments, *options) as terminal:
            assert terminal.wait() == 0
        shown = re.sub(r"\x1b\[(38;5;\d+|0)m", "", terminal.written.decode())
        assert not {
            character for character in shown if unicodedata.category(character) == "Cc"
        } - set("\r\n\t")
        assert set(shown) & set(HOSTILE[256:]) == set(NEEDED)
        assert shown.count("\r") == shown.count("\n")


def test_the_first_character_does_not_wait_for_the_last(home: Path) -> None:
    """Text arrives while it is drawn, also in a pipe."""
    command = [sys.executable, "-m", "charrnn_cli", "sample", "-q", "-n", "100000000"]
    with running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(100)
        process.kill()


@pytest.mark.usefixtures("tiny_run")
def test_the_settings_line_repeats_a_sample(inside: Inside) -> None:
    """The settings on standard error, typed as options, draw the same text again."""
    drawn = inside("sample", "tiny", "-n", "50", "--temperature", "0.7", "--top-k", "0")
    line = drawn.stderr.splitlines()[0].removeprefix("sample  ")
    reference, *settings = line.split(", ")
    options = [word for each in settings for word in f"--{each}".split(" ")]
    assert options[:4] == ["--temperature", "0.7", "--top-k", "0"]
    assert inside("sample", reference, "-n", "50", *options).stdout == drawn.stdout
