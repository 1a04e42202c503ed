"""The known names that a misspelt one resembles."""

from collections.abc import Iterable


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


def _plain(name: str) -> str:
    return name.lstrip("-").lower().replace("_", "-")
