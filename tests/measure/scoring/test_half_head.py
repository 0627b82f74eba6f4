"""Which heads are multiplied in float16; the products themselves need a GPU (`test_cuda.py`)."""

import pytest
import torch
from torch import nn

from helpers.measure.scoring import evaluate
from helpers.measure.scoring.half_head import HalfHead


def head(weight: float) -> nn.Linear:
    module = nn.Linear(4, 3, bias=False)
    nn.init.ones_(module.weight)
    module.weight.data[1, 2] = weight
    return module


def test_a_head_in_tf32_is_multiplied_in_float16():
    working = evaluate._at_work(head(-65_504.0), "tfloat32")
    assert isinstance(working, HalfHead)
    assert working.weight.dtype == torch.float16
    assert working.weight.isfinite().all()


@pytest.mark.parametrize("weight", [65_505.0, -1e6, float("inf"), float("nan")])
def test_a_head_with_weights_that_float16_has_not_stays_in_float32(weight):
    """An infinite weight may make a logit -inf, and the loss of any other token a number."""
    module = head(weight)
    assert evaluate._at_work(module, "tfloat32") is module
    assert evaluate._at_work(module.bfloat16(), "tfloat32").weight.dtype == torch.float32
