"""A model measured as it lies on its device, and with blocks or hidden states that wait on the host."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.models import memory
from helpers.measure.models.streaming.device_work import DeviceWork
from helpers.measure.models.streaming.feed import BlockFeed
from helpers.measure.models.streaming.placing import put
from helpers.measure.rounding import layerwise
from helpers.measure.rounding.methods import method_named
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme

SCHEME_OF = {
    "rtn": QuantScheme("rtn", 4, 16, False),
    "gptq_hadamard": QuantScheme("gptq_hadamard", 4, None, True, rel_damp=0.01, calib_seed=0),
    "awq": QuantScheme("awq", 4, 16, False, propagate="full_precision"),
}


@dataclasses.dataclass(frozen=True)
class Way:
    """A way of measuring: where weights and hidden states wait, and how much goes through a block at once."""

    device: str = "cpu"
    streamed: bool = False
    offloaded: bool = False
    variants: int = 1
    calibrating: int = 3  # sequences at once
    scoring: int = 2


def budget_of(work: memory.Work | DeviceWork, way: Way, sequences: int) -> int:
    """Return the bytes in which exactly so many variants and sequences go at once."""
    if isinstance(work, DeviceWork):
        work = dataclasses.replace(work, offloaded=way.offloaded)
    return work.n_bytes(way.variants, sequences)


def measured(
    models: Sequence[PreTrainedModel], schemes: list[QuantScheme], calibration: Tensor, blocks: Blocks, way: Way
) -> tuple[list[list[Rounded]], list[list[evaluate.Evaluation]]]:
    """Put models where a way wants them, round them by schemes that go together, and score them in float32."""
    checkpoints = [Checkpoint(model, Path()) for model in models]
    for checkpoint in checkpoints:
        put(checkpoint.model, way.device, way.streamed)
    decoder = checkpoints[0].decoder
    of_calibration = memory.calibration_work(decoder, *calibration.shape, 4, len(models))
    budget = budget_of(of_calibration, way, way.calibrating)
    answers = method_named(schemes[0].method).quantize(checkpoints, schemes, calibration, budget)
    n_sequences, length = blocks.tokens.shape
    of_evaluation = memory.evaluation_work(decoder, n_sequences, length - 1, 4, len(models))
    scores = evaluate.evaluate(checkpoints, answers, blocks, "float32", budget_of(of_evaluation, way, way.scoring))
    return answers, scores


def assert_same(one: tuple, other: tuple) -> None:
    """Compare what `measured` returns, to the bit."""
    (answers, scores), (other_answers, other_scores) = one, other
    assert scores == other_scores
    for of_model, other_of_model in zip(answers, other_answers, strict=True):
        for answer, other_answer in zip(of_model, other_of_model, strict=True):
            assert answer.diagnostics == other_answer.diagnostics
            assert answer.weights.keys() == other_answer.weights.keys()
            for name in answer.weights:
                assert torch.equal(answer.decoded(name).cpu(), other_answer.decoded(name).cpu()), name


def without_prefetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every block be fetched when its turn comes, not before."""
    for module in (layerwise, evaluate):
        monkeypatch.setattr(module, "BlockFeed", functools.partial(BlockFeed, prefetched=False))
