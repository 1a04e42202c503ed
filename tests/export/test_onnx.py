"""Models as ONNX files: the graph, its metadata, and the program of ONNX.md."""

import hashlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import charrnn_cli
from charrnn_cli.architecture import Cell, ModelConfig
from charrnn_cli.config import SampleConfig
from charrnn_cli.errors import ConfigError
from charrnn_cli.export.onnx_graph import to_onnx
from charrnn_cli.model.checkpoint import Checkpoint, load_checkpoint
from charrnn_cli.model.engine import Engine
from charrnn_cli.model.filters import draw, filter_logits
from charrnn_cli.model.ngram_reader import NgramReader
from charrnn_cli.model.sampling import generate, uniforms
from tests.helpers import TIMEOUT, Inside, make_checkpoint, make_item_checkpoint, save
from tests.test_golden import FORMAT_1

DOCUMENTATION = Path(charrnn_cli.__file__).parent / "export" / "ONNX.md"
DIGEST = "0" * 64

Array = npt.NDArray[np.float32]


class Session:
    """A graph in onnxruntime, with the state of its rows."""

    def __init__(self, data: bytes, rows: int = 1) -> None:
        runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        self._session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
        inputs = self._session.get_inputs()
        self.state: dict[str, Array] = {
            each.name: np.zeros((1, rows, each.shape[2]), np.float32)
            for each in inputs
            if each.name not in ("ids", "ngram")
        }
        self._outputs = [each.name for each in self._session.get_outputs()]
        self.needs_ngrams = "ngram" in [each.name for each in inputs]

    @property
    def metadata(self) -> dict[str, Any]:
        properties = self._session.get_modelmeta().custom_metadata_map
        assert list(properties) == ["charrnn"]
        metadata: dict[str, Any] = json.loads(properties["charrnn"])
        return metadata

    def read(self, ids_TR: npt.NDArray[np.int64], ngrams_TRV: Array | None = None) -> Array:
        """Return the logits (T, R, V), and keep the state."""
        inputs = {"ids": ids_TR, **self.state}
        if ngrams_TRV is not None:
            inputs["ngram"] = ngrams_TRV
        outputs = dict(zip(self._outputs, self._session.run(None, inputs), strict=True))
        logits_TRV: Array = outputs.pop("logits")
        self.state = {name.removesuffix("_out"): part for name, part in outputs.items()}
        return logits_TRV


def engine_logits(checkpoint: Checkpoint, ids_TR: npt.NDArray[np.int64]) -> Array:
    """Return the logits (T, R, V) of the numpy engine."""
    engine = Engine(checkpoint.model, checkpoint.weights, checkpoint.ngrams)
    rows = engine.repeat(ids_TR.shape[1])
    return np.array([logits_RV.copy() for logits_RV in rows.read(ids_TR)])


def ngrams_of(checkpoint: Checkpoint, ids_TR: npt.NDArray[np.int64]) -> Array | None:
    if checkpoint.ngrams is None:
        return None
    return NgramReader(checkpoint.ngrams, ids_TR.shape[1]).read(ids_TR)


