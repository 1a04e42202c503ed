"""Empty values, which a script passes when a variable is not set."""

import re
from pathlib import Path

import pytest

from tests.helpers import STORY, Inside

EMPTY = [
    *("train|", "train|text.txt|", "train|text.txt|--run|", "train|--resume|"),
    *("train|text.txt|--init-from|", "train|text.txt|--config|", "train|text.txt|--tensorboard|"),
    *("train|text.txt|--device|", "train|text.txt|--encoding|", "train|text.txt|--include|"),
    *("train|text.txt|--preset|", "train|text.txt|--layers|"),
    *("encode|", "encode|text.txt|-o|", "encode|text.txt|--vocab|", "encode|--decode|"),
    *("sample|", "sample|--prime-file|", "sample|--check-copy|", "sample|-o|", "sample|--stop|"),
    *("score||text.txt", "score|tiny|", "checkpoints|show|", "checkpoints|show|tiny|"),
    *("checkpoints|show|--plot|", "checkpoints|path|", "checkpoints|export||-o|x.safetensors"),
    *(
        "checkpoints|export|tiny|-o|",
        "checkpoints|report|tiny|-o|",
        "checkpoints|import|",
        "checkpoints|import|x|--run|",
    ),
    *("checkpoints|verify|", "checkpoints|list|", "checkpoints|rm||--yes"),
    "checkpoints|prune||--keep|1|--yes",
]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "text.txt").write_text(STORY)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "key.txt").write_text("secret" * 1000)
    return sorted(tmp_path.rglob("*"))


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("line", EMPTY)
def test_an_empty_value_is_refused(
    inside: Inside, files: list[Path], tmp_path: Path, line: str
) -> None:
    """An empty name, reference or number exits with 2, reads nothing and writes nothing."""
    before = sorted([*files, *(tmp_path / "home").rglob("*")])
    code, out, err = inside(*line.split("|"))
    assert (code, out) == (2, "")
    error, hint = err.splitlines()
    assert re.fullmatch(r"error: (--[a-z-]+|[A-Z]+|REF or TEXT) must not be empty", error)
    assert hint == "hint: check the command for a variable that is not set"
    assert sorted(tmp_path.rglob("*")) == sorted({*before, tmp_path / "home"})


@pytest.mark.usefixtures("tiny_run")
@pytest.mark.parametrize("line", ["sample|tiny|--prime||-n|1", "sample||--help", "train||--help"])
def test_an_empty_text_is_a_text(inside: Inside, line: str) -> None:
    """A prime may be empty, and --help shows help whatever else was typed."""
    assert inside(*line.split("|"))[0] == 0


def test_an_empty_variable_is_not_set(
    inside: Inside, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty environment variable is as good as none."""
    assert files
    for name in ("CHARRNN_SEED", "CHARRNN_DEVICE"):
        monkeypatch.setenv(name, "")
    code, out, _ = inside("train", "text.txt", "--print-config")
    assert code == 0
    assert 'device = "auto"\n' in out
