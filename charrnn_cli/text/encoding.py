"""Text to integers in two streaming passes: count the characters, then write their ids."""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from charrnn_cli.config import TextOptions, Unknown
from charrnn_cli.errors import CharrnnError, ConfigError, TextError, UnknownCharacterError
from charrnn_cli.settings import option_names
from charrnn_cli.shell import path_word
from charrnn_cli.storage.atomic import check_absent
from charrnn_cli.storage.corpus_header import CORPUS_KIND, CorpusHeader
from charrnn_cli.storage.tensor_writer import write_tensors
from charrnn_cli.storage.tensorfile import read_header
from charrnn_cli.text.corpus import Corpus, ProgressCallback, no_progress
from charrnn_cli.text.corpus_file import corpus_specs, ids_dtype
from charrnn_cli.text.counting import CountedText, count_text
from charrnn_cli.text.documents import Document, Gathered, gather_documents
from charrnn_cli.text.encoder import Encoder
from charrnn_cli.text.facts import IS_EMPTY, TextFacts
from charrnn_cli.text.file_kinds import SHORT_PAGE
from charrnn_cli.text.joining_form import joining_hint
from charrnn_cli.text.selection import count_suffixes, held_out_names
from charrnn_cli.text.symbol_table import SymbolTable, symbol_table
from charrnn_cli.text.text_files import open_text
from charrnn_cli.text.vocab import Vocab

Accept = Callable[[str, Vocab], None]
"""Called with the digest and the vocabulary of an encoded text before it is published. An exception
that it raises leaves no file."""

MAX_LISTED = 1_000  # unseen characters and skipped files in a header, which has room for 40,000
MAX_NAMES = 20  # of files that were read


def accept_any(sha256: str, vocab: Vocab) -> None:
    """Accept any text."""


def encode_text(
    paths: Path | Sequence[Path],
    output: Path,
    options: TextOptions | None = None,
    *,
    vocab: Vocab | None = None,
    unknown: Unknown = "error",
    progress: ProgressCallback = no_progress,
) -> Corpus:
    """Encode files, directories or standard input (`-`) into the new file `output`, and open it.

    The files are joined in the order of `paths`. If they are kept apart, or if documents are items,
    an end symbol follows each document and stands before the first. By default, the vocabulary is
    the sorted characters of the text. With `vocab`, `unknown` says how to treat characters that it
    lacks: `error` raises, `skip` leaves them out, and `extend` gives them the next ids. `progress`
    is called with the bytes done and the total of both passes. Each of several files is read as
    UTF-8 if it is valid UTF-8.

    Raises TextError if a named file cannot be read or decoded, or changes while it is read, or if
    there is no text; UnknownCharacterError if `vocab` lacks a character and `unknown` is `error`;
    ConfigError if `vocab` is combined with `options.min_count` or with another `unknown`;
    AlreadyPublishedError if `output` exists; StorageError if it cannot be written.
    """
    options = options or TextOptions()
    paths = [paths] if isinstance(paths, Path) else paths
    check_not_encoded(paths)
    check_absent(output)
    with gather_documents(paths, options.include, progress) as found:
        return encode_documents(found, output, options, vocab, unknown, progress)


def is_encoded(path: Path) -> bool:
    """Return whether a file is a charrnn file, not a text."""
    if not os.path.isfile(path):  # a pipe can be opened only once
        return False
    try:
        read_header(path, follow=True)
    except CharrnnError:
        # By its name a damaged charrnn file; opening it reports the damage.
        return path.suffix == ".safetensors"
    return True


def check_options_apply(paths: Sequence[Path], given: Iterable[str]) -> None:
    """Raise ConfigError if the text is an encoded file, and options for reading a text are given.

    `given` are the names of the options.
    """
    options = option_names(given)
    if options and len(paths) == 1 and is_encoded(paths[0]):
        raise ConfigError(
            f"{paths[0]} is already encoded, so {options} cannot apply",
            hint=f"leave out {options}, or use the original text",
        )


def check_not_encoded(paths: Sequence[Path]) -> None:
    """Raise TextError if an encoded file is among the texts."""
    for path in filter(is_encoded, paths):
        word = path_word(str(path), max_length=400)  # a hint is shortened above 500 characters
        raise TextError(
            f"{path} is already encoded",
            hint=f"decode it first with `charrnn encode --decode {word}`",
        )