@pytest.mark.parametrize("ngram", [0, 3])
@pytest.mark.parametrize("embed", [0, 5])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_graph_computes_what_the_engine_does(
    cell: Cell, layers: int, embed: int, ngram: int
) -> None:
    """The logits of a valid graph are within 1e-5 of the engine's, in one call or in several."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    config = ModelConfig(
        vocabulary_size=10, cell=cell, layers=layers, size=12, embed=embed, ngram=ngram
    )
    checkpoint = make_checkpoint(config, scale=0.1)
    data = to_onnx(checkpoint, DIGEST)
    onnx.checker.check_model(data, full_check=True)
    generator = np.random.Generator(np.random.PCG64(1))
    for time, rows in ((1, 1), (5, 13), (64, 3)):
        ids_TR = generator.integers(0, 10, (time, rows))
        ngrams_TRV = ngrams_of(checkpoint, ids_TR)
        expected_TRV = engine_logits(checkpoint, ids_TR)
        whole = Session(data, rows).read(ids_TR, ngrams_TRV)
        np.testing.assert_allclose(whole, expected_TRV, rtol=0, atol=1e-5)
        session = Session(data, rows)
        for at in range(time):
            part = slice(at, at + 1)
            logits_1RV = session.read(
                ids_TR[part], None if ngrams_TRV is None else ngrams_TRV[part]
            )
            np.testing.assert_allclose(logits_1RV, expected_TRV[part], rtol=0, atol=1e-5)


def sampled(session: Session, checkpoint: Checkpoint, prime: str, length: int) -> Iterator[str]:
    """Write text with a graph as `generate` does with the engine, with seed 1."""
    ids, stream = np.array(checkpoint.vocab.encode(prime)), uniforms(1)
    reader = None if checkpoint.ngrams is None else NgramReader(checkpoint.ngrams)
    for _ in range(length):
        ids_TR = ids.astype(np.int64)[:, None]
        ngrams_TRV = None if reader is None else reader.read(ids_TR)
        logits_RV = session.read(ids_TR, ngrams_TRV)[-1]
        logits_RK, ids_RK = filter_logits(logits_RV, SampleConfig())
        ids = np.array(draw(logits_RK, [next(stream)], ids_RK))
        yield checkpoint.vocab.characters[ids[0]]


@pytest.mark.parametrize("name", ["checkpoint", "ngrams"])
def test_the_graph_writes_the_same_text(name: str) -> None:
    """500 characters drawn through onnxruntime are those of the engine."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    checkpoint = load_checkpoint(FORMAT_1 / f"{name}.safetensors")
    session = Session(to_onnx(checkpoint, DIGEST))
    assert session.needs_ngrams == (name == "ngrams")
    expected = "".join(generate(checkpoint, "the ", length=500, seed=1))
    assert "".join(sampled(session, checkpoint, "the ", 500)) == expected


@pytest.mark.parametrize(
    ("name", "sample"), [("checkpoint", "sample"), ("ngrams", "ngrams-sample")]
)
def test_recorded_files_write_their_text(name: str, sample: str) -> None:
    """A graph of format 1, as it was once written, writes the recorded 200 characters."""
    checkpoint = load_checkpoint(FORMAT_1 / f"{name}.safetensors")
    session = Session((FORMAT_1 / f"{name}.onnx").read_bytes())
    expected = (FORMAT_1 / f"{sample}.txt").read_text("utf-8")
    assert "the " + "".join(sampled(session, checkpoint, "the ", 200)) == expected
    assert session.metadata["format"] == 1
    assert session.metadata["vocabulary"] == [ord(each) for each in checkpoint.vocab.characters]


def test_metadata_describes_the_model() -> None:
    """The metadata have the vocabulary as code points, and where the model comes from."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    strange = '\x00\n"\\</script>\u2028\u202e😀\ud83d\ude00'
    characters = "".join(dict.fromkeys(strange))
    checkpoint = make_checkpoint(
        ModelConfig(vocabulary_size=len(characters), layers=1, size=4, embed=3),
        characters=characters,
        run='a"><img src=x>',
    )
    session = Session(to_onnx(checkpoint, DIGEST))
    assert session.metadata == {
        "format": 1,
        "model": checkpoint.model.to_json(),
        "vocabulary": [ord(character) for character in characters],
        "end": None,
        "run": 'a"><img src=x>',
        "step": 100,
        "val_loss": 1.5,
        "checkpoint_sha256": DIGEST,
    }


def test_metadata_name_the_end_symbol() -> None:
    """A model whose documents end says with which symbol."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    assert Session(to_onnx(make_item_checkpoint(), DIGEST)).metadata["end"] == ord("\n")


