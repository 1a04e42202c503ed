"""The files of a directory that are read as texts, chosen by their names."""

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath

_TEXT_SUFFIXES = """
    .txt .text .md .markdown .mdown .rst .tex .ltx .bib .adoc .asciidoc .org .textile .wiki .srt
    .vtt .ass .lrc .abc .krn .ly .smi .smiles .fasta .pgn .fen .csv .tsv .tab .log .html .htm
    .xhtml .xml .json .jsonl .ndjson .fountain .po .pot .ged .tokens .asc .nfo
"""
_SOURCE_SUFFIXES = """
    .py .pyi .c .h .cc .cpp .cxx .hpp .hh .cs .java .kt .scala .groovy .js .mjs .cjs .ts .tsx
    .jsx .vue .svelte .css .scss .less .rs .go .zig .swift .m .mm .d .rb .pl .pm .php .lua .r
    .jl .hs .ml .mli .fs .ex .exs .erl .hrl .clj .cljs .lisp .lsp .el .scm .rkt .f .f90 .f95
    .for .pas .ada .adb .ads .asm .s .sh .bash .zsh .fish .ps1 .bat .sql .v .sv .vhd .vhdl
    .cmake .mk .toml .yaml .yml .ini .cfg .conf .proto .glsl .cl .cu .dart .nim .coffee .tcl .vb
    .bas
"""
# Looked at although they are no texts, so that the user learns how to turn them into texts.
_DOCUMENT_SUFFIXES = """
    .docx .doc .odt .rtf .pdf .epub .mobi .pages .bz2 .xz .zst
"""
_TEXT = frozenset(_TEXT_SUFFIXES.split())
_SOURCE = frozenset(_SOURCE_SUFFIXES.split())
_DOCUMENTS = frozenset(_DOCUMENT_SUFFIXES.split())
_SUFFIX = re.compile(r"\.(?=\w*[A-Za-z])[\w+-]{1,12}")
_HELD_OUT = re.compile(r"(?:valid|val|validation|test|dev|eval)(\.\w+)*", re.IGNORECASE)
_MAX_SUFFIXES = 50  # in a header
WITHOUT_SUFFIX, OTHER_SUFFIXES = "without a suffix", "others"


def select(names: Sequence[PurePath], include: str | None) -> list[bool]:
    """Return for each file of a directory, by its relative path, whether it is read.

    `include` has patterns for names or relative paths, separated by commas; those that begin with
    `!` exclude. Without another pattern, texts are read by their suffix, and source files too where
    they are the majority.
    """
    patterns = [pattern.strip() for pattern in (include or "").split(",") if pattern.strip()]
    excluding = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
    including = [pattern for pattern in patterns if not pattern.startswith("!")]
    kept = [not _matches(name, excluding) for name in names]
    if including:
        return [keep and _matches(name, including) for keep, name in zip(kept, names, strict=True)]
    suffixes = [suffix_of(name.name) for name in names]
    counts = Counter(suffix for keep, suffix in zip(kept, suffixes, strict=True) if keep)
    texts = counts[""] + sum(counts[suffix] for suffix in _TEXT)
    wanted = _TEXT | _DOCUMENTS | {""}
    if sum(counts[suffix] for suffix in _SOURCE) > texts:
        wanted |= _SOURCE
    return [keep and suffix in wanted for keep, suffix in zip(kept, suffixes, strict=True)]


def suffix_of(name: str) -> str:
    """Return a file's suffix in small letters, without `.gz`; empty for `README` or `chapter.12`.

    That of a compressed text is the suffix of the text.
    """
    if name.endswith("~"):  # an editor's backup
        return "~"
    suffix = PurePath(name.lower().removesuffix(".gz")).suffix
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def count_suffixes(names: Iterable[str]) -> dict[str, int]:
    """Return the number of files of each suffix, the most frequent first, with at most 50 keys."""
    found = Counter(suffix_of(name) or WITHOUT_SUFFIX for name in names).most_common()
    counts = dict(found[:_MAX_SUFFIXES])
    if others := sum(count for _, count in found[_MAX_SUFFIXES:]):
        counts[OTHER_SUFFIXES] = others
    return counts


def described_suffixes(counts: dict[str, int]) -> str:
    """Return counts of suffixes in words, the most frequent first: `12 .txt, 3 .md`."""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{count:,} {suffix}" for suffix, count in ordered)


def held_out_names(names: Sequence[str]) -> list[str]:
    """Return the distinct names of validation and test files among texts, if there are others."""
    own = [PurePath(name).name for name in names]
    found = [name for name in own if _is_held_out(name)]
    return list(dict.fromkeys(found)) if len(found) < len(own) else []


def excluding(names: Iterable[str], include: str | None) -> str:
    """Return the value of --include that also excludes files of these names."""
    special = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]", ",": "?"})
    return ",".join([*([include] if include else []), *(f"!{n.translate(special)}" for n in names)])


def _is_held_out(name: str) -> bool:
    return suffix_of(name) in _TEXT | {""} and bool(_HELD_OUT.fullmatch(name))


def _matches(path: PurePath, patterns: Sequence[str]) -> bool:
    """Return whether a pattern matches a file's name, its path, or a directory that it is in."""
    names = [path.name, *(each.as_posix() for each in (path, *path.parents[:-1]))]
    return any(
        fnmatch.fnmatch(name, pattern.removesuffix("/")) for pattern in patterns for name in names
    )
