"""A cache of encoded texts, keyed by their content and options."""

import contextlib
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import AlreadyPublishedError, FileFormatError, NotFoundError, TextError
from charrnn_cli.storage.directory import Directory
from charrnn_cli.storage.opening import CHUNK_BYTES
from charrnn_cli.storage.paths import corpora_directory, make_directory
from charrnn_cli.storage.temporary import sweep_temporaries
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.decoding import decompressed, open_text
from charrnn_cli.text.documents import Gathered, gather_documents
from charrnn_cli.text.encoding import check_not_encoded, encode_documents, is_encoded, num_bytes
from charrnn_cli.text.vocab import Vocab

_CACHED = re.compile(r"[0-9a-f]{32}\.(safetensors|baselines\.json)")


def cached_corpus(
    paths: Path | Sequence[Path],
    options: TextOptions | None = None,
    *,
    vocab: Vocab | None = None,
    unknown: Unknown = "error",
    progress: ProgressCallback = no_progress,
) -> Corpus:
    """Open the encoded text from the cache; encode it first if the cache lacks it.

    The arguments are those of `encode_text`. A single path to an encoded file is opened as it is,
    and the other arguments are ignored. Raises TextError, UnknownCharacterError, ConfigError,
    StorageError as `encode_text` does, and FileFormatError if the encoded file is damaged.
    """
    options = options or TextOptions()
    paths = [paths] if isinstance(paths, Path) else paths
    if len(paths) == 1 and is_encoded(paths[0]):
        return Corpus.open(paths[0])
    check_not_encoded(paths)
    directory = make_directory(corpora_directory())
    sweep_temporaries(Directory(directory), _is_cached_name)
    with gather_documents(paths, options.include, progress) as found:
        digests = _digests(found, progress)
        documents = [(each.name, each.optional, digests[each.path]) for each in found.documents]
        wanted = [vocab.characters, unknown] if vocab is not None else None
        key = hashlib.sha256(
            json.dumps([documents, found.skipped, found.name, options.to_json(), wanted]).encode()
        ).hexdigest()
        cached = directory / f"{key[:32]}.safetensors"
        try:
            return Corpus.open(cached, follow=False)
        except NotFoundError:
            pass
        except FileFormatError:  # a cache may be replaced: encode the text again
            with contextlib.suppress(OSError):
                cached.unlink(missing_ok=True)
        try:
            return encode_documents(
                found, cached, options, vocab, unknown, progress, digests, private=True
            )
        except AlreadyPublishedError:  # another process was faster
            return Corpus.open(cached, follow=False)


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
