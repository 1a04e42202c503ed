"""`charrnn sample`, as a user sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_cli.config import ModelConfig
from tests.conftest import Charrnn, make_checkpoint, save

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
    assert charrnn(*base, "--prime", "ab", "--no-echo").stdout == charrnn(*base, "--prime", "ab").stdout[2:]
    assert charrnn(*base, "-q").stderr == ""


def test_utf8_whatever_the_locale(charrnn: Charrnn) -> None:
    """A pipe gets exact UTF-8."""
    save(make_checkpoint(ModelConfig(vocabulary_size=3, layers=1, size=4, embed=0), characters="漢é😀", run="cjk"))
    result = charrnn("sample", "cjk", "-n", "30", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
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
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stderr == "error: cannot write to standard output: No space left on device\n"
