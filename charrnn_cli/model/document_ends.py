"""The ends of documents in generated text."""


def as_written(text: str, end: str | None) -> str:
    """Return generated text with a newline in place of the end symbol of documents.

    After the newline with which most documents end, it makes a blank line.
    """
    return text if end is None else text.replace(end, "\n")
