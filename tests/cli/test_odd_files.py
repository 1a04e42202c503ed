"""Files that are not the texts that were meant: what is read of them, or the line printed."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import shlex
import shutil
import sqlite3
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import FAST, STORY, Inside

WORD = "save it as plain text (UTF-8) in your word processor"
UNPACK = "unpack it, and use the text files inside"
WRITE = "write its text to a file first"
OTHER = "use a text file"
READ = "read it with --encoding {}; among other files, save it as UTF-8 first"
CONVERT = "convert it to plain text (UTF-8)"


def zipped(*names: str, mimetype: str | None = None) -> bytes:
    """A zip file with entries of these names, compressed as office programs do."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if mimetype is not None:
            archive.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        for name in names:
            archive.writestr(name, f"<{name}>" * 50)
    return file.getvalue()


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("book.txt")
        info.size = len(STORY)
        archive.addfile(info, io.BytesIO(STORY.encode()))
    return file.getvalue()


def database(directory: Path) -> bytes:
    path = directory / "made.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("create table book (line text)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    path.unlink()
    return content


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(9))
    return file.getvalue()


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + bytes(4)

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def controls(number: int, characters: int) -> tuple[str, str]:
    counted = f"{number} NUL or control characters among {characters:,}"
    hint = f"{OTHER}, or read it anyway with --force-text"
    return f"has {counted}, so it is probably not a text", hint


BINARY = "is not a text: 216 of its first 2,304 bytes are NUL or control characters"
TEXT = STORY.encode()
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12\n"

