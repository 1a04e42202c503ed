"""Hostile texts: each gives a correct result or a clear error, never a traceback or a hang."""

import codecs
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import TIMEOUT, Inside, bash
from tests.processes import running

EMPTY = "text is empty\nhint: use a file that contains text"
CUT_GZIP = (
    "text is a damaged gzip file: "
    "Compressed file ended before the end-of-stream marker was reached\n"
    "hint: download or compress the file again"
)
ALL_IN_DOS = "…hijklmnopqrstuvwxyz{|}~\\x7f" + bytes(range(0x80, 0xA4)).decode("cp437") + "…"
ALL_BYTES = (
    "…hijklmnopqrstuvwxyz{|}~"
    + "".join(f"\\x{code:02x}" for code in range(0x7F, 0xA0))
    + "\xa0¡¢£…"
)
UNMARKED = "read it with --encoding utf-16-le; among other files, save it as UTF-8 first"
HELP = "hint: run `charrnn encode --help` for usage"


def invalid(encoding: str, where: str, *readings: tuple[str, str]) -> str:
    """The error for a byte that cannot be decoded; `readings` are options and what they show."""
    return f"text is not valid {encoding}: {where}\n{shown(*readings)}"


def damaged(encoding: str, where: str, reading: str) -> str:
    """The error for a byte that cannot be decoded in a file with a byte order mark."""
    return (
        f"text is not valid {encoding}: {where}\n"
        f"hint: its byte order mark says {encoding}; save it again as UTF-8\n"
        f"      --errors replace  {reading}"
    )


def shown(*readings: tuple[str, str]) -> str:
    """The hint that shows a line in several readings, without its last line end."""
    width = max(len(option) for option, _ in readings)
    lines = [f"      {option:<{width}}  {line}" for option, line in readings]
    return "\n".join(["hint: add the option that makes this line readable:", *lines])


def options_in(err: str) -> list[list[str]]:
    """The options that an error shows with a reading each."""
    return [line.split()[:2] for line in err.splitlines() if line.startswith("      --")]


def controls(number: int, characters: int) -> str:
    """The error for too many control characters."""
    return (
        f"text has {number} NUL or control characters among {characters}, "
        "so it is probably not a text\nhint: use a text file, or read it anyway with --force-text"
    )


def no_encoding(name: str) -> str:
    """The error for an unknown encoding."""
    hint = "use, for example, utf-8, latin-1, cp1252, shift_jis or gb18030"
    return f"unknown encoding {name!r}\nhint: {hint}"


