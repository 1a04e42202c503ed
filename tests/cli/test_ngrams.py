"""N-grams on the command line: what a user types, and what is said about them."""

import json
from pathlib import Path

import numpy as np
import pytest

from charrnn_cli.model import ngram_counts, ngram_tables
from charrnn_cli.model.checkpoint import load_checkpoint
from tests.helpers import FAST, STORY, Inside

STEPS = (*FAST, "--max-steps", "20", "--eval-every", "10")


def test_training_says_what_was_counted(inside: Inside, story: Path) -> None:
    """The n-grams have a line before training, and `show` names them; `--ngram 0` has neither."""
    counted = inside("train", story, *STEPS, "--run", "counted")
    assert " of up to 9 characters, " in counted.stderr
    assert ", n-grams of up to 9 characters, " in inside("checkpoints", "show", "counted").stdout
    plain = inside("train", story, *STEPS, "--run", "plain", "--ngram", "0")
    assert "n-grams" not in plain.stderr
    shown = inside("checkpoints", "show", "plain").stdout
    assert "n-grams" not in shown
    assert "--ngram 0" in shown
    short = inside("train", story, *STEPS, "--run", "short", "--ngram", "3")
    assert " of up to 3 characters, " in short.stderr
    assert " --ngram 3 " in inside("checkpoints", "show", "short").stdout
    orders = [load_checkpoint(name).model.ngram for name in ("counted", "plain", "short")]
    assert orders == [9, 0, 3]


def test_fewer_than_asked_for(inside: Inside, story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tables would be too large, or the text is, a line says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_tables, "LEAST_BYTES", 200)
        patch.setattr(ngram_tables, "SHARE_OF_WEIGHTS", 1 << 30)
        result = inside("train", story, *STEPS, "--ngram", "12")
    order = load_checkpoint().model.ngram
    assert 1 < order < 12
    assert f" of up to {order} characters, " in result.stderr
    assert f"n-grams more than {order} characters would make each" in result.stderr
    monkeypatch.setattr(ngram_counts, "MAX_COUNTED", 2_000)
    result = inside("train", story, *STEPS)
    assert "n-grams counted in an even sample of 2,000 characters" in result.stderr


def test_scoring_what_was_counted(inside: Inside, story: Path, tmp_path: Path) -> None:
    """`score` says that a loss is too low because the text was counted; of others, nothing."""
    inside("train", story, *STEPS, "--run", "counted")
    inside("train", story, *STEPS, "--run", "plain", "--ngram", "0")
    said = "note    the n-grams of counted@20 were counted in this text, so its loss is too low"
    assert said in inside("score", "counted@20", story).stderr
    assert "note" not in inside("score", "plain", story).stderr
    other = tmp_path / "other.txt"
    other.write_text(STORY[:500], "utf-8")
    assert "note" not in inside("score", "counted", other).stderr


@pytest.mark.parametrize("ngram", ["0", "5"])
def test_another_text_counts_anew(inside: Inside, story: Path, tmp_path: Path, ngram: str) -> None:
    """A run that starts from a checkpoint has the n-grams of its own text, and no others."""
    inside("train", story, *STEPS, "--run", "first", "--ngram", ngram)
    other = tmp_path / "other.txt"
    other.write_text("a big rat and a mat and a cat on a hat.\n" * 60, "utf-8")
    arguments = ("--init-from", "first", "--unknown", "extend", "--max-steps", "5", "--seed", "1")
    result = inside("train", other, *arguments, "--run", "second")
    assert result.returncode == 0
    first, second = load_checkpoint("first"), load_checkpoint("second")
    assert second.model.ngram == (5 if ngram == "5" else 9)
    assert second.data.counted == second.data.sha256
    assert second.ngrams is not None
    assert second.ngrams.vocabulary_size == len(first.vocab) + 3
    off = inside("train", other, *arguments, "--ngram", "0", "--run", "off")
    assert off.returncode == 0
    assert load_checkpoint("off").ngrams is None


def test_a_resumed_run_keeps_its_counts(inside: Inside, story: Path, tmp_path: Path) -> None:
    """A resumed run has the tables of its file, also on another text; another order is refused."""
    inside("train", story, *STEPS, "--run", "run")
    before = load_checkpoint("run")
    refused = inside("train", "--resume", "run", "--ngram", "3", "--max-steps", "30")
    assert refused.returncode == 2
    assert "error: run 'run' was trained with --ngram 9, not 3" in refused.stderr
    other = tmp_path / "other.txt"
    other.write_text(STORY[52:] * 2, "utf-8")
    inside("train", other, "--resume", "run", "--max-steps", "30", "--allow-new-data")
    after = load_checkpoint("run@30")
    assert after.data.sha256 != before.data.sha256
    assert after.data.counted == before.data.counted == before.data.sha256
    assert before.ngrams is not None
    assert after.ngrams is not None
    for old, new in zip(before.ngrams.orders, after.ngrams.orders, strict=True):
        np.testing.assert_array_equal(old.keys, new.keys)
    inside("train", "--resume", "run", "--max-steps", "40")
    assert load_checkpoint("run@40").data.counted == before.data.counted


@pytest.mark.parametrize("symbols", [512, 513])
def test_a_large_alphabet_has_none(inside: Inside, tmp_path: Path, symbols: int) -> None:
    """Up to 512 different characters, n-grams are on; above, only if they are asked for."""
    text = "".join(map(chr, range(0x4E00, 0x4E00 + symbols))) * 3
    (tmp_path / "large.txt").write_text(text, "utf-8")
    facts = ("--json", "--dry-run", *FAST)
    automatic = inside("train", "large.txt", *facts)
    assert ("n-grams" in inside("train", "large.txt", *FAST, "--dry-run").stderr) == (
        symbols == 512
    )
    typed = inside("train", "large.txt", *facts, "--ngram", "2")
    parameters = [json.loads(found.stdout)["parameters"] for found in (automatic, typed)]
    assert parameters[1] - parameters[0] == (0 if symbols == 512 else 513 * 8 + 513**2)


def test_the_next_command_keeps_what_is_automatic(inside: Inside, story: Path) -> None:
    """The `try` line names an order that was typed, and the one before a table became too large."""
    much = ("--max-steps", "60", "--dropout", "0.9")  # too much: the command leaves it out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_tables, "LEAST_BYTES", 200)
        patch.setattr(ngram_tables, "SHARE_OF_WEIGHTS", 1 << 30)
        automatic = inside("train", story, *STEPS, *much)
        typed = inside("train", story, *STEPS, *much, "--ngram", "8")
    plain = inside("train", story, *STEPS, *much, "--ngram", "0")
    tried = [
        next(line for line in found.stderr.splitlines() if line.startswith("try "))
        for found in (automatic, typed, plain)
    ]
    assert "--ngram" not in tried[0]
    assert " --ngram 8 " in tried[1]
    assert " --ngram 0 " in tried[2]
