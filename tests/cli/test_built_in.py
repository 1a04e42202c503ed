"""The built-in model on the command line, and what starts from it."""

import json
from importlib import resources
from pathlib import Path

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage import built_in
from charrnn_cli.storage.built_in import NAME
from charrnn_cli.storage.runs import Run
from tests.helpers import FAST, Inside

BOOK = (resources.files("charrnn_cli") / "data" / "alice.txt").read_text("utf-8")
STEPS = ("--max-steps", "2", "--batch-size", "2", "--seq-len", "16", "--seed", "1")


@pytest.fixture
def prose(tmp_path: Path) -> Path:
    """A short text of English prose."""
    path = tmp_path / "prose.txt"
    path.write_text(BOOK[40_000:56_000], "utf-8")
    return path


def test_it_samples_and_scores_without_any_run(inside: Inside, prose: Path) -> None:
    """It is used like a run, and shown as built in."""
    sampled = inside("sample", NAME, "-n", "50", "--prime", "The ", "--seed", "1")
    assert sampled.returncode == 0
    assert len(sampled.stdout.strip("\n")) >= 50
    assert inside("score", NAME, prose, "--unknown", "skip").returncode == 0
    (row,) = json.loads(inside("checkpoints", "list", "--json").stdout)
    assert (row["run"], row["status"], row["updated"]) == (NAME, "built in", None)
    assert NAME in inside("checkpoints", "list", NAME).stdout
    assert "Jane Eyre" in inside("checkpoints", "show", NAME).stdout
    assert inside("checkpoints", "verify", NAME).returncode == 0
    assert f"charrnn sample {NAME}" in inside("sample").stderr


@pytest.mark.parametrize("command", [["rm", NAME, "--yes"], ["rm", f"{NAME}@best", "--yes"]])
def test_it_is_never_deleted(inside: Inside, command: list[str]) -> None:
    """`rm` and `prune` refuse it."""
    result = inside("checkpoints", *command)
    assert result.returncode == 2
    assert "built in" in result.stderr
    pruned = inside("checkpoints", "prune", NAME, "--keep", "1", "--yes")
    assert pruned.returncode == 2
    assert inside("checkpoints", "verify", NAME).returncode == 0


def test_english_prose_starts_from_it_unless_told_otherwise(inside: Inside, prose: Path) -> None:
    """A line has both losses and the way out; settings of the model are one, too."""
    started = inside("train", prose, *STEPS, "--run", "started")
    step = load_checkpoint(NAME).step
    assert f"start   from {NAME}@{step}, because val loss is " in started.stderr
    assert "--init-from none starts afresh" in started.stderr
    assert load_checkpoint("started").data.init_from == f"{NAME}@{step}"
    tried = [line for line in started.stderr.splitlines() if line.startswith("try ")]
    kept = ("--resume started ", f"--init-from {NAME}@{step} ")  # never afresh with this recipe
    assert all(any(words in line for words in kept) for line in tried)
    for number, words in enumerate((["--init-from", "none"], FAST, ["--ngram", "5"])):
        result = inside("train", prose, *words, *STEPS, "--run", f"afresh{number}", "--dry-run")
        assert result.returncode == 0
        assert "start " not in result.stderr


def test_a_text_that_cannot_be_read_again_starts_afresh(
    inside: Inside, prose: Path, tmp_path: Path
) -> None:
    """An encoded text has its vocabulary, and standard input comes once."""
    encoded = tmp_path / "prose.safetensors"
    assert inside("encode", prose, "-o", encoded).returncode == 0
    for words, text in (([encoded], ""), (["-"], prose.read_text("utf-8"))):
        result = inside("train", *words, *STEPS, "--dry-run", stdin=text)
        assert result.returncode == 0
        assert "start " not in result.stderr


def test_a_new_character_extends_its_vocabulary(inside: Inside, prose: Path) -> None:
    """A few characters that it does not know are no reason to start afresh."""
    prose.write_text(prose.read_text("utf-8").replace("Alice", "Ålice"), "utf-8")
    assert "start   from " in inside("train", prose, *STEPS, "--run", "run").stderr
    vocab = load_checkpoint("run").vocab
    assert "Å" in vocab
    assert vocab.characters.startswith(load_checkpoint(NAME).vocab.characters)


def test_its_name_can_be_taken(inside: Inside, prose: Path) -> None:
    """A run of this name is used in its place, and both commands say so."""
    made = inside("train", prose, *FAST, *STEPS, "--run", NAME)
    assert made.returncode == 0
    assert "note    " in made.stderr
    sampled = inside("sample", NAME, "-n", "5")
    assert "note    " in sampled.stderr
    assert "start " not in inside("train", prose, *STEPS, "--dry-run").stderr


def test_training_does_not_need_it(
    inside: Inside, prose: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If its file is missing or damaged, English prose starts afresh, with a note."""
    copy = tmp_path / "copy"
    monkeypatch.setattr(built_in, "built_in_run", lambda: Run(NAME, copy))
    copy.mkdir()
    for content in (None, b"damaged"):
        if content is not None:
            (copy / "step-0000025704.safetensors").write_bytes(content)
        result = inside("train", prose, *STEPS, "--dry-run")
        assert result.returncode == 0
        assert "note    starting afresh, because " in result.stderr
        verified = inside("checkpoints", "verify", NAME)
        assert verified.returncode in (1, 2)
        assert inside("doctor").returncode == 1
