"""Files for `train --config`: any content is read, or refused with one clear error."""

import os
import tomllib
from pathlib import Path

import pytest
import typer

from charrnn_cli.cli.main import app
from tests.helpers import Inside

VALUES = {
    **{name: name for name in ("true", "false", "0", "-1", "1.5", "inf", "nan", "1e400", "[]")},
    **{name: name for name in ("[1]", '[""]', "{}", "{a = 1}", "1979-05-27", "07:32:00", '""')},
    **{name: name for name in ('"x"', '"\\u0000"', '"\\u001b[31m"', "1979-05-27T07:32:00Z")},
    "a long integer": "9" * 30,
    "an integer of many digits": "9" * 5000,
    "a hexadecimal integer": "0x" + "f" * 5000,
    "a long string": '"' + "a" * 5000 + '"',
    "a deep array": "[" * 400 + "]" * 400,
}
# Content that is not TOML, or not a table of options, and a part of its error.
WRONG = {
    "not UTF-8": (b"\xff", "not valid TOML: 'utf-8' codec can't decode byte 0xff"),
    "NUL": (b"size = 1\0", "not valid TOML"),
    "empty key": (b'"" = 1', "unknown key ''"),
    "table": (b"[train]\nsize = 1", "unknown key 'train'"),
    "array of tables": (b"[[size]]", "size must be an integer, not an array"),
    "dotted key": (b"size.x = 1", "size must be an integer, not a table"),
    "control character": (b'"\\u001b" = 1', "unknown key '\\x1b'"),
    "twice": (b"size = 1\nsize = 2", "not valid TOML"),
    "two spellings": (b"max-steps = 2\nmax_steps = 3", "max_steps is set twice"),
    "deep array": (b"size = " + b"[" * 100_000, "nested too deeply"),
    "deep tables": (b"size = " + b"{a = " * 5_000, "nested too deeply"),
    "large": (b"#" * (1 << 20) + b"\n", "is larger than 1,048,576 bytes"),
    "boolean for a number": (b"size = true", "size must be an integer, not a boolean"),
    "fraction": (b"layers = 1.5", "layers must be an integer, not a fraction"),
    "number for a flag": (b"quiet = 1", "quiet must be true or false, not an integer"),
    "number for a name": (b"run = 1", "run must be a string, not an integer"),
    "date": (b"max_time = 07:32:00", "max_time must be a number or a string, not a date"),
    "empty name": (b'run = ""', "run must not be empty"),
    "empty text": (b'texts = [""]', "texts must be a list of paths"),
    "large integer": (b"seed = 12345678901234567890", "seed does not fit into 64 bits"),
}


def options() -> list[str]:
    """Return the parameters of `train`."""
    train = typer.main.get_command(app).commands["train"].load()  # type: ignore[attr-defined]
    return [str(parameter.name) for parameter in train.params]


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_value_of_any_option(
    inside: Inside, story: Path, tmp_path: Path, home: Path, value: str
) -> None:
    """Each option takes a value or refuses it with one error and one hint."""
    for name in options():
        (tmp_path / "file.toml").write_text(f"{name} = {value}\n")
        texts = [] if name == "texts" else [str(story)]
        code, _, err = inside("train", *texts, "--config", "file.toml", "--print-config")
        if code == 0:
            continue
        assert code == 2, (name, err)
        error, hint = err.splitlines()
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        assert len(error) <= 500
        assert err.replace("\n", "").isprintable()
    assert not (home / "logs").exists()


@pytest.mark.parametrize(("content", "error"), WRONG.values(), ids=WRONG)
def test_wrong_content(
    inside: Inside, story: Path, tmp_path: Path, content: bytes, error: str
) -> None:
    """Content of another form is refused with one error, which says what is wrong."""
    (tmp_path / "file.toml").write_bytes(content)
    code, out, err = inside("train", str(story), "--config", "file.toml", "--print-config")
    assert (code, out) == (2, "")
    shown, hint = err.splitlines()
    assert shown.startswith("error: file.toml")
    assert error in shown
    assert hint.startswith("hint: ")


def test_what_is_not_a_file(inside: Inside, story: Path, tmp_path: Path) -> None:
    """A FIFO, a directory or a device is refused without waiting for it."""
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", ".", "/dev/zero"):
        assert inside("train", str(story), "--config", name) == (
            2,
            "",
            (
                f"error: {name} is not a regular file\n"
                "hint: write one with `charrnn train TEXT --print-config > FILE`\n"
            ),
        )


def test_one_text_and_a_byte_order_mark(inside: Inside, story: Path, tmp_path: Path) -> None:
    """One text may be a string, and the file may start with a byte order mark."""
    (tmp_path / "file.toml").write_text(f'\ufefftexts = "{story}"\r\nsize = 8\r\n')
    code, out, _ = inside("train", "--config", "file.toml", "--print-config")
    assert code == 0
    assert tomllib.loads(out)["texts"] == [str(story)]


def test_any_string_is_written_as_toml(inside: Inside, story: Path, tmp_path: Path) -> None:
    """--print-config writes a text of any characters as printable TOML, and reads it back."""
    prime = 'a\n\t"\\ \x1b \x7f \x85 \u202e \u2028 é 😀 \U000e0001'
    code, out, _ = inside("train", str(story), "--sample-prime", prime, "--print-config")
    assert code == 0
    assert all(line.isprintable() for line in out.splitlines())
    assert tomllib.loads(out)["sample_prime"] == prime
    (tmp_path / "file.toml").write_text(out, "utf-8")
    assert inside("train", "--config", "file.toml", "--print-config")[1] == out


def test_a_name_that_toml_cannot_contain(inside: Inside) -> None:
    """A file name that is not Unicode is refused, because TOML is."""
    code, out, err = inside("train", "\udcff.txt", "--print-config")
    assert (code, out) == (2, "")
    assert err.startswith("error: TOML cannot contain '\\udcff.txt'")
