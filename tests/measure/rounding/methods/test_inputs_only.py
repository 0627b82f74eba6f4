"""Inputs rounded alone: every weight stays, every matrix's inputs become what the scheme of both makes of them."""

import dataclasses

import pytest
import torch
from tests.measure.plain import loaded
from transformers import GPTNeoXConfig

from helpers.measure.models.memory import default_budget
from helpers.measure.rounding import methods
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.methods import inputs_only, rtn
from helpers.measure.scoring.evaluate import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme


def scheme(**changes: object) -> QuantScheme:
    wanted = {
        "method": "inputs_only",
        "format": "mxint",
        "bits": 4,
        "group_size": 16,
        "symmetric": True,
        "activation_format": "mxint",
        "activation_bits": 4,
        "activation_group_size": 16,
    }
    return QuantScheme(**(wanted | changes))


def scored(model, *answers):
    tokens = torch.randint(1, 1024, (4, 17), generator=torch.Generator().manual_seed(1))
    blocks = Blocks(tokens, (0, 0, 1, 1), 300, "0")
    return evaluate(loaded(model), [answers], blocks, "float32", default_budget("cpu"))[0]


def test_weights_stay_and_every_matrix_rounds_its_inputs(model):
    own = dict(model.named_parameters())
    ((answer, finer),) = inputs_only.quantize(loaded(model), [scheme(), scheme(bits=8, activation_bits=8)], None, 0)
    ((theirs,),) = rtn.quantize(loaded(model), [scheme(method="rtn")], None, 0)
    assert answer.weights.keys() == finer.weights.keys() == theirs.weights.keys()
    assert all(torch.equal(answer.decoded(name), own[name]) for name in answer.weights)
    assert (answer.inputs, finer.inputs) == (InputRounding("mxint", 4, 16, None), InputRounding("mxint", 8, 16, None))
    assert answer.inputs == theirs.inputs
    assert answer.diagnostics.effective_bits is None


def test_it_costs_what_both_cost_where_the_weights_are_on_their_grid(model):
    """Weights that rounding leaves as they are: the loss of both is the inputs' own, bit for bit."""
    with torch.no_grad():
        for name, layer in loaded(model)[0].decoder.linear_layers().items():
            ((rounded,),) = rtn.quantize(loaded(model), [scheme(method="rtn")], None, 0)
            layer.weight.copy_(rounded.decoded(f"{name}.weight"))
    ((inputs,),) = inputs_only.quantize(loaded(model), [scheme()], None, 0)
    ((both,),) = rtn.quantize(loaded(model), [scheme(method="rtn")], None, 0)
    plain, of_inputs, of_both = scored(model, inputs, both)
    assert of_inputs.group_loss == of_both.group_loss
    assert of_inputs.kl_nats == of_both.kl_nats
    assert of_inputs.loss_nats != plain.loss_nats


def test_blocks_that_do_not_divide_a_width_are_an_error_of_their_scheme(model):
    wanted = [scheme(group_size=24, activation_group_size=24), scheme()]
    ((refused, kept),) = inputs_only.quantize(loaded(model), wanted, None, 0)
    assert isinstance(refused, QuantizationError)
    assert "activation_group_size 24 doesn't divide the input width 32" in str(refused)
    assert kept.inputs is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"group_size": None, "activation_group_size": None}, None),
        (
            {"format": "int", "group_size": None, "activation_format": "int", "activation_group_size": None}
            | {"activation_exponent": 1.0},
            None,
        ),
        (
            {"activation_format": None, "activation_bits": None, "activation_group_size": None},
            'inputs_only: \'activation_format\' is null; accepted: "mxint", "int"',
        ),
        ({"bits": 3}, "inputs_only: 'bits' is 3; accepted: 4"),
        ({"group_size": 32}, "inputs_only: 'group_size' is 32; accepted: 16"),
        ({"format": "int"}, 'inputs_only: \'format\' is "int"; accepted: "mxint"'),
        ({"symmetric": False}, "inputs_only: 'symmetric' is false; accepted: true"),
        (
            {"kept_matrices": ("0.attention.dense",)},
            "inputs_only: 'kept_matrices' is [\"0.attention.dense\"]; accepted: []",
        ),
    ],
)
def test_what_is_refused(changes, message):
    wanted = scheme(**changes)
    assert methods.method_named("inputs_only").refusal(GPTNeoXConfig(), wanted) == message


def test_its_key_is_its_own():
    """The same inputs beside rounded weights are another scheme, and so are other bits."""
    both, finer = dataclasses.replace(scheme(), method="rtn"), scheme(bits=8, activation_bits=8)
    assert len({scheme().scheme_id, both.scheme_id, finer.scheme_id}) == 3
