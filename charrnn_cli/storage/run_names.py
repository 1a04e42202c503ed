"""Names of runs that are made from names of texts."""

import re
import unicodedata

from charrnn_cli.errors import ConfigError
from charrnn_cli.storage.runs import is_run_name

MAX_LENGTH = 56  # of the 64 characters of a run name; leaves room for a number
_DEFAULT_STEM = "text"
# Latin letters without a decomposition into a plain letter and a mark.
_LATIN = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ĳ": "ij",
        **dict(zip("øłđðħıŋŧĸəɛɔɓɗƙ", "olddhintkeeobdk", strict=True)),
    }
)


def slug(text: str) -> str:
    """Turn a text into a valid run name."""
    name = re.sub(r"(\.safetensors|[._-])+$", "", _stem(text, MAX_LENGTH))
    return name if is_run_name(name) else f"run-{name}".rstrip("._-")


def check_new_run_name(name: str) -> str:
    """Return the name of a new run. Raises ConfigError with a similar name if it is not valid."""
    if not is_run_name(name):
        raise ConfigError(
            f"{name!r} is not a valid run name", hint=f"use, for example, --run {slug(name)}"
        )
    return name


def run_name(text: str, model: str) -> str:
    """Name a run after its text and its model, as in `anna-lstm-2x512`.

    Latin letters lose their marks. A name without Latin letters and digits becomes `text`.
    """
    ending = f"-{model}"
    return slug((_stem(text, MAX_LENGTH - len(ending)) or _DEFAULT_STEM) + ending)


def _stem(text: str, length: int) -> str:
    """Keep the letters a-z, digits and inner punctuation of a text; may be empty."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_LATIN))
    plain = plain.encode("ascii", "ignore").decode()  # é becomes e
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("._-")[:length].rstrip("._-")
