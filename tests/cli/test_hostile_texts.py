"""Texts that no sane person has: each is a clear line or a correct result, and never a traceback or a hang."""

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

from tests.conftest import Charrnn, Inside

# What is written, with the options typed, and what the program must say: the number of characters and of different
# ones, or words of the error.
CASES: list[tuple[str, bytes, str, tuple[int, int] | str]] = [
    ("empty", b"", "", "empty"),
    ("one character", b"a", "", (1, 1)),
    ("one distinct character", b"a" * 5000, "", (5000, 1)),
    ("one newline", b"\n", "", (1, 1)),
    ("one carriage return", b"\r", "", (1, 1)),
    ("carriage returns alone", b"\r" * 10, "", (10, 1)),
    ("carriage returns kept", b"\r\n" * 10, "--newlines keep", (20, 2)),
    ("line feed before carriage return", b"\n\r" * 10, "", (11, 1)),
    ("mixed line ends", b"a\r\nb\rc\n", "", (6, 4)),
    ("NUL bytes", b"\0" * 100, "", (100, 1)),
    ("NUL inside", b"a\0b", "", (3, 3)),
    ("every ASCII character", bytes(range(128)), "--newlines keep", (128, 128)),
    ("escape sequences", b"\x1b[31mred\x1b[0m\x1b]52;c;AAAA\x07", "", (24, 16)),
    ("every byte as latin-1", bytes(range(256)), "--encoding latin-1 --newlines keep", (256, 256)),
    ("every byte as UTF-8", bytes(range(256)), "", "0x80 at byte 128 (line 2)"),
    ("UTF-8 mark alone", codecs.BOM_UTF8, "", "empty"),
    ("UTF-8 mark", codecs.BOM_UTF8 + "é".encode(), "", (1, 1)),
    ("two UTF-8 marks", codecs.BOM_UTF8 * 2 + b"a", "", (2, 2)),
    ("UTF-16 little", "aé漢".encode("utf-16"), "", (3, 3)),
    ("UTF-16 big", codecs.BOM_UTF16_BE + "aé😀".encode("utf-16-be"), "", (3, 3)),
    ("UTF-32 little", codecs.BOM_UTF32_LE + "aé😀".encode("utf-32-le"), "", (3, 3)),
    ("UTF-32 big", codecs.BOM_UTF32_BE + "a".encode("utf-32-be"), "", (1, 1)),
    ("UTF-16 mark alone", codecs.BOM_UTF16_LE, "", "empty"),
    ("UTF-16 cut in a unit", "aé".encode("utf-16") + b"a", "", "0x61 at byte 6"),
    ("UTF-16 lone surrogate", codecs.BOM_UTF16_LE + b"\x00\xd8a\x00", "", "not valid utf-16-le"),
    ("UTF-32 surrogate", codecs.BOM_UTF32_LE + b"\x00\xd8\x00\x00", "", "not valid utf-32-le"),
    ("UTF-32 beyond Unicode", codecs.BOM_UTF32_LE + b"\xff\xff\xff\x7f", "", "not valid utf-32-le"),
    ("UTF-16 without a mark", "hello wörld".encode("utf-16-le"), "", "utf-16-le"),
    ("UTF-16 without a mark, named", "hello".encode("utf-16-le"), "--encoding utf-16-le", (5, 4)),
    ("UTF-8 surrogate", b"\xed\xa0\x80", "", "0xed at byte 0"),
    ("UTF-8 overlong", b"a\xc0\xafb", "", "0xc0 at byte 1"),
    ("UTF-8 beyond Unicode", b"\xf4\x90\x80\x80", "", "0xf4 at byte 0"),
    ("UTF-8 cut", "a漢".encode()[:-1], "", "at byte 1"),
    ("UTF-8 continuation alone", b"\x80", "", "0x80 at byte 0"),
    ("last code point", "\U0010ffff".encode(), "", (1, 1)),
    ("noncharacters", "\ufffe\uffff".encode(), "", (2, 2)),
    ("private use", "\ue000\U000f0000".encode(), "", (2, 2)),
    ("bidi overrides", "a\u202eb\u2066c".encode(), "", (5, 5)),
    ("combining marks alone", "\u0301".encode() * 1000, "", (1000, 1)),
    ("combining marks, composed", b"e" + "\u0301".encode() * 1000, "--normalize nfc", (1000, 2)),
    ("line separators", "a\u2028b\u2029c\x85d".encode(), "", (7, 7)),
    ("replacement characters", "\ufffd".encode() * 3, "", (3, 1)),
    ("broken, replaced", b"\xff" * 50, "--errors replace", (50, 1)),
    ("broken, left out", b"\xff" * 50, "--errors ignore", "empty"),
    ("shift_jis", "吾輩は猫である".encode("shift_jis"), "", "the text looks like shift_jis"),
    ("shift_jis, named", "吾輩は猫".encode("shift_jis"), "--encoding shift_jis", (4, 4)),
    ("gb18030, named", "红楼梦".encode("gb18030"), "--encoding gb18030", (3, 3)),
    ("wide letters", "ＡＢ".encode(), "--normalize nfkc", (2, 2)),
    ("gzip", gzip.compress(b"abc"), "", (3, 3)),
    ("gzip of nothing", gzip.compress(b""), "", "empty"),
    ("gzip cut", gzip.compress(b"abc" * 100)[:-9], "", "damaged gzip"),
    ("gzip of noise", b"\x1f\x8b" + b"noise", "", "damaged gzip"),
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
    ("unknown encoding", b"abc", "--encoding klingon", "unknown encoding"),
    ("a codec that is no charset", b"abc", "--encoding rot13", "unknown encoding"),
    ("impossible count", b"abc", "--min-count 0", "min count"),
    ("impossible form", b"abc", "--normalize nfz", "normalize must be one of"),
    ("impossible errors", b"abc", "--errors perhaps", "errors must be one of"),
    ("utf-16 of no order", "ab".encode("utf-16-le"), "--encoding utf-16", "no byte order mark"),
    ("a codec of host names", b"abc", "--encoding idna", "unknown encoding"),
    ("half a character", rb"a\ud800", "--encoding unicode_escape", "U+D800, half of a character"),
    ("a pickle", b"\x80\x04cos\nsystem\n.", "", "0x80 at byte 0"),
]


