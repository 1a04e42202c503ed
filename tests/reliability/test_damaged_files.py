"""Damaged, foreign and hostile files are refused quickly, and never run code."""

import io
import json
import os
import pickle
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from charrnn_cli.architecture import ModelConfig
from charrnn_cli.errors import FileFormatError
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.text.encoding import encode_text
from tests.helpers import TIMEOUT, make_checkpoint, save

MUTATIONS = 100_000


@pytest.fixture
def minimal(home: Path) -> Path:
    """The smallest possible checkpoint."""
    config = ModelConfig(vocabulary_size=2, cell="rnn", layers=1, size=1, embed=0)
    return save(make_checkpoint(config, characters="ab"))


def refused(path: Path, raw: bytes, load: Callable[[Path], object] = load_checkpoint) -> bool:
    """Write a file and return whether loading it fails, within a second of processor time."""
    path.write_bytes(raw)
    begun = time.process_time()  # it passes only while this process works
    try:
        load(path)
    except FileFormatError:
        assert time.process_time() - begun < 1
        return True
    return False


def test_every_truncation(minimal: Path, tmp_path: Path) -> None:
    """A checkpoint that was cut off anywhere, or that has a byte too many, is refused."""
    raw = minimal.read_bytes()
    for length in range(len(raw)):
        assert refused(tmp_path / "x", raw[:length]), length
    assert refused(tmp_path / "x", raw + b"\0")
    assert not refused(tmp_path / "x", raw)


def test_every_flipped_bit(minimal: Path, tmp_path: Path) -> None:
    """A checkpoint with any single bit flipped is refused."""
    raw = bytearray(minimal.read_bytes())
    for position in range(len(raw)):
        for bit in range(8):
            raw[position] ^= 1 << bit
            assert refused(tmp_path / "x", bytes(raw)), (position, bit)
            raw[position] ^= 1 << bit


def test_every_damaged_byte_of_an_encoded_text(tmp_path: Path) -> None:
    """An encoded text with one bit of any byte flipped is refused."""
    source, encoded = tmp_path / "t.txt", tmp_path / "t.safetensors"
    source.write_text("ab", "utf-8")
    encode_text(source, encoded)
    raw = bytearray(encoded.read_bytes())
    for position in range(len(raw)):
        raw[position] ^= 4
        assert refused(tmp_path / "x", bytes(raw), Corpus.open), position
        raw[position] ^= 4


def test_the_test_can_fail(minimal: Path, tmp_path: Path) -> None:
    """The safetensors library, as a control, loads a checkpoint with damaged data."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    raw = bytearray(minimal.read_bytes())
    accepted = 0
    for position in range(len(raw) - 20, len(raw)):
        raw[position] ^= 1
        try:
            load(bytes(raw))
            accepted += 1
        except SafetensorError:
            pass
        raw[position] ^= 1
    assert accepted == 20


def mutants(raw: bytes, seed: int) -> Iterator[bytes]:
    """Yield damaged files: bytes cut, zeroed or inserted, lengths and JSON fields changed."""
    choose = random.Random(seed)
    length = int.from_bytes(raw[:8], "little")
    header, data = raw[8 : 8 + length], raw[8 + length :]
    atoms: list[object] = [
        None,
        True,
        0,
        -1,
        1.5,
        2**31,
        2**63,
        10**400,
        "",
        "x",
        [],
        {},
        [[[]]],
        "\ud800",
        1e400,
    ]
    while True:
        kind = choose.randrange(7)
        if kind == 0:
            start, stop = sorted(choose.choices(range(len(raw) + 1), k=2))
            yield raw[:start] + raw[stop:]
        elif kind == 1:
            start, stop = sorted(choose.choices(range(len(raw) + 1), k=2))
            yield raw[:start] + bytes(stop - start) + raw[stop:]
        elif kind == 2:
            position = choose.randrange(len(raw))
            yield raw[:position] + choose.randbytes(choose.randint(1, 8)) + raw[position:]
        elif kind == 3:
            yield (
                choose.randrange(2 ** choose.choice([8, 16, 24, 32, 63])).to_bytes(8, "little")
                + header
                + data
            )
        elif kind == 4:
            outer = json.loads(header)
            entry = outer[choose.choice([name for name in outer if name != "__metadata__"])]
            entry[choose.choice(list(entry))] = choose.choice(atoms)
            text = json.dumps(outer).encode()
            yield len(text).to_bytes(8, "little") + text + data
        elif kind == 5:
            outer = json.loads(header)
            inner = json.loads(outer["__metadata__"]["charrnn"])
            inner[choose.choice(list(inner))] = choose.choice(atoms)
            outer["__metadata__"]["charrnn"] = json.dumps(inner)
            text = json.dumps(outer).encode()
            yield len(text).to_bytes(8, "little") + text + data
        else:
            deep = b"[" * choose.choice([10, 1000, 100_000])
            position = choose.randrange(len(header))
            text = header[:position] + deep + header[position:]
            yield len(text).to_bytes(8, "little") + text + data


def check_mutants(path: Path, scratch: Path, count: int, seed: int) -> None:
    """Check that `count` damaged variants of a file are refused."""
    raw = path.read_bytes()
    for number, mutant in zip(range(count), mutants(raw, seed), strict=False):
        if mutant != raw:
            assert refused(scratch, mutant), (seed, number)


def test_mutations(minimal: Path, tmp_path: Path) -> None:
    """2,000 damaged variants of a checkpoint are refused."""
    check_mutants(minimal, tmp_path / "x", 2000, seed=1)


@pytest.mark.slow
def test_a_hundred_thousand_mutations(minimal: Path, tmp_path: Path) -> None:
    """100,000 damaged variants of a checkpoint are refused."""
    check_mutants(minimal, tmp_path / "x", MUTATIONS, seed=2)


def test_bombs(minimal: Path, tmp_path: Path) -> None:
    """Headers of absurd length, depth and number of tensors are refused quickly."""
    raw = minimal.read_bytes()
    bombs = [
        (2**63).to_bytes(8, "little") + raw[8:],
        (100 << 20).to_bytes(8, "little") + raw[8:],
        *(
            len(text).to_bytes(8, "little") + text
            for text in (b"[" * 200_000, b'{"a":' * 100_000, b"9" * 1_000_000)
        ),
    ]
    many = {
        f"t{number}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
        for number in range(50_000)
    }
    text = json.dumps({"__metadata__": {"charrnn": "{}"}, **many}).encode()
    bombs.append(len(text).to_bytes(8, "little") + text)
    for bomb in bombs:
        assert refused(tmp_path / "x", bomb)
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(FileFormatError):
        load_checkpoint(tmp_path / "sparse")


class Payload:
    """An object that creates a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.canary}",)