# A file's name and content, and what is said of it, with the hint.
NO_TEXTS: list[tuple[str, bytes, str, str]] = [
    (
        "book.docx",
        zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml"),
        "is a Word document (.docx), not a text",
        WORD,
    ),
    (
        "book.txt",  # the name of a document is not trusted
        zipped("[Content_Types].xml", "word/document.xml"),
        "is a Word document (.docx), not a text",
        WORD,
    ),
    (
        "table.xlsx",
        zipped("[Content_Types].xml", "xl/workbook.xml"),
        "is an Excel workbook (.xlsx), not a text",
        "save it as CSV (UTF-8) in your spreadsheet program",
    ),
    (
        "slides.pptx",
        zipped("[Content_Types].xml", "ppt/presentation.xml"),
        "is a presentation (.pptx), not a text",
        "copy its text to a plain text file (UTF-8)",
    ),
    (
        "book.epub",
        zipped("META-INF/container.xml", "a.xhtml", mimetype="application/epub+zip"),
        "is an e-book (.epub), not a text",
        f"{CONVERT} with an e-book program",
    ),
    (
        "book.odt",
        zipped("content.xml", mimetype="application/vnd.oasis.opendocument.text"),
        "is an OpenDocument text (.odt), not a text",
        WORD,
    ),
    (
        "table.ods",
        zipped("content.xml", mimetype="application/vnd.oasis.opendocument.spreadsheet"),
        "is an OpenDocument file, not a text",
        f"{CONVERT} in your office program",
    ),
    ("book.pages", zipped("Index/Document.iwa"), "is a Pages document, not a text", WORD),
    ("model.pt", zipped("a/data.pkl", "a/data/0"), "is a PyTorch file, not a text", OTHER),
    ("ids.npz", zipped("a.npy", "b.npy"), "is an archive of NumPy arrays, not a text", WRITE),
    ("word.zip", zipped("word/a.txt", "b.txt"), "is a zip archive, not a text", UNPACK),
    ("empty.zip", zipped(), "is a zip archive, not a text", UNPACK),
    ("book.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF document, not a text",
     f"{CONVERT}, for example with pdftotext"),
    ("book.rtf", rb"{\rtf1\ansi Hello\par}", "is an RTF document, not a text", WORD),
    ("book.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
     "is an old Office document, not a text", WORD),
    ("book.mobi", b"Book".ljust(60, b"\0") + b"BOOKMOBI", "is a Kindle e-book, not a text",
     f"{CONVERT} with an e-book program"),
    ("page.png", png(), "is a PNG image, not a text", OTHER),
    ("page.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0", "is a JPEG image, not a text", OTHER),
    ("page.gif", b"GIF89a\1\0\1\0\x80\0\0\xff", "is a GIF image, not a text", OTHER),
    ("page.webp", b"RIFF\x24\0\0\0WEBPVP8 ", "is a WebP image, not a text", OTHER),
    ("page.tif", b"II*\0\x08\0\0\0", "is a TIFF image, not a text", OTHER),
    ("page.bmp", b"BM\x3a\0\0\0\0\0\0\0\x36\0", "is a BMP image, not a text", OTHER),
    ("film.mp4", b"\0\0\0\x18ftypmp42", "is a video, not a text", OTHER),
    ("song.mp3", b"ID3\4\0\0\0\0\0\0", "is an audio file, not a text", OTHER),
    ("song.wav", b"RIFF\x24\0\0\0WAVEfmt ", "is an audio file, not a text", OTHER),
    ("song.mid", b"MThd\0\0\0\6\0\1\0\2\0\x60", "is a MIDI file, not a text",
     "convert it to ABC notation, which is text"),
    ("book", bz2.compress(TEXT), "is compressed with bzip2", "decompress it first"),
    ("book.txt.xz", lzma.compress(TEXT), "is compressed with xz",
     "decompress it first: xz -dk book.txt.xz"),
    ("my book.bz2", bz2.compress(TEXT), "is compressed with bzip2",
     "decompress it first: bzip2 -dk 'my book.bz2'"),
    ("book.lz4", b"\x04\x22M\x18" + TEXT, "is compressed with LZ4", "decompress it first"),
    ("book.gz", gzip.compress(gzip.compress(TEXT)), "is compressed more than once",
     "decompress it first"),
    ("books.7z", b"7z\xbc\xaf\x27\x1c\0\4", "is a 7-Zip archive, not a text", UNPACK),
    ("books.rar", b"Rar!\x1a\7\1\0", "is a RAR archive, not a text", UNPACK),
    ("books.tar.gz", gzip.compress(tar()), "is a tar archive, not a text", UNPACK),
    ("model.pkl", pickle.dumps({"a": 1}), "is a Python pickle, not a text", WRITE),
    ("ids.npy", array(), "is a NumPy array, not a text", WRITE),
    ("model.h5", b"\x89HDF\r\n\x1a\n\0", "is an HDF5 file, not a text", WRITE),
    ("data.parquet", b"PAR1\x15\4", "is a Parquet table, not a text", WRITE),
    ("model", struct.pack("<Q", 60) + b'{"a":{"dtype":"F32"}}', "is a safetensors file, not a text",
     OTHER),
    ("program", b"\x7fELF\2\1\1\0", "is a program, not a text", OTHER),
    ("setup.exe", b"MZ\x90\0\3\0", "is a program, not a text", OTHER),
    ("pointer.txt", LFS, "is a Git LFS pointer, not a text",
     "download the file that it stands for with Git LFS"),
    ("plain.txt", STORY.encode("utf-16-le"), "looks like UTF-16 without a byte order mark",
     READ.format("utf-16-le")),
    ("plain.txt", STORY.encode("utf-16-be"), "looks like UTF-16 without a byte order mark",
     READ.format("utf-16-be")),
    ("plain.txt", ("红楼梦。\n" * 99).encode("utf-16-le"),
     "looks like UTF-16 without a byte order mark", READ.format("utf-16-le")),
    ("plain.txt", STORY.encode("utf-32-be"), "looks like UTF-32 without a byte order mark",
     READ.format("utf-32-be")),
    ("log", b"\1" * 6 + b"x" * 5992, *controls(6, 5998)),
    ("noise", bytes(range(256)) * 9, BINARY, OTHER),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"), NO_TEXTS, ids=[each[2][:30] for each in NO_TEXTS]
)
def test_a_file_that_is_not_a_text(
    inside: Inside, tmp_path: Path, name: str, content: bytes, message: str, hint: str
) -> None:
    """A file that is not a text is refused with what it is and what to do, under any name."""
    (tmp_path / name).write_bytes(content)
    assert inside("encode", name) == (2, "", f"error: {name} {message}\nhint: {hint}\n")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_database(inside: Inside, tmp_path: Path) -> None:
    """A database of SQLite is refused."""
    (tmp_path / "book.db").write_bytes(database(tmp_path))
    assert inside("encode", "book.db") == (
        2,
        "",
        "error: book.db is an SQLite database, not a text\nhint: export its text to a file first\n",
    )


