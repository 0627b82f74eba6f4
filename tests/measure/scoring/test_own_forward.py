"""Models scored by their own forward pass: the same numbers as the original with other weights in its layers has."""

import pytest
import torch
from tests.measure.packed_models import llama, losses, rounded_by, scheme
from tests.measure.tiny import tiny_model

from helpers.measure.models.memory import default_budget
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import own_forward
from helpers.measure.scoring.evaluate import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import CheckpointError

# The same operations in another order in the stacked walk: float32's rounding of a mean, measured below 1e-6.
ROUNDING = 1e-5


def blocks_of(n_tokens: int = 33) -> Blocks:
    tokens = torch.randint(1024, (10, n_tokens), generator=torch.Generator().manual_seed(0))
    return Blocks(tokens, (0, 1, 2, 3, 4) * 2, 1000, "unused")


@pytest.mark.parametrize("build", [lambda: llama(), lambda: tiny_model(seed=1)])
def test_scores_are_those_of_the_original_with_rounded_weights(build, tmp_path):
    blocks, told = blocks_of(), []
    original = Checkpoint(build(), tmp_path)
    rounded = rounded_by(original.model, scheme(3))
    ((of_original, of_rounded),) = evaluate([original], [[rounded]], blocks, "float32", default_budget("cpu"))
    other = build()
    for name in rounded.weights:
        other.get_parameter(name).copy_(rounded.decoded(name))
    hidden = own_forward.last_hidden(original.decoder, blocks, told.append)
    found = own_forward.scores_beside(original.decoder, hidden, other, blocks, told.append)
    assert sum(told) == 2 * len(blocks.tokens)
    for mine, expected in zip(found, (of_original, of_rounded), strict=True):
        assert mine.group_loss == pytest.approx(expected.group_loss, abs=ROUNDING)
        assert mine.loss_nats == pytest.approx(expected.loss_nats, abs=ROUNDING)
        assert mine.n_tokens == expected.n_tokens
        assert mine.top1_accuracy == expected.top1_accuracy
    assert found[1].kl_nats == pytest.approx(of_rounded.kl_nats, abs=ROUNDING)
    assert found[1].top1_agreement == of_rounded.top1_agreement
    assert found[1].loss_nats == pytest.approx(losses(original.model, rounded, blocks.tokens, half=False).mean().item())


def test_a_model_beside_itself_has_no_difference(tmp_path):
    blocks, original = blocks_of(), Checkpoint(llama(), tmp_path)
    hidden = own_forward.last_hidden(original.decoder, blocks, lambda n: None)
    before, after = own_forward.scores_beside(original.decoder, hidden, llama(), blocks, lambda n: None)
    assert before.group_loss == pytest.approx(after.group_loss, abs=ROUNDING)
    assert after.kl_nats == pytest.approx(0, abs=ROUNDING)
    assert after.top1_agreement == 1


def test_windows_longer_than_the_model_are_refused(tmp_path):
    original = Checkpoint(tiny_model(seed=1), tmp_path)
    with pytest.raises(CheckpointError, match="600 tokens a sequence; accepted: up to 512"):
        own_forward.last_hidden(original.decoder, blocks_of(601), lambda n: None)
