import json
import re
from pathlib import Path

import pytest

from helpers.measure.models import checkpoints
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
