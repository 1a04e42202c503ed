"""The known names that a misspelt one resembles."""

import os
from collections.abc import Iterable
from pathlib import Path

from charrnn_cli.shell import path_word


def near_names(typed: str, known: Iterable[str], number: int = 3) -> list[str]:
    """Return up to `number` known names, the most similar first.

    Names that begin with what was typed come before names of a similar spelling, of which those
    with the same first letter come alone. Leading dashes and the case of letters do not count, and
    an underscore equals a dash.
    """
    import difflib  # not needed unless a name is wrong

    wanted, plain = _plain(typed), {_plain(name): name for name in known}
    begun = [name for name in plain if wanted and name.startswith(wanted)]
    if not 0 < len(begun) <= number:
        begun = difflib.get_close_matches(wanted, begun or plain, number)
        alike = [name for name in begun if name[:1] == wanted[:1]]
        begun = alike or begun
    return [plain[name] for name in begun]


def near_files_hint(path: Path) -> str:
    """Return the hint for a file that is missing: files of a similar name beside it, if any."""
    try:
        known = [
            name for name in os.listdir(path.parent) if name[:1].lower() == path.name[:1].lower()
        ]
    except (OSError, ValueError):  # ValueError: a NUL in the name
        known = []
    near = [path_word(str(path.with_name(name))) for name in near_names(path.name, known)]
    return f"did you mean {' or '.join(near)}?" if near else "check the spelling"


def _plain(name: str) -> str:
    return name.lstrip("-").lower().replace("_", "-")
