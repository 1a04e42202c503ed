"""Files with valid digests and impossible content: every command reads them, and none crashes.

An accident breaks a digest. A program gone wrong, or a stranger, signs what it writes.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.storage.registry import Registry
from charrnn_cli.storage.runs import Run
from charrnn_cli.storage.tensor_writer import sign_header
from charrnn_cli.storage.tensorfile import TensorSpec, describe_tensor, read_header
from tests.helpers import FAST, Inside

FEW, MANY = 20, 6700  # mutants of each of three kinds of file

NASTY: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3, 10, 2**31, 2**53, 10**10, 10**400),
    *(0.0, -0.5, 1e-300, 1e300, 1.5, "", "x", "\n", "\x1b[31m", "a" * 5000, "../../x", "$(id)"),
    *([], {}, [1], ["x"], {"a": 1}, [[["x"]]], {"a": {"a": [None]}}),
]


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, bytes]]:
    """Return the inner header, the table of tensors, and the tensors' bytes."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    outer = json.loads(raw[8 : 8 + length])
    inner = json.loads(outer.pop("__metadata__")["charrnn"])
    data = raw[8 + length :]
    tensors = {name: data[slice(*entry["data_offsets"])] for name, entry in outer.items()}
    return inner, outer, tensors


def sign(
    path: Path, inner: dict[str, Any], table: dict[str, Any], tensors: dict[str, bytes]
) -> None:
    """Write a file whose digests are right, whatever its content."""
    digest, start = hashlib.sha256(), 0
    for name, entry in table.items():
        if isinstance(entry, dict):
            size = len(tensors.get(name, b""))
            entry["data_offsets"] = [start, start + size]
            start += size
            spec = TensorSpec(str(entry.get("dtype")), entry.get("shape", ()))
            digest.update(describe_tensor(name, spec) + tensors.get(name, b""))
    signed = {**inner, "tensors_sha256": digest.hexdigest(), "header_sha256": "0" * 64}
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"))
    raw = json.dumps({"__metadata__": {"charrnn": text}, **table}, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    header = sign_header(len(raw).to_bytes(8, "little") + raw)
    path.write_bytes(header + b"".join(tensors.get(name, b"") for name in table))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container in a JSON value with each of its keys."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def mutate(choose: random.Random, path: Path, target: Path) -> None:
    """Write a file that differs from the one at `path` in a few places, with right digests."""
    inner, table, tensors = read(path)
    for _ in range(choose.choice([1, 1, 1, 2, 3])):
        match choose.choice(["field", "field", "field", "table", "tensor", "ids"]):
            case "field":
                change(choose, inner)
            case "table":
                change(choose, table)
            case "tensor":
                name = choose.choice(list(tensors))
                pieces = (b"", bytes(8), b"\xff" * 8, choose.randbytes(16), tensors[name] * 2)
                tensors[name] = (choose.choice(pieces) + tensors[name])[: len(tensors[name])]
            case "ids":
                name = choose.choice(["vocabulary", *tensors])
                tensors[name] = bytes(choose.choices([0, 1, 10, 97, 255], k=len(tensors[name])))
    sign(target, inner, table, tensors)


def change(choose: random.Random, value: dict[str, Any]) -> None:
    """Replace, remove or add a value at a random place."""
    container, key = choose.choice(list(places(value)))
    match choose.choice(["replace", "replace", "replace", "remove", "add"]):
        case "replace":
            container[key] = choose.choice(NASTY)
        case "remove":
            del container[key]
        case "add" if isinstance(container, dict):
            container[choose.choice(["later", "format", "model", ""])] = choose.choice(NASTY)


@pytest.fixture
def story_run(inside: Inside, story: Path) -> Run:
    """A run with checkpoints and both resume files."""
    options = (*FAST, "--run", "real", "--max-steps", "4", "--eval-every", "2")
    assert inside("train", story, *options).returncode == 0
    return Registry().run("real")


def readers(kind: str, path: Path, story: Path) -> list[tuple[str, ...]]:
    """Return every command that reads such a file."""
    match kind:
        case "checkpoint":
            return [
                ("checkpoints", "list", "--json"),
                ("checkpoints", "list"),
                ("checkpoints", "list", "real"),
                ("checkpoints", "show", "real@4"),
                ("checkpoints", "show", str(path), "--json"),
                ("checkpoints", "path", "real"),
                ("checkpoints", "verify"),
                ("checkpoints", "export", "real@4", "-o", str(story.with_name("exported"))),
                ("checkpoints", "import", str(path), "--run", "imported"),
                ("sample", "real@4", "-n", "3", "--seed", "1"),
                ("score", "real@4", str(story)),
                ("train", str(story), "--init-from", "real@4", "--dry-run", "--max-steps", "1"),
            ]
        case "resume":
            return [
                ("checkpoints", "list"),
                ("checkpoints", "show", "real"),
                ("checkpoints", "verify", "real"),
                ("train", "--resume", "real", "--max-steps", "5", "-q"),
            ]
        case _:
            return [
                ("encode", str(path), "--json"),
                ("encode", "--decode", str(path)),
                ("score", "real@4", str(path)),
                ("encode", str(story), "--vocab", str(path), "--json"),
                ("sample", "real@4", "-n", "30", "--check-copy", str(path), "--seed", "1"),
                ("train", str(path), *FAST, "--max-steps", "1", "--dry-run"),
            ]


def attack(kind: str, count: int, run: Run, story: Path, inside: Inside) -> tuple[int, int]:
    """Let every reader read `count` mutants; return how many were read and how many refused."""
    corpus = story.with_name("encoded.safetensors")
    assert inside("encode", str(story), "-o", str(corpus))[0] == 0
    path = {"checkpoint": run.step_path(4), "resume": run.resume_path, "corpus": corpus}[kind]
    whole = story.with_name("whole.safetensors")
    shutil.copy(path, whole)
    kept = story.with_name("kept")
    shutil.copytree(run.path, kept)
    choose, done, refused = random.Random(5), 0, 0
    while done < count:
        seed = choose.getrandbits(64)
        mutate(random.Random(seed), whole, path)
        done += 1
        for command in readers(kind, path, story):
            code, _, err = inside(*command)
            refused += code != 0
            assert code in (0, 1, 2), (seed, command, err)
            assert "internal error" not in err, (seed, command, err)
            assert "Traceback" not in err, (seed, command, err)
        for name in ("exported", "runs/imported"):
            leftover = story.with_name(name) if name == "exported" else run.path.parent / "imported"
            shutil.rmtree(leftover, ignore_errors=True)
            leftover.unlink(missing_ok=True) if leftover.is_file() else None
        shutil.rmtree(run.path)
        shutil.copytree(kept, run.path)
    return done, refused


@pytest.mark.parametrize("kind", ["checkpoint", "resume", "corpus"])
def test_signed_mutants(kind: str, story_run: Run, story: Path, inside: Inside) -> None:
    """Whatever a signed file says, a command uses it or refuses it with one line."""
    done, refused = attack(kind, FEW, story_run, story, inside)
    assert done == FEW
    assert refused > FEW // 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["checkpoint", "resume", "corpus"])
def test_many_signed_mutants(kind: str, story_run: Run, story: Path, inside: Inside) -> None:
    """Of thousands of signed files, none crashes a command."""
    assert attack(kind, MANY, story_run, story, inside)[0] == MANY


def test_the_signature_is_right(story_run: Run, tmp_path: Path) -> None:
    """A file that is signed again without a change is read as before: the mutants are signed."""
    path = story_run.step_path(4)
    again = tmp_path / "again.safetensors"
    sign(again, *read(path))
    assert read_header(again).tensors_sha256 == read_header(path).tensors_sha256
    assert load_checkpoint(again).step == 4