@pytest.mark.parametrize(
    ("content", "options", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_hostile_contents(
    tmp_path: Path, inside: Inside, content: bytes, options: str, expected: tuple[int, int] | str
) -> None:
    """The right count and vocabulary, or the right words and nothing left behind."""
    (tmp_path / "text").write_bytes(content)
    code, out, err = inside("encode", "text", "--json", *options.split())
    assert "Traceback" not in err
    if isinstance(expected, str):
        assert code == 2
        assert expected in err
        assert out == ""
        assert sorted(path.name for path in tmp_path.iterdir()) == ["text"]
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


SPECIAL: dict[str, tuple[Callable[[Path], str], str]] = {
    "FIFO": (special(os.mkfifo), "not a regular file"),
    "endless device": (lambda _: "/dev/zero", "not a regular file"),
    "null device": (lambda _: "/dev/null", "not a regular file"),
    "terminal": (lambda _: "/dev/tty", ""),
    "directory of nothing": (special(os.mkdir), "no file in"),
    "link to itself": (special(lambda path: path.symlink_to(path)), "special"),
    "link to nothing": (special(lambda path: path.symlink_to("nothing")), "special"),
    "socket": (special(bind_socket), "special"),
    "a name that is too long": (lambda _: "x" * 5000, "xxxx"),
    "nothing": (lambda _: "", ""),
    "a file below a file": (special(lambda path: path.write_text("x")), ""),
}


@pytest.mark.parametrize(("prepare", "said"), SPECIAL.values(), ids=SPECIAL)
def test_what_is_no_file(
    tmp_path: Path, inside: Inside, prepare: Callable[[Path], str], said: str
) -> None:
    """Refused at once, without waiting for anybody to write into it."""
    name = prepare(tmp_path)
    if prepare is SPECIAL["a file below a file"][0]:
        name += "/below"
    code, _, err = inside("encode", name)
    assert code == 2
    assert said in err


def test_standard_input(charrnn: Charrnn, tmp_path: Path) -> None:
    """A text like any other, trained on and encoded; endless ones end where the sender does."""
    result = charrnn("encode", "-", "--json", stdin="héllo\n")
    assert (result.returncode, json.loads(result.stdout)["characters"]) == (0, 6)
    command = f"head -c 3000000 /dev/zero | {sys.executable} -m charrnn_cli encode - --json -o zeros.safetensors"
    zeros = subprocess.run(
        ["bash", "-c", command], capture_output=True, cwd=tmp_path, timeout=60, check=True
    )
    assert json.loads(zeros.stdout)["characters"] == 3_000_000
    assert "standard input is empty" in charrnn("encode", "-", "-o", "x.safetensors").stderr
    broken = subprocess.run(
        ["bash", "-c", f"printf 'ab\\xff' | {sys.executable} -m charrnn_cli train -"],
        capture_output=True,
    )
    assert broken.stderr.splitlines()[-2].startswith(
        b"error: standard input is not valid utf-8: 0xff at byte 2"
    )


def test_waiting_for_standard_input_can_be_interrupted(home: Path, tmp_path: Path) -> None:
    """And leaves nothing behind."""
    command = [sys.executable, "-m", "charrnn_cli", "encode", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"some")
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not list(home.glob("corpora/.scratch*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert list(home.glob("corpora/*")) == list(home.glob("corpora/.*")) == []


def test_an_encoded_file_is_no_text(charrnn: Charrnn, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc" * 100)
    assert charrnn("encode", "a.txt", "-o", "a.safetensors").returncode == 0
    for arguments in (
        ["encode", "a.safetensors", "-o", "b.safetensors"],
        ["train", "a.txt", "a.safetensors"],
    ):
        result = charrnn(*arguments)
        assert (result.returncode, "is encoded already" in result.stderr) == (2, True)
    back = charrnn("encode", "--decode", "a.safetensors", "-o", "-")
    assert (back.stdout, back.returncode) == ("abc" * 100, 0)
    assert charrnn("encode", "a.txt", "-o", "-").returncode == 2


def test_documents_of_one_character(charrnn: Charrnn, tmp_path: Path) -> None:
    (tmp_path / "ones").mkdir()
    for number in range(30):
        (tmp_path / "ones" / str(number)).write_text("a")
    result = charrnn("train", "ones")
    assert (result.returncode, "no document has a second character" in result.stderr) == (2, True)


def test_a_growing_file(tmp_path: Path) -> None:
    """A log that is written to all the time: a clear line, or what it was at one moment."""
    path = tmp_path / "log"
    path.write_text("line\n" * 100_000)
    writer = f"import time\nwhile True:\n    open({str(path)!r}, 'a').write('more\\n' * 1000)\n    time.sleep(0.001)"
    with subprocess.Popen([sys.executable, "-c", writer]) as process:
        try:
            command = [sys.executable, "-m", "charrnn_cli", "encode", str(path), "--json"]
            result = subprocess.run(
                command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
            )
        finally:
            process.kill()
    if result.returncode:
        assert result.returncode == 2
        assert "changed while it was read" in result.stderr
    else:
        assert json.loads(result.stdout)["characters"] >= 500_000
