import json

import pytest

from helpers.measure.training.folder import write_manifest
from helpers.table.errors import CheckpointError


@pytest.mark.parametrize("damage", ["{", "[]", '{"step": 1, "step": 2}', "\xff"])
def test_a_damaged_description_is_named_and_the_manifest_stays(family, damage):
    before = (family / "manifest.json").read_bytes()
    path = sorted(family.glob("*/step-*/checkpoint.json"))[0]
    assert json.loads(path.read_text())
    path.write_text(damage, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: not a checkpoint's description"):
        write_manifest(family)
    assert (family / "manifest.json").read_bytes() == before