def encode_documents(
    found: Gathered,
    output: Path,
    options: TextOptions,
    vocab: Vocab | None,
    unknown: Unknown,
    progress: ProgressCallback,
    digests: Mapping[Path, str] | None = None,
    accept: Accept = accept_any,
    *,
    private: bool = False,
) -> Corpus:
    """Encode gathered documents; see `encode_text`.

    `digests` are the SHA-256 digests of their bytes when they were last read. A text that `accept`
    rejects is not published. A `private` file can be read by the user alone. Raises TextError if a
    document has changed since, and what `accept` raises.
    """
    total = 2 * max(1, num_bytes(found))
    counted = count_text(found, options, lambda done: progress(done, total))
    if not counted.documents:
        raise _nothing_read(found)
    if digests is not None:
        _check_unchanged(found, [digests[each.path] for each in counted.documents], counted.facts)
    _check_separated(found, counted, options)
    if _are_ended(counted, options, vocab, unknown):
        counted.end_files()
    try:
        table = symbol_table(counted.characters.counts, options, vocab, unknown, counted.end)
    except UnknownCharacterError as error:
        hint = vocab and joining_hint(
            found, counted, options, vocab, lambda done: progress(done, total)
        )
        raise UnknownCharacterError(error.message, hint=hint or error.hint) from None
    encoder = Encoder(counted.documents, options, table, counted.end)
    starts_D, characters = counted.starts, counted.characters.total
    if table.skipped is not None:  # the remaining lengths are known only after another pass
        starts_D, characters = encoder.measure(lambda done: progress(done, total))
        if counted.end:  # one follows each document that is left, and one stands before
            table.counts[table.ids[ord(counted.end)]] = len(starts_D) + 1
        if not len(starts_D) or not characters:
            raise TextError(
                f"no character of {found.title} is in the vocabulary",
                hint="train a new model on the text",
            )
    specs = corpus_specs(ids_dtype(len(table.vocab)), characters, len(table.vocab), len(starts_D))
    header = _header(found, counted, options, table, len(starts_D), characters)
    pieces = {
        "vocabulary": table.vocab.to_code_points(),
        "counts": table.counts.tobytes(),
        "documents": starts_D.astype("<u8").tobytes(),
    }
    first_half = counted.facts.num_bytes
    with write_tensors(output, CORPUS_KIND, specs, header.to_json(), private=private) as tensors:
        for name in tensors.order:
            if name == "ids":
                again = encoder.write(
                    tensors, characters, lambda done: progress(first_half + done, total)
                )
            else:
                tensors.write(pieces[name])
        _check_unchanged(found, counted.facts.digests, again)
        accept(tensors.hexdigest(), table.vocab)
    return Corpus.open(output, verify=False)


def _check_separated(found: Gathered, counted: CountedText, options: TextOptions) -> None:
    """Raise TextError if a text between items occurs nowhere, so that each file is an item."""
    between = options.documents
    is_text = options.has_items and between not in ("lines", "blank-lines")
    if not is_text or options.column or len(counted.starts) > len(counted.documents):
        return
    hint = "check the text between the items, or use --documents lines or blank-lines"
    if "\r" in between and options.newlines == "normalize":
        hint = "line ends have become \\n: leave out \\r"
    raise TextError(f"{found.title} does not contain {between!r} between items", hint=hint)


def _are_ended(
    counted: CountedText, options: TextOptions, vocab: Vocab | None, unknown: Unknown
) -> bool:
    """Return whether an end symbol follows each file: if they are apart, and the model knows it."""
    if options.documents != "files" or options.separator or len(counted.documents) == 1:
        return False
    return vocab is None or options.end in vocab or unknown == "extend"


def _nothing_read(found: Gathered) -> TextError:
    reasons = [f"{name} {reason}" for name, reason in found.skipped if reason != IS_EMPTY]
    if not reasons:
        return TextError(f"{found.title} is empty", hint="use a file that contains text")
    more = f"; {len(reasons) - 1:,} more like it" if len(reasons) > 1 else ""
    hint = "use files of plain text (UTF-8)"
    if "--encoding" in reasons[0]:
        hint = "add the option --encoding that its files need"
    return TextError(
        f"no file of the text {found.name!r} can be read: {reasons[0]}{more}", hint=hint
    )


def _header(
    found: Gathered,
    counted: CountedText,
    options: TextOptions,
    table: SymbolTable,
    num_documents: int,
    characters: int,
) -> CorpusHeader:
    names = [document.name for document in counted.documents if document.optional]
    is_short = len(counted.documents) == 1 and counted.facts.num_bytes < SHORT_PAGE
    return CorpusHeader(
        name=found.name,
        characters=characters,
        vocabulary_size=len(table.vocab),
        documents=num_documents,
        end=counted.end,
        source_sha256=counted.facts.sha256,
        encoding=counted.facts.encoding,
        byte_order_mark=counted.facts.byte_order_mark,
        reading=options,
        files_per_encoding=counted.files_per_encoding,
        other_files=counted.other_files[:MAX_LISTED],
        crlf=counted.facts.crlf,
        crcrlf=counted.facts.crcrlf,
        cr=counted.facts.cr,
        unseen=dict(itertools.islice(table.unseen.items(), MAX_LISTED)),
        num_unseen=len(table.unseen),
        skipped=[list(each) for each in found.skipped[:MAX_LISTED]],
        num_skipped=len(found.skipped),
        files=count_suffixes(names),
        left_out=count_suffixes(found.left_out),
        names=names[:MAX_NAMES],
        held_out=held_out_names(names)[:MAX_NAMES],
        web_page=counted.facts.is_web_page and is_short,
    )


def _check_unchanged(found: Gathered, before: list[str], facts: TextFacts) -> None:
    if facts.digests != before:
        raise TextError(
            f"{found.title} changed while it was being read",
            hint="run the command again when no other program is writing to it",
        )


def num_bytes(found: Gathered) -> int:
    """Return the size of all files that can be read."""
    return sum(_file_bytes(document) for document in found.documents)


def _file_bytes(document: Document) -> int:
    try:
        with open_text(document.path, document.title) as file:
            return os.fstat(file.fileno()).st_size
    except TextError:
        if document.optional:
            return 0
        raise
