"""Homes that are missing, unwritable or full, and what others can read in them."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.helpers import FAST, STORY, TIMEOUT, Inside, error_of, first_of

IS_ROOT = os.geteuid() == 0
CAPABILITIES = "dac_read_search"
# A user without an entry in the list of users. It may read all files, because Python's own may be
# in the home of root.
STRANGER = (
    *("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
    *(f"--inh-caps=+{CAPABILITIES}", f"--ambient-caps=+{CAPABILITIES}"),
)
# Root ignores the permissions of its own files, unless it gives up two capabilities.
PERMITTED = (
    (
        "setpriv",
        *(f"--{kind}=-dac_override,-dac_read_search" for kind in ("bounding-set", "inh-caps")),
    )
    if IS_ROOT
    else ()
)
needs_setpriv = pytest.mark.skipif(
    not IS_ROOT or not shutil.which("setpriv"), reason="needs root and setpriv"
)
needs_permissions = pytest.mark.skipif(
    IS_ROOT and not shutil.which("setpriv"), reason="root needs setpriv"
)
needs_mounts = pytest.mark.skipif(
    not IS_ROOT or not shutil.which("unshare"), reason="needs root to mount"
)
Result = subprocess.CompletedProcess[str]
HINT = "hint: set CHARRNN_HOME to a writable directory\n"
ABSOLUTE = "hint: set CHARRNN_HOME to an absolute path\n"
CHANGE = "hint: change to another directory, or set CHARRNN_HOME to an absolute path\n"


def run(
    words: str | Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    *,
    prefix: Sequence[str] = (),
    stdin: str = "",
) -> Result:
    """Run the program; a variable of None is not set."""
    words = words.split() if isinstance(words, str) else words
    variables = {"PYTHONPATH": str(Path(__file__).parents[2]), **os.environ, **(env or {})}
    return subprocess.run(
        [*prefix, sys.executable, "-m", "charrnn_cli", *map(str, words)],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        check=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home with a run, through the program with the usual umask."""
    directory = tmp_path_factory.mktemp("trained")
    (directory / "story.txt").write_text(STORY)
    before = os.umask(0o022)
    try:
        train = ["train", "story.txt", *FAST, "--max-steps", "3", "--run", "tiny"]
        result = run(train, directory, {"CHARRNN_HOME": str(directory / "home")})
    finally:
        os.umask(before)
    assert result.returncode == 0, result.stderr
    return directory / "home"


@pytest.fixture
def own(trained: Path, home: Path, story: Path) -> Iterator[Path]:
    """Copy the home with the run, and make its directories writable again at the end."""
    shutil.copytree(trained, home)
    yield home
    os.chmod(home, 0o700)
    for directory in home.iterdir():
        os.chmod(directory, 0o700)


