"""Words of a shell command."""

import shlex


def shell_word(text: str, placeholder: str = "TEXT", max_length: int | None = None) -> str:
    """Return printable text that a shell reads as exactly this argument.

    Characters that are not printable become escapes in `$'...'`, which bash, zsh and ksh read.
    Returns the placeholder for a NUL, which no argument can contain, and for a word that is longer
    than `max_length`.
    """
    if "\0" in text:
        return placeholder
    word = shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escaped, text))}'"
    return placeholder if max_length is not None and len(word) > max_length else word


def path_word(path: str, placeholder: str = "FILE", max_length: int | None = None) -> str:
    """Return a path as a shell word that is not read as an option; `-` is standard input."""
    is_option = path.startswith("-") and path != "-"
    return shell_word(f"./{path}" if is_option else path, placeholder, max_length)


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    # A surrogate stands for a byte of a file name that is not UTF-8.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", errors))
