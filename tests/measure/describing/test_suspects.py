"""The matrix that suffers most from rounding, against sums written out."""

from pathlib import Path

import pytest
import torch
from tests.measure.tiny import SHAPE, tiny_model

from helpers.measure.describing.suspects import suspect_of
from helpers.measure.rounding.methods import rtn
from helpers.measure.rounding.rounded import Checkpoint
from helpers.table.scheme import QuantScheme

TOKENS = torch.arange(64).reshape(2, 32)


def test_it_is_the_one_with_the_largest_share_of_the_relative_errors():
    checkpoint = Checkpoint(tiny_model(seed=0, **SHAPE), Path())
    inputs: dict[str, torch.Tensor] = {}
    layers = checkpoint.decoder.linear_layers()
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _m, args, name=name: inputs.update({name: args[0].flatten(0, -2)}))
    checkpoint.model(TOKENS)
    scheme = QuantScheme(method="rtn", bits=2, group_size=8, symmetric=False)
    errors = {}
    for name, layer in layers.items():
        moments = inputs[name].square().sum(0)
        change = rtn.round_matrix(layer.weight, scheme).decode() - layer.weight
        errors[name] = float((change**2 * moments).sum() / (layer.weight**2 * moments).sum())
    worst = max(errors, key=lambda name: errors[name])
    x = inputs[worst].double()
    found = suspect_of(checkpoint, TOKENS, 2, 8)
    assert f"gpt_neox.layers.{found.matrix}" == worst
    assert found.error_share == pytest.approx(errors[worst] / sum(errors.values()), rel=1e-4)
    assert found.input_kurtosis == pytest.approx(float((x**4).mean() / (x**2).mean() ** 2), rel=1e-6)