def payloads(canary: Path) -> list[bytes]:
    """Return 20 files with a payload."""
    payload = Payload(canary)
    pickles = [pickle.dumps(payload, protocol) for protocol in range(6)]
    nested = [
        pickle.dumps(wrapped, 2) for wrapped in ([payload], {"state_dict": payload}, (1, payload))
    ]
    arrays = io.BytesIO()
    np.save(arrays, np.array([payload], dtype=object), allow_pickle=True)
    zips = []
    for name in ("archive/data.pkl", "data.pkl", "x.npy"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, pickles[2])
            archive.writestr("archive/version", "3")
        zips.append(buffer.getvalue())
    torch_magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickles[2]
    fake_length = [len(raw).to_bytes(8, "little") + raw for raw in pickles[2:5]]
    padded = [b" " * 8 + pickles[2], b"\n" + pickles[0], pickles[5] + bytes(4096)]
    return [*pickles, *nested, arrays.getvalue(), *zips, torch_magic, *fake_length, *padded]


AUDIT = """
import sys
events = []
WATCHED = ("pickle.", "os.system", "os.exec", "os.posix_spawn", "subprocess.", "socket.")
def hook(name, arguments):
    if name.startswith(WATCHED):
        events.append(name)
from charrnn_cli.model.checkpoint import load_checkpoint
from charrnn_cli.text.corpus import Corpus
from charrnn_cli.training.snapshot import load_resume
from charrnn_cli.text.cache import cached_corpus
from charrnn_cli.errors import CharrnnError
from pathlib import Path
sys.addaudithook(hook)
for name in sys.argv[1:]:
    for load in (load_checkpoint, load_resume, Corpus.open, cached_corpus):
        try:
            load(Path(name))
        except CharrnnError:
            continue
        raise SystemExit(f"{load} accepted {name}")
if CONTROL:
    import pickle
    pickle.loads(Path(sys.argv[1]).read_bytes())
sys.exit(",".join(events) or 0)
"""


def audited(paths: list[Path], *, control: bool) -> tuple[int, str]:
    script = AUDIT.replace("CONTROL", str(control))
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return result.returncode, result.stderr


def test_pickles_never_run(tmp_path: Path) -> None:
    """None of 20 payloads runs, and no unpickling starts, in any function that loads files."""
    canary = tmp_path / "canary"
    raws = payloads(canary)
    assert len(raws) == 20
    paths = [tmp_path / f"{number}.safetensors" for number in range(len(raws))]
    for path, raw in zip(paths, raws, strict=True):
        path.write_bytes(raw)
    assert audited(paths, control=False) == (0, "")
    assert not canary.exists()
    code, events = audited(paths, control=True)
    assert code == 1
    assert "pickle.find_class" in events
    assert canary.exists()