# A name, the content of the file, the options, and the expected result: the number of characters
# and of different characters, or the whole error.
CASES: list[tuple[str, bytes, str, tuple[int, int] | str]] = [
    ("empty", b"", "", EMPTY),
    ("one character", b"a", "", (1, 1)),
    ("one distinct character", b"a" * 5000, "", (5000, 1)),
    ("one newline", b"\n", "", (1, 1)),
    ("one carriage return", b"\r", "", (1, 1)),
    ("carriage returns alone", b"\r" * 10, "", (10, 1)),
    ("carriage returns kept", b"\r\n" * 10, "--newlines keep", (20, 2)),
    ("line feed before carriage return", b"\n\r" * 10, "", (11, 1)),
    ("mixed line ends", b"a\r\nb\rc\n", "", (6, 4)),
    ("NUL bytes", b"\0" * 100, "", controls(100, 100)),
    ("NUL bytes, forced", b"\0" * 100, "--force-text", (100, 1)),
    ("few NUL bytes", b"\0" * 4, "", (4, 1)),
    ("NUL inside", b"a\0b", "", (3, 3)),
    ("every ASCII character", bytes(range(128)), "--newlines keep --force-text", (128, 128)),
    ("escape sequences", b"\x1b[31mred\x1b[0m\x1b]52;c;AAAA\x07", "", (24, 16)),
    ("every byte as latin-1", bytes(range(256)), "--encoding latin-1", controls(24, 256)),
    (
        "every byte as UTF-8",
        bytes(range(256)),
        "",
        (
            "text is not a text: 24 of its first 256 bytes are NUL or control characters\n"
            "hint: use a text file"
        ),
    ),
    (
        "every byte as UTF-8, forced",
        bytes(range(256)),
        "--force-text",
        invalid(
            "utf-8",
            "0x80 at byte 128 (line 2)",
            ("--encoding cp437", ALL_IN_DOS),
            ("--encoding latin-1", ALL_BYTES),
        ),
    ),
    ("UTF-8 mark alone", codecs.BOM_UTF8, "", EMPTY),
    ("UTF-8 mark", codecs.BOM_UTF8 + "é".encode(), "", (1, 1)),
    ("two UTF-8 marks", codecs.BOM_UTF8 * 2 + b"a", "", (2, 2)),
    ("UTF-16 little", "aé漢".encode("utf-16"), "", (3, 3)),
    ("UTF-16 big", codecs.BOM_UTF16_BE + "aé😀".encode("utf-16-be"), "", (3, 3)),
    ("UTF-32 little", codecs.BOM_UTF32_LE + "aé😀".encode("utf-32-le"), "", (3, 3)),
    ("UTF-32 big", codecs.BOM_UTF32_BE + "a".encode("utf-32-be"), "", (1, 1)),
    ("UTF-16 mark alone", codecs.BOM_UTF16_LE, "", EMPTY),
    (
        "UTF-16 cut in a unit",
        "aé".encode("utf-16") + b"a",
        "",
        damaged("utf-16-le", "0x61 at byte 6 (line 1)", "aé�"),
    ),
    (
        "UTF-16 lone surrogate",
        codecs.BOM_UTF16_LE + b"\x00\xd8a\x00",
        "",
        damaged("utf-16-le", "0x00 at byte 2 (line 1)", "�a"),
    ),
    (
        "UTF-32 surrogate",
        codecs.BOM_UTF32_LE + b"\x00\xd8\x00\x00",
        "",
        damaged("utf-32-le", "0x00 at byte 4 (line 1)", "�"),
    ),
    (
        "UTF-32 beyond Unicode",
        codecs.BOM_UTF32_LE + b"\xff\xff\xff\x7f",
        "",
        damaged("utf-32-le", "0xff at byte 4 (line 1)", "�"),
    ),
    (
        "UTF-16 without a mark",
        "hello wörld".encode("utf-16-le"),
        "",
        f"text looks like UTF-16 without a byte order mark\nhint: {UNMARKED}",
    ),
    ("UTF-16 without a mark, named", "hello".encode("utf-16-le"), "--encoding utf-16-le", (5, 4)),
    (
        "UTF-8 surrogate",
        b"\xed\xa0\x80",
        "",
        invalid(
            "utf-8",
            "0xed at byte 0 (line 1)",
            ("--encoding cp866", "эаА"),
            ("--encoding cp1252", "í\xa0€"),
        ),
    ),
    (
        "UTF-8 overlong",
        b"a\xc0\xafb",
        "",
        invalid(
            "utf-8",
            "0xc0 at byte 1 (line 1)",
            ("--encoding cp949", "a유b"),
            ("--encoding big5", "a嶸b"),
            ("--encoding euc_jp", "a政b"),
        ),
    ),
    (
        "UTF-8 beyond Unicode",
        b"\xf4\x90\x80\x80",
        "",
        invalid(
            "utf-8",
            "0xf4 at byte 0 (line 1)",
            ("--encoding cp866", "ЇРАА"),
            ("--encoding mac-cyrillic", "фРАА"),
            ("--encoding mac-roman", "ÙêÄÄ"),
        ),
    ),
    (
        "UTF-8 cut",
        "a漢".encode()[:-1],
        "",
        invalid(
            "utf-8",
            "0xe6 at byte 1 (line 1)",
            ("--errors replace", "a�"),
            ("--encoding iso8859-2", "aćź"),
            ("--encoding gb18030", "a婕"),
        ),
    ),
    (
        "UTF-8 continuation alone",
        b"\x80",
        "",
        invalid(
            "utf-8",
            "0x80 at byte 0 (line 1)",
            ("--encoding cp1252", "€"),
            ("--encoding cp437", "Ç"),
        ),
    ),
    ("last code point", "\U0010ffff".encode(), "", (1, 1)),
    ("noncharacters", "\ufffe\uffff".encode(), "", (2, 2)),
    ("private use", "\ue000\U000f0000".encode(), "", (2, 2)),
    ("bidi overrides", "a\u202eb\u2066c".encode(), "", (5, 5)),
    ("combining marks alone", "\u0301".encode() * 1000, "", (1000, 1)),
    ("combining marks, composed", b"e" + "\u0301".encode() * 1000, "--normalize nfc", (1000, 2)),
    ("line separators", "a\u2028b\u2029c\x85d".encode(), "", (7, 7)),
    ("replacement characters", "\ufffd".encode() * 3, "", (3, 1)),
    ("broken, replaced", b"\xff" * 50, "--errors replace", (50, 1)),
    ("broken, left out", b"\xff" * 50, "--errors ignore", EMPTY),
    (
        "shift_jis",
        "吾輩は猫である".encode("shift_jis"),
        "",
        invalid(
            "utf-8",
            "0x8c at byte 0 (line 1)",
            ("--encoding shift_jis", "吾輩は猫である"),
            ("--encoding cp852", "îßöyé═öLé┼éáéÚ"),
            ("--encoding cp437", "îßöyé═öLé┼éáéΘ"),
        ),
    ),
    ("shift_jis, named", "吾輩は猫".encode("shift_jis"), "--encoding shift_jis", (4, 4)),
    ("gb18030, named", "红楼梦".encode("gb18030"), "--encoding gb18030", (3, 3)),
    ("wide letters", "ＡＢ".encode(), "--normalize nfkc", (2, 2)),
    ("gzip", gzip.compress(b"abc"), "", (3, 3)),
    ("gzip of nothing", gzip.compress(b""), "", EMPTY),
    ("gzip cut", gzip.compress(b"abc" * 100)[:-9], "", CUT_GZIP),
    ("gzip of noise", b"\x1f\x8b" + b"noise", "", CUT_GZIP),
    ("gzip twice", gzip.compress(b"a") * 2, "", (2, 1)),
    ("a line without end", b"x" * 3_000_000, "", (3_000_000, 1)),
    ("a million lines", b"\n" * 1_000_000, "", (1_000_000, 1)),
    (
        "65,536 characters",
        "".join(map(chr, range(0x20000, 0x30000))).encode(),
        "",
        (65_536, 65_536),
    ),
    ("all rare", b"abc", "--min-count 2", (3, 1)),
    ("unknown encoding", b"abc", "--encoding klingon", no_encoding("klingon")),
    ("a codec that is no charset", b"abc", "--encoding rot13", no_encoding("rot13")),
    ("impossible count", b"abc", "--min-count 0", f"min count must be at least 1; got 0\n{HELP}"),
    (
        "impossible form",
        b"abc",
        "--normalize nfz",
        f"normalize must be one of none, nfc, nfd, nfkc; got 'nfz'\n{HELP}",
    ),
    (
        "impossible errors",
        b"abc",
        "--errors perhaps",
        f"errors must be one of strict, replace, ignore; got 'perhaps'\n{HELP}",
    ),
    (
        "utf-16 of no order",
        "ab".encode("utf-16-le"),
        "--encoding utf-16",
        (
            "text has no byte order mark, so utf-16 is ambiguous\n"
            + shown(("--encoding utf-16-le", "ab"), ("--encoding utf-16-be", "愀戀"))
        ),
    ),
    ("a codec of host names", b"abc", "--encoding idna", no_encoding("idna")),
    (
        "an unpaired surrogate",
        rb"a\ud800",
        "--encoding unicode_escape",
        "the text contains an unpaired surrogate, U+D800\nhint: check --encoding",
    ),
    (
        "a pickle",
        b"\x80\x04cos\nsystem\n.",
        "",
        "text is a Python pickle, not a text\nhint: write its text to a file first",
    ),
    (
        "an apostrophe of cp1252",
        b"It\x92s fine and we don\x92t mind.\n",
        "",
        invalid(
            "utf-8",
            "0x92 at byte 2 (line 1)",
            ("--encoding cp1252", "It’s fine and we don’t mind."),
            ("--encoding mac-latin2", "Itís fine and we donít mind."),
            ("--encoding cp852", "Itĺs fine and we donĺt mind."),
        ),
    ),
    (
        "a long line",
        b"x" * 10_000 + b" caf\xe9 cr\xe8me " + b"y" * 10_000,
        "",
        invalid(
            "utf-8",
            "0xe9 at byte 10,004 (line 1)",
            ("--encoding cp1252", f"…{20 * 'x'} café crème {28 * 'y'}…"),
            ("--encoding mac-roman", f"…{20 * 'x'} cafÈ crËme {28 * 'y'}…"),
            ("--encoding cp437", f"…{20 * 'x'} cafΘ crΦme {28 * 'y'}…"),
        ),
    ),
    (
        "readings that differ in a later line",
        b"caf\xe9\n\n\xa1Hola, se\xf1or! \xbfQu\xe9 tal?\n",
        "",
        invalid(
            "utf-8",
            "0xe9 at byte 3 (line 1)",
            ("--encoding cp1252", "¡Hola, señor! ¿Qué tal?"),
            ("--encoding iso8859-2", "ĄHola, seńor! żQué tal?"),
            ("--encoding cp1250", "ˇHola, seńor! żQué tal?"),
        ),
    ),
    (
        "UTF-8 with one damaged byte",
        "Straße, Größe, Übung ".encode() + b"\xff" + " schön\n".encode(),
        "",
        invalid(
            "utf-8",
            "0xff at byte 25 (line 1)",
            ("--errors replace", "Straße, Größe, Übung � schön"),
            ("--encoding mac-roman", "Stra√üe, Gr√∂√üe, √úbung ˇ sch√∂n"),
            ("--encoding cp437", "Stra├ƒe, Gr├╢├ƒe, ├£bung \xa0 sch├╢n"),
        ),
    ),
    (
        "cp1252 read as shift_jis",
        b"Gr\xfc\xdfe aus M\xfcnchen\n",
        "--encoding shift_jis",
        invalid(
            "shift_jis",
            "0xfc at byte 2 (line 1)",
            ("--encoding cp1252", "Grüße aus München"),
            ("--encoding cp850", "Gr³▀e aus M³nchen"),
            ("--encoding mac-latin2", "GrŁŖe aus MŁnchen"),
        ),
    ),
    (
        "UTF-8 read as cp1254",
        "„Ы“ и „ѝ“\n".encode(),
        "--encoding cp1254",
        invalid(
            "cp1254",
            "0x9e at byte 2 (line 1)",
            ("--encoding utf-8", "„Ы“ и „ѝ“"),
            ("--encoding cp437", "ΓÇ₧╨½ΓÇ£ ╨╕ ΓÇ₧╤¥ΓÇ£"),
        ),
    ),
    ("Windows line ends converted twice", b"a\r\r\nb\r\r\n", "", (4, 3)),
    ("decomposed letters", "ệ\n".encode(), "--normalize nfd", (4, 4)),
]


