"""GPTQModel, through transformers, reads the packed checkpoints: the same losses in float32."""

from pathlib import Path

import pytest
from tests.measure.packed_models import CASES, HALF_SCALES, MIXED_CASES, scored_by

PEERS_PYTHON = Path(__file__).parents[2] / ".venv-peers/bin/python"
# Its reference kernel, run in float32, does the same operations: measured 0. (Biases pass through float16 there, which
# holds these exactly.)
SAME_LOSS = 1e-5
# GPTQModel's own loader takes asymmetric grids in this format only from itself, and goes by names of modules, which
# isn't how GPT-NeoX's head is stored.
BY_ITSELF = {"mixed llama": MIXED_CASES["mixed llama"]}

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Return every case exported, scored here and by GPTQModel, all in one child."""
    assert PEERS_PYTHON.exists(), "`make peers` creates .venv-peers"
    child = Path(__file__).with_name("gptqmodel_child.py")
    return scored_by(str(PEERS_PYTHON), child, tmp_path_factory.mktemp("packed"), CASES | MIXED_CASES)


@pytest.fixture(scope="module")
def mixed_by_gptqmodel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Return the mixed cases exported, scored here and by GPTQModel's own loader."""
    child = Path(__file__).with_name("gptqmodel_alone_child.py")
    return scored_by(str(PEERS_PYTHON), child, tmp_path_factory.mktemp("mixed"), BY_ITSELF)


@pytest.mark.parametrize("name", [*CASES, *MIXED_CASES])
def test_gptqmodel_reads_the_same_model(packed, name):
    case = packed[name]
    assert (case["theirs"] - case["losses"][True]).abs().max() < SAME_LOSS
    assert abs(case["theirs"].mean() - case["losses"][False].mean()) < HALF_SCALES


@pytest.mark.parametrize("name", BY_ITSELF)
def test_gptqmodels_own_loader_reads_the_same_mixed_model(mixed_by_gptqmodel, name):
    """It goes by `dynamic`, and transformers by `modules_in_block_to_quantize`: both must name the same matrices."""
    case = mixed_by_gptqmodel[name]
    assert (case["theirs"] - case["losses"][True]).abs().max() < SAME_LOSS
