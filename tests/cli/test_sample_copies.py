"""The comparison of samples with the training text at the end of `charrnn train`."""

import json
import re
from pathlib import Path

from tests.helpers import FAST, Inside

RUN = (*FAST, "--max-steps", "20")


def test_copies_are_shown(inside: Inside, story: Path) -> None:
    """A line says how much of the samples stands in the text, and JSON has an event of it.

    The samples are shorter on a busy machine.
    """
    shown = inside("train", story, *RUN).stderr.splitlines()
    labels = [line.split()[0] for line in shown]
    line = shown[labels.index("copying")]
    found = re.fullmatch(
        r"copying \S+ % of [\d,]+ sampled characters stand verbatim in the text "
        r"in runs of 30 or more; longest \d+ characters?",
        line,
    )
    assert found is not None
    assert labels.index("done") < labels.index("copying") < labels.index("next")
    rows = inside("train", story, *RUN, "--json").stdout.splitlines()
    event = json.loads(rows[-2])
    assert event["event"] == "SamplesCompared"
    assert event["characters"] % 16 == 0
    assert 0 < event["characters"] <= 5120
    assert 0 < event["longest"] <= 320
    assert event["compared"] == event["text_characters"]
    assert inside("train", story, *RUN, "-q").stderr == ""


def test_a_short_time_limit_leaves_no_time(inside: Inside, story: Path) -> None:
    """With less than 10 seconds, samples are not compared."""
    assert "copying" not in inside("train", story, *RUN, "--max-time", "9s").stderr


def test_items_are_compared_with_the_list(inside: Inside, tmp_path: Path) -> None:
    """Of a list, a line says how many whole items are in it, and JSON has an event of it."""
    names = [f"{first}{rest}" for first in ("an", "bo", "li") for rest in ("a", "na", "ta")]
    (tmp_path / "names.txt").write_text("\n".join(names * 30))
    words = ("train", "names.txt", "--documents", "lines", *RUN)
    shown = inside(*words).stderr.splitlines()
    line = next(line for line in shown if line.startswith("copying"))
    assert re.fullmatch(r"copying \S+ % of 200 items are in the list", line)
    event = json.loads(inside(*words, "--json").stdout.splitlines()[-2])
    assert event["event"] == "ItemsCompared"
    assert (event["items"], event["compared"], event["list_items"]) == (200, 270, 270)
    assert 0 <= event["known"] <= 200
