import json

import pytest

from helpers.measure.training.folder import write_manifest
from helpers.table.errors import CheckpointError
from helpers.table.records import summed


@pytest.mark.parametrize("damage", ["{", "[]", '{"step": 1, "step": 2}', "\xff"])
def test_a_damaged_description_is_named_and_the_manifest_stays(family, damage):
    before = (family / "manifest.json").read_bytes()
    path = sorted(family.glob("*/step-*/checkpoint.json"))[0]
    assert json.loads(path.read_text())
    path.write_text(damage, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: not a checkpoint's description"):
        write_manifest(family)
    assert (family / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("damage", [{"step": 99}, {"checksul": "0"}])
def test_a_description_with_another_number_or_key_is_named(family, damage):
    path = sorted(family.glob("*/step-*/checkpoint.json"))[0]
    path.write_text(json.dumps(summed(json.loads(path.read_text())) | damage))
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: not a checkpoint's description \(damaged, "):
        write_manifest(family)


def test_an_unknown_key_of_a_description_is_named(family):
    path = sorted(family.glob("*/step-*/checkpoint.json"))[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"checksul": "0"}))
    with pytest.raises(CheckpointError, match="unknown key 'checksul'; accepted: family, model"):
        write_manifest(family)
