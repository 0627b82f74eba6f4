import math

import pytest
import torch

from helpers.measure.corpora import Blocks
from helpers.measure.evaluate import block_losses, evaluate

TOKENS = torch.randint(0, 1024, (6, 33), generator=torch.Generator().manual_seed(0))


def test_the_loss_is_transformers_own(model):
    expected = [model(block[None], labels=block[None]).loss.item() for block in TOKENS]
    assert block_losses(model, TOKENS, 4).tolist() == pytest.approx(expected, rel=1e-5)


def test_the_micro_batch_changes_nothing_that_matters(model):
    one, six = block_losses(model, TOKENS, 1), block_losses(model, TOKENS, 6)
    torch.testing.assert_close(one, six, rtol=1e-6, atol=0)


def test_documents_average_their_blocks_and_bytes_set_the_unit(model):
    blocks = Blocks(TOKENS, documents=(0, 1, 2, 0, 1, 2), n_bytes=400, sha256="")
    found = evaluate(model, blocks, 4)
    losses = block_losses(model, TOKENS, 4)
    assert found.group_loss == pytest.approx([((losses[i] + losses[i + 3]) / 2).item() for i in range(3)])
    assert found.loss_nats == pytest.approx(losses.mean().item())
    assert found.n_tokens == 6 * 32
    assert found.bits_per_byte == pytest.approx(found.loss_nats / math.log(2) * 6 * 32 / 400)
    assert found.finite


def test_a_loss_that_is_no_number_shows(model):
    model.lm_head.weight.data[0, 0] = math.nan
    blocks = Blocks(TOKENS, documents=(0,) * 6, n_bytes=400, sha256="")
    assert not evaluate(model, blocks, 4).finite