@pytest.mark.parametrize(
    ("content", "options", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_hostile_contents(
    tmp_path: Path, inside: Inside, content: bytes, options: str, expected: tuple[int, int] | str
) -> None:
    """Encoding gives the right counts, or fails with the right error and leaves no file."""
    (tmp_path / "text").write_bytes(content)
    form = [] if isinstance(expected, str) else ["--json"]
    code, out, err = inside("encode", "text", *form, *options.split())
    if isinstance(expected, str):
        assert (code, out, err) == (2, "", f"error: {expected}\n")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["text"]
        assert err.count("\n") <= 6
        for option in options_in(err):
            assert inside("encode", "text", "-o", option[1], *options.split(), *option)[0] == 0
    else:
        assert not code, err
        facts = json.loads(out)
        assert (facts["characters"], facts["vocabulary_size"]) == expected
    assert not {character for character in err if ord(character) < 32} - {"\n"}


def special(make: Callable[[Path], object]) -> Callable[[Path], str]:
    def prepare(directory: Path) -> str:
        make(directory / "special")
        return "special"

    return prepare


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


READABLE = "hint: use a readable text file"
INCLUDE = "hint: choose files with --include, for example --include '*.txt'"
SPELLING = "hint: check the spelling"
SPECIAL: dict[str, tuple[Callable[[Path], str], str]] = {
    "endless device": (lambda _: "/dev/zero", f"/dev/zero is not a regular file\n{READABLE}"),
    "null device": (lambda _: "/dev/null", f"/dev/null is not a regular file\n{READABLE}"),
    "empty directory": (special(os.mkdir), f"no file in special is a text\n{INCLUDE}"),
    "link to itself": (
        special(lambda path: path.symlink_to(path)),
        f"cannot open special: Too many levels of symbolic links\n{READABLE}",
    ),
    "link to nothing": (
        special(lambda path: path.symlink_to("nothing")),
        f"no file named special\n{READABLE}",
    ),
    "socket": (
        special(bind_socket),
        f"cannot open special: No such device or address\n{READABLE}",
    ),
    "a name that is too long": (
        lambda _: "x" * 5000,
        f"no file named {'x' * 231} … {'x' * 245}\n{SPELLING}",
    ),
    "empty name": (
        lambda _: "",
        "TEXT must not be empty\nhint: check the command for a variable that is not set",
    ),
    "a file below a file": (
        lambda directory: special(lambda path: path.write_text("x"))(directory) + "/below",
        f"no file named special/below\n{SPELLING}",
    ),
}


@pytest.mark.parametrize(("prepare", "expected"), SPECIAL.values(), ids=SPECIAL)
def test_paths_that_are_not_files(
    tmp_path: Path, inside: Inside, prepare: Callable[[Path], str], expected: str
) -> None:
    """A path that is not a regular file is refused at once, without waiting for a writer."""
    assert inside("encode", prepare(tmp_path)) == (2, "", f"error: {expected}\n")


def test_a_terminal_is_not_a_file(tmp_path: Path, inside: Inside) -> None:
    """A terminal is refused; the system's reason depends on whether there is one."""
    code, out, err = inside("encode", "/dev/tty")
    assert (code, out) == (2, "")
    assert err in {
        f"error: /dev/tty is not a regular file\n{READABLE}\n",
        f"error: cannot open /dev/tty: No such device or address\n{READABLE}\n",
    }


def test_standard_input_is_encoded(inside: Inside, tmp_path: Path) -> None:
    """A text from standard input is encoded like a file, also if it is larger than a chunk."""
    result = inside("encode", "-", "--json", stdin="héllo\n")
    assert (result.returncode, json.loads(result.stdout)["characters"]) == (0, 6)
    command = "head -c 3000000 /dev/zero | charrnn encode - --json --force-text -o zeros"
    zeros = bash(command, tmp_path)
    assert (zeros.returncode, json.loads(zeros.stdout)["characters"]) == (0, 3_000_000)


def test_errors_in_standard_input(inside: Inside, tmp_path: Path) -> None:
    """Errors in a text from standard input call it standard input."""
    empty = inside("encode", "-", "-o", "x.safetensors")
    assert (empty.returncode, empty.stdout) == (2, "")
    assert empty.stderr == "error: standard input is empty\nhint: use a file that contains text\n"
    broken = bash("printf 'ab\\xff' | charrnn encode -", tmp_path)
    assert (broken.returncode, broken.stdout) == (2, "")
    assert broken.stderr == (
        "error: standard input is not valid utf-8: 0xff at byte 2 (line 1)\n"
        + shown(
            ("--encoding cp1252", "abÿ"),
            ("--encoding cp1257", "ab˙"),
            ("--encoding cp437", "ab\xa0"),
        )
        + "\n"
    )
    error = "error: " + CUT_GZIP.replace("text", "standard input", 1) + "\n"
    damaged = bash("printf abc | gzip | head -c 15 | charrnn encode -", tmp_path)
    assert (damaged.returncode, damaged.stdout, damaged.stderr) == (2, "", error)
    training = bash("printf abc | gzip | head -c 15 | charrnn train -", tmp_path)
    assert (training.returncode, training.stdout) == (2, "")
    assert training.stderr.endswith(error)


def test_waiting_for_standard_input_can_be_interrupted(home: Path, tmp_path: Path) -> None:
    """An interrupt ends the wait for standard input, and no file is left."""
    command = [sys.executable, "-m", "charrnn_cli", "encode", "-"]
    with running(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write(b"some")
        process.stdin.flush()
        deadline = time.monotonic() + TIMEOUT
        while not list(home.glob("corpora/.scratch*")):
            assert process.poll() is None
            assert time.monotonic() < deadline, "no scratch file was made"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
    assert list(home.glob("corpora/*")) == list(home.glob("corpora/.*")) == []


def test_an_encoded_file_is_not_a_text(inside: Inside, tmp_path: Path) -> None:
    """An encoded file is refused among texts, and decodes to its text."""
    (tmp_path / "a.txt").write_text("abc" * 100)
    assert inside("encode", "a.txt", "-o", "a.safetensors").returncode == 0
    for arguments in (
        ["encode", "a.safetensors", "-o", "b.safetensors"],
        ["train", "a.txt", "a.safetensors"],
    ):
        result = inside(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.removeprefix("charrnn reading a.txt and 1 more\n") == (
            "error: a.safetensors is already encoded\n"
            "hint: decode it first with `charrnn encode --decode a.safetensors`\n"
        )
    back = inside("encode", "--decode", "a.safetensors", "-o", "-")
    assert (back.stdout, back.returncode) == ("abc" * 100, 0)


def test_an_encoded_file_is_not_printed(inside: Inside, story: Path) -> None:
    """An encoded file cannot be written to standard output."""
    result = inside("encode", story, "-o", "-")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: cannot write an encoded file to standard output\n"
        "hint: specify a file with --output\n"
    )


def test_documents_of_one_character(inside: Inside, tmp_path: Path) -> None:
    """Documents of one character each have two characters to predict: it, and their end."""
    (tmp_path / "ones").mkdir()
    for number in range(30):
        (tmp_path / "ones" / str(number)).write_text("a")
    result = inside("train", "ones", "--keep-duplicates", "--max-steps", "2", "--run", "ones")
    assert (result.returncode, result.stdout) == (0, "")
    assert "30 characters, 1 distinct and the end of a document, 30 documents" in result.stderr


def test_a_growing_file(tmp_path: Path) -> None:
    """A log that is written to all the time gives a clear error, or its content at one moment."""
    path = tmp_path / "log"
    path.write_text("line\n" * 100_000)
    writer = f"""
import time
while True:
    open({str(path)!r}, "a").write("more\\n" * 1000)
    time.sleep(0.001)
"""
    with running([sys.executable, "-c", writer]) as process:
        try:
            command = [sys.executable, "-m", "charrnn_cli", "encode", "log", "--json"]
            result = subprocess.run(
                command, capture_output=True, text=True, cwd=tmp_path, timeout=TIMEOUT, check=False
            )
        finally:
            process.kill()
    if result.returncode:
        assert (result.returncode, result.stdout) == (2, "")
        assert json.loads(result.stderr) == {
            "error": "log changed while it was being read",
            "hint": "run the command again when no other program is writing to it",
            "exit_code": 2,
        }
    else:
        assert json.loads(result.stdout)["characters"] >= 500_000
