"""Steps after the head; that they are the models' own is tried in `test_decoders`."""

import math

import pytest
import torch
import transformers

from helpers.measure.models.after_head import steps_of


def test_a_soft_cap_leaves_small_logits_and_bounds_large_ones():
    (cap,) = steps_of(transformers.Gemma2Config(final_logit_softcapping=30.0))
    logits = torch.tensor([0.0, 0.01, 30.0, -1e6])
    before = logits.clone()
    assert cap(logits).tolist() == pytest.approx([0.0, 0.01, 30 * math.tanh(1), -30.0], rel=1e-6)
    assert torch.equal(logits, before)


def test_granite_divides_and_most_models_do_nothing():
    (divided,) = steps_of(transformers.GraniteConfig(logits_scaling=8.0))
    assert divided(torch.tensor([4.0])).item() == 0.5
    assert steps_of(transformers.LlamaConfig()) == ()
    assert steps_of(transformers.Gemma3TextConfig()) == ()
