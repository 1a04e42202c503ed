"""An assembler for the part of WebAssembly's text format that `product.wat` uses.

`python -m tests.export.assembler` writes `product.wasm` anew.
"""

import re
from itertools import groupby
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parents[2] / "charrnn_cli" / "export" / "page_files" / "product.wat"

_TYPES = {"i32": 0x7F, "f32": 0x7D, "v128": 0x7B}
_SIMPLE = {
    "i32.lt_u": b"\x49",
    "i32.add": b"\x6a",
    "i32.sub": b"\x6b",
    "f32.add": b"\x92",
    "f32x4.add": b"\xfd\xe4\x01",
    "f32x4.mul": b"\xfd\xe6\x01",
}
_NUMBERED = {
    "local.get": b"\x20",
    "local.set": b"\x21",
    "br_if": b"\x0d",
    "i32.const": b"\x41",
    "f32x4.extract_lane": b"\xfd\x1f",
}
_MEMORY = {"f32.load": b"\x2a\x02", "f32.store": b"\x38\x02", "v128.load": b"\xfd\x00\x04"}

Tree = list[Any]
"""A list of words and of trees."""


def assemble(text: str) -> bytes:
    """Return the binary module of a module with one imported memory and one exported function."""
    memory, function = _lists(_parse(text))
    _, module, name, limit = memory
    parts = _lists(function)
    heads = ("export", "param", "local")
    parameters, variables = ([p for p in parts if p[0] == head] for head in heads[1:])
    names = [str(part[1]) for part in parameters + variables]
    groups = [(kind, len(list(each))) for kind, each in groupby(str(v[2]) for v in variables)]
    types = b"".join(bytes([count, _TYPES[kind]]) for kind, count in groups)
    code = b"".join(_code(part, names, []) for part in parts if part[0] not in heads)
    body = _number(len(groups)) + types + code + b"\x0b"
    signature = bytes([0x60, len(parameters), *(_TYPES[str(p[2])] for p in parameters), 0])
    sections = {
        1: b"\x01" + signature,
        2: b"\x01" + _name(module) + _name(name) + b"\x02\x00" + _number(int(limit[1])),
        3: b"\x01\x00",
        7: b"\x01" + _name(parts[0][1]) + b"\x00\x00",
        10: b"\x01" + _number(len(body)) + body,
    }
    return b"\0asm\1\0\0\0" + b"".join(
        bytes([kind]) + _number(len(content)) + content for kind, content in sections.items()
    )


def _parse(text: str) -> Tree:
    stack: list[Tree] = [[]]
    for token in re.findall(r'[()]|"[^"]*"|[^\s()]+', re.sub(";;.*", "", text)):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    module: Tree = stack[0][0]
    return module


def _lists(tree: Tree) -> list[Tree]:
    return [part for part in tree if isinstance(part, list)]


def _code(tree: Tree, names: list[str], labels: list[str]) -> bytes:
    """Return the code of a folded instruction: its operands come first."""
    name, rest = str(tree[0]), tree[1:]
    if name == "loop":
        inner = [str(rest[0]), *labels]
        parts = [_code(part, names, inner) for part in _lists(rest)]
        return b"\x03\x40" + b"".join(parts) + b"\x0b"
    operands = b"".join(_code(part, names, labels) for part in _lists(rest))
    immediates = [part for part in rest if isinstance(part, str)]
    if name in _SIMPLE:
        return operands + _SIMPLE[name]
    if name in _MEMORY:
        offset = immediates[0].removeprefix("offset=") if immediates else "0"
        return operands + _MEMORY[name] + _number(int(offset))
    if name == "v128.const":
        return b"\xfd\x0c" + b"".join(int(each).to_bytes(4, "little") for each in immediates[1:])
    (given,) = immediates
    place = (labels if name == "br_if" else names).index(given) if given[0] == "$" else int(given)
    return operands + _NUMBERED[name] + (_signed if name == "i32.const" else _number)(place)


def _name(quoted: object) -> bytes:
    text = str(quoted).strip('"').encode()
    return _number(len(text)) + text


def _number(value: int) -> bytes:
    """Return a number in LEB128."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts[-1] |= 0x80
        parts.append(value & 0x7F)
    return bytes(parts)


def _signed(value: int) -> bytes:
    """Return a number from 0 in signed LEB128."""
    encoded = _number(value)
    return encoded[:-1] + bytes([encoded[-1] | 0x80, 0]) if encoded[-1] & 0x40 else encoded


if __name__ == "__main__":
    PROGRAM.with_suffix(".wasm").write_bytes(assemble(PROGRAM.read_text("utf-8")))
