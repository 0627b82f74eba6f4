"""GPTQModel, through transformers, reads the packed checkpoints: the same losses in float32."""

from pathlib import Path

import pytest
from packed_models import CASES, HALF_SCALES, scored_by

PEERS_PYTHON = Path(__file__).parents[2] / ".venv-peers/bin/python"
# Its reference kernel, run in float32, does the same operations: measured 0. (Biases pass through float16 there, which
# holds these exactly.)
SAME_LOSS = 1e-5

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Return every case exported, scored here and by GPTQModel, all in one child."""
    assert PEERS_PYTHON.exists(), "`make peers` creates .venv-peers"
    child = Path(__file__).with_name("gptqmodel_child.py")
    return scored_by(str(PEERS_PYTHON), child, tmp_path_factory.mktemp("packed"))


@pytest.mark.parametrize("name", CASES)
def test_gptqmodel_reads_the_same_model(packed, name):
    case = packed[name]
    assert (case["theirs"] - case["losses"][True]).abs().max() < SAME_LOSS
    assert abs(case["theirs"].mean() - case["losses"][False].mean()) < HALF_SCALES