def test_equal_checkpoints_give_equal_bytes() -> None:
    """Two exports of a checkpoint are equal, and another step's differ."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    checkpoint = make_checkpoint()
    assert to_onnx(checkpoint, DIGEST) == to_onnx(make_checkpoint(), DIGEST)
    assert to_onnx(checkpoint, DIGEST) != to_onnx(replace(checkpoint, step=101), DIGEST)


def test_a_larger_file_than_the_format_allows_is_refused() -> None:
    """A model of more than 2 GB is an error before anything is built."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    config = ModelConfig(vocabulary_size=10, layers=5, size=4096, embed=4)
    zero = np.zeros(1, np.float32)  # shapes without memory
    weights = {name: np.broadcast_to(zero, shape) for name, shape in config.tensor_shapes().items()}
    checkpoint = replace(make_checkpoint(), model=config, weights=weights)
    with pytest.raises(ConfigError) as error:
        to_onnx(checkpoint, DIGEST)
    assert error.value.message == ("an ONNX file holds at most 2 GB, and this model takes 2.4 GB")
    assert error.value.hint == "export to a .safetensors file"


@pytest.mark.parametrize("ngram", [0, 3])
def test_the_command_writes_the_graph(inside: Inside, tmp_path: Path, ngram: int) -> None:
    """`export -o FILE.onnx` writes the graph, and says if it needs the input of n-grams."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    config = ModelConfig(vocabulary_size=10, layers=1, size=4, embed=3, ngram=ngram)
    checkpoint = make_checkpoint(config)
    path = save(checkpoint)
    result = inside("checkpoints", "export", "tiny", "-o", "tiny.ONNX")
    data = (tmp_path / "tiny.ONNX").read_bytes()
    assert data == to_onnx(checkpoint, hashlib.sha256(path.read_bytes()).hexdigest())
    note = (
        "note    this graph needs one more input, `ngram`, which charrnn.NgramReader computes;"
        " the graph of a model trained with --ngram 0 does not\n"
    )
    wrote = f"wrote   tiny.ONNX, {len(data) / 1000:.1f} kB\n"
    following = "next    run ./tiny.ONNX with onnxruntime\n"
    assert result == (0, "", wrote + (note if ngram else "") + following)
    again = inside("checkpoints", "export", "tiny", "-o", "tiny.ONNX")
    assert again.stderr.startswith("error: tiny.ONNX already exists\n")
    assert (tmp_path / "tiny.ONNX").read_bytes() == data


@pytest.mark.usefixtures("tiny_run")
def test_export_needs_neither_torch_nor_onnx_for_other_files(tmp_path: Path) -> None:
    """Without onnx, an export names the command that installs it; torch is never imported."""
    script = (
        "import sys; sys.modules['onnx'] = None\n"
        "from charrnn_cli.__main__ import main\n"
        "sys.argv = ['charrnn', 'checkpoints', 'export', 'tiny', '-o', 'tiny.onnx']\n"
        "try:\n    main()\n"
        "finally:\n    assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        cwd=tmp_path,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        "error: ONNX export requires onnx\nhint: run `pip install onnx`\n",
    )
    assert not (tmp_path / "tiny.onnx").exists()


@pytest.mark.parametrize("ngram", [0, 3])
def test_the_documented_program_runs(
    ngram: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python lines of ONNX.md write 500 characters, with n-grams and without."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    program, before, inside_loop = re.findall(
        r"^```python\n(.*?)^```", DOCUMENTATION.read_text("utf-8"), re.S | re.M
    )
    if ngram:
        program = program.replace("for _ in", before + "for _ in")
        program = program.replace("    state = dict", inside_loop + "    state = dict")
    characters = "Levin \n"
    config = ModelConfig(vocabulary_size=7, layers=2, size=4, embed=3, ngram=ngram)
    checkpoint = make_checkpoint(config, characters=characters, run="anna")
    save(checkpoint)
    (tmp_path / "anna.onnx").write_bytes(to_onnx(checkpoint, DIGEST))
    monkeypatch.chdir(tmp_path)
    with redirect_stdout(io.StringIO()) as written:
        exec(program, {})
    assert len(written.getvalue()) == 500
    assert set(written.getvalue()) <= set(characters)