def contents(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


# Variables of a process without an entry in the list of users, an exit code and an error.
STRANGERS: list[tuple[dict[str, str | None], int, str]] = [
    ({"HOME": None}, 1, "error: this user has no home directory\n" + HINT),
    ({"HOME": ""}, 1, "error: this user has no home directory\n" + HINT),
    ({"HOME": "here"}, 1, "error: this user has no home directory\n" + HINT),
    (
        {"HOME": None, "CHARRNN_HOME": "~/x"},
        2,
        "error: CHARRNN_HOME is ~/x, but ~ has no home directory\n" + ABSOLUTE,
    ),
    (
        {"HOME": "/nonexistent"},
        1,
        "error: cannot write to /nonexistent/.local/share/charrnn/runs: Permission denied\n" + HINT,
    ),
]


@needs_setpriv
@pytest.mark.parametrize(("env", "code", "error"), STRANGERS)
def test_a_user_without_a_home(
    tmp_path: Path, env: dict[str, str | None], code: int, error: str
) -> None:
    """Without a home directory, training is an error that names CHARRNN_HOME."""
    result = run(
        "train missing.txt",
        tmp_path,
        {"CHARRNN_HOME": None, "XDG_DATA_HOME": None, "XDG_CACHE_HOME": None, **env},
        prefix=STRANGER,
    )
    assert (result.returncode, result.stderr) == (code, error)


@needs_setpriv
def test_a_user_without_a_home_can_encode(tmp_path: Path, story: Path) -> None:
    """Encoding standard input needs no home directory, and leaves only the file that it writes."""
    temporary, output = tmp_path / "temporary", tmp_path / "output"
    for directory in (temporary, output):
        directory.mkdir()
        os.chmod(directory, 0o777)
    env = {"CHARRNN_HOME": None, "HOME": None, "TMPDIR": str(temporary)}
    words: list[str | Path] = ["encode", "-", "-o", output / "x.safetensors", "--baselines"]
    result = run(words, tmp_path, env, prefix=STRANGER, stdin=STORY)
    assert result.returncode == 0, result.stderr
    assert [*contents(temporary), *contents(output)] == [output / "x.safetensors"]


@needs_setpriv
def test_a_completion_without_a_home(tmp_path: Path) -> None:
    """Installing the shell completion without a home directory is an error with a way out."""
    env = {"HOME": None, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    result = run("--install-completion bash", tmp_path, env, prefix=STRANGER)
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot install the completion: ")
    assert result.stderr.endswith(
        "\nhint: set HOME to a writable directory, or use `charrnn --show-completion`\n"
    )


LONG = "n" * 300
# A value of CHARRNN_HOME, an exit code, and the error of `checkpoints list` after "error: ".
VALUES = [
    (
        "~missinguser/x",
        2,
        "CHARRNN_HOME is ~missinguser/x, but ~missinguser has no home directory\n" + ABSOLUTE,
    ),
    ("story.txt", 1, "cannot read {}/story.txt/runs: Not a directory\n" + HINT),
    (LONG, 1, "cannot read {}/" + LONG + "/runs: File name too long\n" + HINT),
]


@pytest.mark.parametrize(("value", "code", "error"), VALUES)
def test_a_home_that_cannot_be(
    tmp_path: Path, story: Path, value: str, code: int, error: str
) -> None:
    """A CHARRNN_HOME that no directory can have is an error with a way out."""
    result = run("checkpoints list", tmp_path, {"CHARRNN_HOME": value})
    assert (result.returncode, result.stderr) == (code, "error: " + error.format(tmp_path))


def test_relative_homes(tmp_path: Path) -> None:
    """A relative CHARRNN_HOME is one in the working directory; XDG ignores relative paths."""
    listed = run("checkpoints list", tmp_path, {"CHARRNN_HOME": "here"})
    assert listed.stderr.startswith(f"no checkpoints in {tmp_path}/here/runs\n")
    env = {"CHARRNN_HOME": None, "HOME": str(tmp_path), "XDG_DATA_HOME": "here"}
    if sys.platform.startswith("linux"):
        listed = run("checkpoints list", tmp_path, env)
        assert listed.stderr.startswith(f"no checkpoints in {tmp_path}/.local/share/charrnn/runs\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other platforms differ")
@pytest.mark.parametrize(
    ("words", "home", "error"),
    [
        (
            "checkpoints list",
            "here",
            "error: CHARRNN_HOME is here, but the working directory no longer exists\n" + CHANGE,
        ),
        (
            "train /dev/null",
            None,
            "error: the working directory no longer exists\nhint: change to another directory\n",
        ),
        (
            "doctor",
            None,
            "error: the working directory no longer exists\nhint: change to another directory\n",
        ),
        ("encode .", None, "error: no file in . is a text\n"),
    ],
)
def test_a_removed_working_directory(
    tmp_path: Path, words: str, home: str | None, error: str
) -> None:
    """In a removed directory, a command works or is an error of one line."""
    gone = tmp_path / "gone"
    gone.mkdir()
    prefix = ("bash", "-c", 'rmdir "$PWD" && exec "$@"', "bash")
    env = {} if home is None else {"CHARRNN_HOME": home}
    result = run(words, gone, env, prefix=prefix)
    assert result.returncode in (1, 2)
    assert error in error_of(result.stderr)


# ---- homes that cannot be written

READERS = ["score tiny story.txt", "sample -n 20 --check-copy story.txt", "encode - -o new.st"]


@needs_permissions
@pytest.mark.parametrize("words", [*READERS, " ".join(["train story.txt --dry-run", *FAST])])
def test_a_home_that_cannot_be_written(own: Path, tmp_path: Path, words: str) -> None:
    """What only reads a text works without the cache, and leaves no file anywhere."""
    (tmp_path / "temporary").mkdir()
    shutil.rmtree(own / "corpora")
    before = contents(own)
    os.chmod(own / "runs", 0o500)
    os.chmod(own, 0o500)
    env = {"TMPDIR": str(tmp_path / "temporary")}
    result = run(words, tmp_path, env, prefix=PERMITTED, stdin=STORY)
    assert result.returncode == 0, result.stderr
    assert "error" not in result.stderr
    assert contents(own) == before
    assert contents(tmp_path / "temporary") == []


@needs_permissions
def test_a_cache_that_cannot_be_written_is_read(own: Path, tmp_path: Path) -> None:
    """An encoded text in a cache that cannot be written is used; a damaged one is encoded again."""
    os.chmod(own / "corpora", 0o500)
    assert run(READERS[0], tmp_path, prefix=PERMITTED).returncode == 0
    (cached,) = (own / "corpora").glob("*.safetensors")
    os.chmod(cached, 0o600)
    cached.write_bytes(b"damaged")
    assert run(READERS[0], tmp_path, prefix=PERMITTED).returncode == 0
    os.chmod(cached, 0)
    assert run(READERS[0], tmp_path, prefix=PERMITTED).returncode == 0


@needs_permissions
def test_no_place_for_an_encoded_text(own: Path, tmp_path: Path) -> None:
    """If the temporary directory cannot be written either, the error names the cache."""
    shutil.rmtree(own / "corpora")
    os.chmod(own, 0o500)
    script = "import sys, tempfile\ntempfile._candidate_tempdir_list = list\n"
    script += "from charrnn_cli.__main__ import main\nmain()"
    result = subprocess.run(
        [*PERMITTED, sys.executable, "-c", script, *READERS[0].split()],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 1
    assert (
        error_of(result.stderr) == f"error: cannot create {own}/corpora: Permission denied\n{HINT}"
    )


@needs_permissions
@pytest.mark.parametrize(
    ("mode", "words", "place"),
    [
        (0o500, "train missing.txt", "runs"),
        (0o000, "train missing.txt", "runs"),
        (0o500, "train --resume tiny --max-steps 6", "runs/tiny"),
    ],
)
def test_training_needs_a_home(
    own: Path, tmp_path: Path, mode: int, words: str, place: str
) -> None:
    """Training in a home that cannot be written is an error before the text is read."""
    os.chmod(own / place, mode)
    result = run(words, tmp_path, prefix=PERMITTED)
    os.chmod(own / place, 0o700)
    assert result.returncode == 1
    assert result.stderr == f"error: cannot write to {own}/{place}: Permission denied\n{HINT}"


@needs_mounts
@pytest.mark.parametrize("words", READERS)
def test_a_full_cache(own: Path, tmp_path: Path, words: str) -> None:
    """On a full disk, a text is encoded in the temporary directory."""
    disk, text = own / "corpora", STORY * 100
    (tmp_path / "story.txt").write_text(text)
    script = f"""mount -t tmpfs -o size=64k tmpfs {disk} || exit 77
        head -c 20000 /dev/zero > {disk}/filler
        "$@" < story.txt || exit 1
        test "$(ls -A {disk})" = filler"""
    result = run(words, tmp_path, prefix=("unshare", "-m", "bash", "-c", script, "bash"))
    if result.returncode == 77 or "unshare failed" in result.stderr:
        pytest.skip("mounting is not allowed here")
    assert result.returncode == 0, result.stderr
    assert "error" not in result.stderr
    if words.startswith("encode"):
        assert run("encode --decode new.st", tmp_path).stdout == text


def test_a_dry_run_leaves_no_run(home: Path, inside: Inside, story: Path) -> None:
    """`train --dry-run` leaves the encoded text in the cache, and nothing else."""
    assert inside("train", "story.txt", "--dry-run", *FAST).returncode == 0
    assert [path.name for path in home.iterdir()] == ["corpora"]
    assert [path.suffix for path in (home / "corpora").iterdir()] == [".safetensors"]


# ---- runs that cannot be read

COMMANDS = [
    "checkpoints list",
    "checkpoints list tiny",
    "checkpoints show tiny",
    "checkpoints verify",
    "checkpoints rm tiny --yes",
    "checkpoints prune tiny --keep 1 --yes",
    "sample",
    "sample tiny@3",
    "score tiny story.txt",
    "train --resume latest",
    "train --resume tiny",
]


@needs_permissions
@pytest.mark.parametrize("mode", [None, *first_of(0o000, 0o300, 0o400)])
def test_runs_that_cannot_be_read(own: Path, tmp_path: Path, mode: int | None) -> None:
    """Runs that cannot be read, or a file in their place, are one line and a hint, or work."""
    if mode is None:
        shutil.rmtree(own / "runs")
        (own / "runs").touch()
    else:
        os.chmod(own / "runs", mode)
    failed = 0
    for words in COMMANDS[:4] + COMMANDS[6:] if mode == 0o300 else COMMANDS:
        result = run(words, tmp_path, prefix=PERMITTED)
        assert "internal" not in result.stderr, words
        if result.returncode:
            failed += 1
            lines = error_of(result.stderr).splitlines()
            assert result.returncode in (1, 2), words
            assert len(lines) == 2, (words, result.stderr)
    assert failed >= 2


@needs_permissions
def test_a_run_of_another_user(own: Path, tmp_path: Path) -> None:
    """A run that cannot be read does not hide the others, and naming it is one line."""
    shutil.copytree(own / "runs" / "tiny", own / "runs" / "theirs")
    os.chmod(own / "runs" / "theirs", 0)
    for words, code in (("checkpoints list", 0), ("sample", 0), ("sample theirs", 1)):
        result = run(words, tmp_path, prefix=PERMITTED)
        assert result.returncode == code, (words, result.stderr)
        assert "internal" not in result.stderr
    os.chmod(own / "runs" / "theirs", 0o700)


@pytest.mark.parametrize(
    "words",
    [
        f"train {LONG}",
        f"train {LONG}.safetensors",
        f"train story.txt --run {LONG}",
        f"train --resume {LONG}",
        f"train story.txt --init-from {LONG}.safetensors",
        f"train story.txt --config {LONG}",
        f"encode {LONG}.safetensors",
        f"encode story.txt --vocab {LONG}",
        f"encode story.txt -o {LONG}",
        f"encode --decode {LONG}",
        f"sample {LONG}",
        f"sample ./{LONG}",
        f"sample --prime-file {LONG}",
        f"sample -o {LONG}",
        f"sample --check-copy {LONG}",
        f"score tiny {LONG}",
        f"checkpoints show {LONG}/x",
        f"checkpoints show tiny --plot {LONG}.svg",
        f"checkpoints export tiny -o {LONG}",
        f"checkpoints import {LONG}",
        f"checkpoints verify {LONG}",
        f"checkpoints rm {LONG} -y",
    ],
)
def test_names_that_are_too_long(own: Path, inside: Inside, words: str) -> None:
    """A name of 300 characters is one line, and a hint."""
    result = inside(*words.split())
    lines = error_of(result.stderr).splitlines()
    assert result.returncode in (1, 2)
    assert len(lines) <= 2
    assert "internal" not in lines[0]


# ---- privacy


def test_what_others_can_read(trained: Path, own: Path, tmp_path: Path) -> None:
    """Only the user can read what is in the home; what the user names follows the umask."""
    env = {"CHARRNN_HOME": str(trained)}
    prefix = ("bash", "-c", 'umask 022 && exec "$@"', "bash")
    for words in (
        "encode story.txt -o x.safetensors --baselines",
        "checkpoints export tiny -o gift.safetensors",
        "checkpoints import gift.safetensors --run gift",
        "checkpoints show tiny --plot losses.svg",
        "score tiny story.txt",
        "sample -n 9 -o sample.txt",
    ):
        result = run(words, tmp_path, env, prefix=prefix)
        assert result.returncode == 0, result.stderr
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (trained, *contents(trained))}
    assert {
        path.name for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)
    } == set()
    assert {path.name.split(".")[-1] for path in modes if "." in path.name} >= {
        "jsonl",
        "json",
        "safetensors",
        "lock",
    }
    named = [path for path in tmp_path.iterdir() if path.is_file() and path.name != "story.txt"]
    assert len(named) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in named} == {0o644}


def test_open_directories_stay_open(home: Path, inside: Inside, story: Path) -> None:
    """Directories that exist keep their permissions."""
    (home / "corpora").mkdir(parents=True)
    for path in (home, home / "corpora"):
        os.chmod(path, 0o755)
    assert inside("train", "story.txt", "--dry-run", *FAST).returncode == 0
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "corpora")]
    assert modes == [0o755, 0o755]


@pytest.mark.parametrize("text", [STORY + "a diary", STORY + "Ein Tagebuch"])
def test_another_text_does_not_enter_the_cache(
    own: Path, inside: Inside, tmp_path: Path, text: str
) -> None:
    """A text that a run cannot be resumed with is not kept in the cache."""
    (tmp_path / "diary.txt").write_text(text)
    before = contents(own)
    result = inside("train", "diary.txt", "--resume", "tiny", "--max-steps", "9")
    assert result.returncode == 2
    assert "this text has new characters" in error_of(result.stderr)
    assert contents(own) == before
