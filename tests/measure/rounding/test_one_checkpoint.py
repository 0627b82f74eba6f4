import dataclasses
import json
import re
from pathlib import Path

import pytest
from tests.measure.tiny import tiny_model

from helpers.measure.models import checkpoints
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.one_checkpoint import load_folder
from helpers.table.errors import CheckpointError
from helpers.table.families import catalogue


def described(family: Path) -> Path:
    """Return the folder of a checkpoint whose description says what its weights and its configuration are."""
    folder = Path(catalogue.read_manifest(family)[0].location)
    says = {"weights_sha256": checkpoints.weights_sha256(folder), "architecture": checkpoints.architecture_of(folder)}
    (folder / "checkpoint.json").write_text(json.dumps(says), encoding="utf-8")
    return folder


def test_a_checkpoint_as_described_is_loaded(family):
    folder = described(family)
    checkpoint, sha256 = load_folder(folder, "cpu")
    assert (checkpoint.folder, sha256) == (folder, checkpoints.weights_sha256(folder))


def test_another_configuration_than_the_one_described_is_refused(family):
    """Exports and searches go through here: the same weights under another activation are another model."""
    folder = described(family)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_act": "relu"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=re.escape(str(config)) + r": not the configuration described"):
        load_folder(folder, "cpu")


def test_another_tokenizer_beside_the_weights_is_another_identity(family):
    folder = described(family)
    before = checkpoints.beside_of(folder)
    assert before.tokenizer_sha256 is not None
    tokenizer = checkpoints.tokenizer_folder(folder) / "tokenizer.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | {"truncation": None, "version": "1.1"}))
    assert checkpoints.beside_of(folder).tokenizer_sha256 != before.tokenizer_sha256


@pytest.mark.parametrize(("d_model", "asked", "expected"), [(128, None, 128), (64, None, 64), (32, None, 32)])
def test_the_default_group_is_the_first_usual_one_that_divides(tmp_path, d_model, asked, expected):
    tiny_model(seed=1, d_model=d_model).save_pretrained(tmp_path / "model")
    assert one_checkpoint.group_size_for(tmp_path / "model", asked) == expected


@pytest.mark.parametrize(("asked", "expected"), [(16, 16), (-1, None)])
def test_a_group_that_is_asked_for_needs_no_model(tmp_path, asked, expected):
    assert one_checkpoint.group_size_for(tmp_path / "nowhere", asked) == expected


def test_a_default_group_of_no_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"config.json: missing \(accepted: a folder with config.json and safet"):
        one_checkpoint.group_size_for(tmp_path / "nowhere", None)


@pytest.mark.parametrize(("positions", "expected"), [(64, 64), (2048, 512)])
def test_calibration_sequences_are_no_longer_than_the_window(family, positions, expected):
    folder = Path(catalogue.read_manifest(family)[0].location)
    config = folder / "config.json"
    said = json.loads(config.read_text()) | {"max_position_embeddings": positions}
    config.write_text(json.dumps(said), encoding="utf-8")
    scheme = one_checkpoint.gptq_scheme_for(folder, 4, 16, symmetric=False)
    assert scheme == one_checkpoint.gptq_scheme(4, 16, symmetric=False, seq_len=expected)
    checkpoint, _ = load_folder(folder, "cpu")
    few = dataclasses.replace(scheme, calib_sequences=2)
    scheme, tokens = one_checkpoint.calibrated(checkpoint, few)
    assert tokens.shape == (2, expected)
    assert one_checkpoint.round_checkpoint(checkpoint, scheme, tokens).weights
