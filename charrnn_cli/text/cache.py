"""A cache of encoded texts, keyed by their content and options."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import FileFormatError, NotFoundError, StorageError, TextError
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.opening import CHUNK_BYTES
from charrnn_cli.storage.paths import (
    check_writable,
    corpora_directory,
    make_directory,
    temporary_directory,
)
from charrnn_cli.storage.temporary import sweep_temporaries, temporary_name
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.documents import Gathered, gather_documents
from charrnn_cli.text.encoding import (
    Accept,
    accept_any,
    check_not_encoded,
    encode_documents,
    is_encoded,
    num_bytes,
)
from charrnn_cli.text.selection import count_suffixes
from charrnn_cli.text.text_files import decompressed, open_text
from charrnn_cli.text.vocab import Vocab

_CACHED = re.compile(r"[0-9a-f]{32}\.(safetensors|baselines\.json)")


def cached_corpus(
    paths: Path | Sequence[Path],
    options: TextOptions | None = None,
    *,
    vocab: Vocab | None = None,
    unknown: Unknown = "error",
    progress: ProgressCallback = no_progress,
    accept: Accept = accept_any,
) -> Corpus:
    """Open the encoded text from the cache; encode it first if the cache lacks it.

    The arguments are those of `encode_text`. A single path to an encoded file is opened as it is,
    and the other arguments are ignored, except for `accept`: it is called with the digest and the
    vocabulary of the text, and a text that it rejects is not added to the cache. A cache that
    cannot be used is replaced by a file in the system's temporary directory, which is deleted at
    once and stays open as long as the corpus exists.
    Raises TextError, UnknownCharacterError, ConfigError, StorageError as `encode_text` does,
    FileFormatError if the encoded file is damaged, and what `accept` raises.
    """
    options = options or TextOptions()
    paths = [paths] if isinstance(paths, Path) else paths
    if len(paths) == 1 and is_encoded(paths[0]):
        return _accepted(Corpus.open(paths[0]), accept)
    check_not_encoded(paths)
    directory = corpora_directory()
    sweep_temporaries(Directory(directory), _is_cached_name)
    with gather_documents(paths, options.include, progress) as found:
        digests = _digests(found, progress)
        documents = [(each.name, each.optional, digests[each.path]) for each in found.documents]
        wanted = [vocab.characters, unknown] if vocab is not None else None
        others = [found.skipped, count_suffixes(found.left_out)]  # are in the header
        key = hashlib.sha256(
            json.dumps([documents, others, found.name, options.to_json(), wanted]).encode()
        ).hexdigest()

        def encode(output: Path) -> Corpus:
            return encode_documents(
                found, output, options, vocab, unknown, progress, digests, accept, private=True
            )

        cached = directory / f"{key[:32]}.safetensors"
        corpus = _from_cache(cached)
        return _encode_to_cache(cached, encode) if corpus is None else _accepted(corpus, accept)


def _accepted(corpus: Corpus, accept: Accept) -> Corpus:
    accept(corpus.sha256, corpus.vocab)
    return corpus


def _from_cache(cached: Path) -> Corpus | None:
    """Open an encoded text; None if it is absent or cannot be read. A damaged one is deleted."""
    try:
        return Corpus.open(cached, follow=False)
    except FileFormatError:  # a cache may be replaced: encode the text again
        with contextlib.suppress(OSError):
            cached.unlink(missing_ok=True)
    except (NotFoundError, StorageError):
        pass
    return None


def _encode_to_cache(cached: Path, encode: Callable[[Path], Corpus]) -> Corpus:
    """Encode a text to the cache or, if that cannot be written, to a temporary file."""
    try:
        check_writable(make_directory(cached.parent))
        return encode(cached)
    except StorageError as error:
        # After AlreadyPublishedError: another process was faster.
        if corpus := _from_cache(cached):
            return corpus
        try:
            directory = temporary_directory()
            with temporary_name(Directory(directory), "scratch") as name:
                return encode(directory / name)
        except StorageError:  # the home directory is what the user can change
            raise error from None


def _is_cached_name(target: str) -> bool:
    """Return whether a temporary file in the cache is one of ours, by its target's name."""
    return target == "scratch" or bool(_CACHED.fullmatch(target))


def _digests(found: Gathered, progress: ProgressCallback) -> dict[Path, str]:
    """Return the SHA-256 of each file's decompressed bytes; `unreadable` for skipped files."""
    total = num_bytes(found)
    done, digests = 0, {}
    for document in found.documents:
        digest = hashlib.sha256()
        try:
            with open_text(document.path, document.title) as raw:
                file = decompressed(raw)
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    progress(done + raw.tell(), max(total, done + raw.tell()))
                done += raw.tell()
        except TextError:
            if not document.optional:
                raise
            digests[document.path] = "unreadable"
        else:
            digests[document.path] = digest.hexdigest()
    return digests