@pytest.mark.parametrize(
    "text",
    [
        "BM is short for bowel movement.\n",
        "GIF89a is an image format.\n",
        "MZ begins a program.\n",
        "PAR1 begins a table.\n",
        "ID3 tags\n",
        "PK\n",
        "RIFF\n",
        "ÿþ\n",
        "<svg xmlns='http://www.w3.org/2000/svg'/>\n",
        "\x1b[1mbold\x1b[0m \x07 a\x08a\n" * 99,
        "the end\n\x1a" + "\x1a" * 100,
        "a\fb\vc\n",
        "%!PS-Adobe\n",
    ],
)
def test_a_text_that_begins_like_something_else(inside: Inside, tmp_path: Path, text: str) -> None:
    """Words that begin other files, and the controls of terminals and old editors, are text."""
    (tmp_path / "text").write_text(text, "utf-8")
    code, out, err = inside("encode", "text", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["characters"] == len(text)


@pytest.mark.parametrize(("encoding", "first"), [("cp1251", "ять"), ("latin-1", "ÿó")])
def test_letters_that_begin_an_audio_file(
    inside: Inside, tmp_path: Path, encoding: str, first: str
) -> None:
    """Two letters that are the mark of an audio file in another encoding do not make it one."""
    (tmp_path / "text").write_bytes((first + " abc").encode(encoding))
    assert inside("encode", "text", "--json", "--encoding", encoding)[0] == 0


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize(
    "command",
    [
        "encode book.docx",
        "train book.docx",
        "score tiny book.docx",
        "sample tiny --check-copy book.docx",
        "sample tiny --prime-file book.docx",
    ],
)
def test_every_command_looks(inside: Inside, tmp_path: Path, command: str) -> None:
    """Every command that reads a text recognizes a file that is none."""
    (tmp_path / "book.docx").write_bytes(NO_TEXTS[0][1])
    code, out, err = inside(*command.split())
    assert (code, out) == (2, "")
    assert err.removeprefix("charrnn reading book.docx\n") == (
        f"error: book.docx is a Word document (.docx), not a text\nhint: {WORD}\n"
    )


@pytest.mark.parametrize(
    ("suffix", "program", "compress"),
    [("bz2", "bzip2", bz2.compress), ("xz", "xz", lzma.compress), ("zst", "zstd", None)],
)
def test_the_command_that_decompresses(
    inside: Inside,
    tmp_path: Path,
    suffix: str,
    program: str,
    compress: Callable[[bytes], bytes] | None,
) -> None:
    """The hint's command gives the text, which then trains; it is not shown if it would fail."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    path = tmp_path / f"my book.txt.{suffix}"
    if compress is None:
        (tmp_path / "my book.txt").write_bytes(TEXT)
        subprocess.run([program, "-q", "--rm", "my book.txt"], cwd=tmp_path, check=True)
    else:
        path.write_bytes(compress(TEXT))
    code, _, err = inside("encode", path.name)
    assert code == 2
    command = err.splitlines()[-1].removeprefix("hint: decompress it first: ")
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    assert path.exists()
    assert inside("encode", "my book.txt")[0] == 0
    assert inside("encode", path.name, "-o", "other")[2].endswith("hint: decompress it first\n")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_the_encoding_in_the_hint(inside: Inside, tmp_path: Path, encoding: str) -> None:
    """The option in the hint reads the whole text."""
    (tmp_path / "plain.txt").write_bytes(STORY.encode(encoding))
    hint = inside("encode", "plain.txt")[2].splitlines()[-1]
    option = hint.removeprefix("hint: read it with ").partition(";")[0]
    code, out, _ = inside("encode", "plain.txt", "--json", *option.split())
    assert (code, json.loads(out)["characters"]) == (0, len(STORY))


@pytest.mark.usefixtures("tiny_run")
def test_force_text(inside: Inside, tmp_path: Path) -> None:
    """--force-text reads what looks like no text, in every command."""
    (tmp_path / "odd.rtf").write_bytes(rb"{\rtf1 bad}" + b"\1" * 9 + TEXT)
    length = len(rb"{\rtf1 bad}") + 9 + len(TEXT)
    code, out, _ = inside("encode", "odd.rtf", "--json", "--force-text")
    assert (code, json.loads(out)["characters"]) == (0, length)
    assert inside("train", "odd.rtf", "--force-text", *FAST, "--max-steps", "1", "-q")[0] == 0
    unknown = ("--unknown", "skip")
    assert inside("score", "tiny", "odd.rtf", "--force-text", *unknown)[0] == 0
    for option in ("--prime-file", "--check-copy"):
        sample = ("sample", "tiny", "-n", "5", option, "odd.rtf", "--force-text", *unknown)
        assert inside(*sample)[0] == 0


def test_a_web_page(inside: Inside, tmp_path: Path) -> None:
    """A short web page under the name of a text is a warning, also from the cache."""
    page = b"\n<!-- saved -->\n<!DOCTYPE html><html><p>404: no such book</p></html>\n" * 20
    (tmp_path / "book.txt").write_bytes(page)
    (tmp_path / "book.html").write_bytes(page)
    (tmp_path / "long.txt").write_bytes(page * 200)
    (tmp_path / "other.txt").write_bytes(TEXT)
    warning = (
        "warning the text looks like a web page; if you want only its text, "
        "save it as plain text (UTF-8) in your browser\n"
    )
    for _ in range(2):
        assert warning in inside("train", "book.txt", "--dry-run", *FAST)[2]
    for texts in (["book.html"], ["long.txt"], ["book.txt", "other.txt"]):
        assert "web page" not in inside("train", *texts, "--dry-run", *FAST)[2]


@pytest.mark.parametrize("url", ["https://example.com/book.txt", "HTTP://a.b/?c=d", "ftp://a/b"])
def test_a_web_address(inside: Inside, url: str) -> None:
    """An address is not looked for among the files."""
    code, out, err = inside("encode", url)
    assert (code, out) == (2, "")
    assert err == (
        f"error: {url} is a web address, not a file\n"
        "hint: download the file first, then use its name\n"
    )


def test_files_of_a_directory_that_are_not_texts(inside: Inside, tmp_path: Path) -> None:
    """In a directory, such files are skipped, each with what it is and what to do."""
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_bytes(TEXT)
    (tmp_path / "books" / "b.docx").write_bytes(NO_TEXTS[0][1])
    (tmp_path / "books" / "c.txt").write_bytes(LFS)
    (tmp_path / "books" / "d.png").write_bytes(png())
    (tmp_path / "books" / "e").write_bytes(png())
    code, _, err = inside("encode", "books", "--json")
    assert (code, err) == (
        0,
        (
            f"skipped b.docx: is a Word document (.docx), not a text; {WORD}\n"
            "skipped c.txt: is a Git LFS pointer, not a text; "
            "download the file that it stands for with Git LFS\n"
            "skipped e: is a PNG image, not a text\n"
            "warning 3 of 4 files could not be read\n"
        ),
    )
    (tmp_path / "books" / "a.txt").unlink()
    assert inside("encode", "books", "-o", "other") == (
        2,
        "",
        (
            "error: no file of the text 'books' can be read: "
            f"b.docx is a Word document (.docx), not a text; {WORD}; 2 more like it\n"
            "hint: use files of plain text (UTF-8)\n"
        ),
    )


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("吾輩は猫である。名前はまだ無い。\n" * 5, "iso2022_jp"),
        ("满纸荒唐言，一把辛酸泪。都云作者痴，谁解其中味。\n", "utf-16-le"),
        ("满纸荒唐言，一把辛酸泪。都云作者痴，谁解其中味。\n", "utf-16-be"),
    ],
)
def test_an_encoding_that_is_recognized(
    inside: Inside, tmp_path: Path, content: str, encoding: str
) -> None:
    """Bytes that would pass for another kind of file have a hint, which reads them."""
    (tmp_path / "text").write_bytes(content.encode(encoding))
    code, _, err = inside("encode", "text", "-o", "x")
    assert (code, err.splitlines()[-1]) == (2, f"hint: read it with --encoding {encoding}")
    assert inside("encode", "text", "-o", "x", "--encoding", encoding)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "%PDF-1.4 is how a PDF begins, said the teacher.\n",
        "{\\rtf is how RTF begins}\n",
        "version https://git-lfs.github.com/spec/v1\nis the first line.\n",
        "Press ESC \x1b$B twice\n",
    ],
)
def test_a_text_about_a_format(inside: Inside, tmp_path: Path, text: str) -> None:
    """A text that begins as another kind of file does is a text if it goes on as one."""
    (tmp_path / "text").write_text(text, "utf-8")
    assert inside("encode", "text", "-o", "x")[0] == 0
