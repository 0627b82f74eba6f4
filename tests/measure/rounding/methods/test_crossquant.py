import pytest
import torch
from tests.measure.plain import inputs_of
from torch import Tensor
from transformers import GPTNeoXConfig

from helpers.measure.describing.kernel_shares import kernel_shares
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import methods
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.methods import crossquant, rtn
from helpers.measure.rounding.rounded import Checkpoint
from helpers.table.scheme import QuantScheme


def tokens() -> Tensor:
    return torch.randint(1, 1024, (5, 16), generator=torch.Generator().manual_seed(1))


def scheme(**changes: object) -> QuantScheme:
    wanted = {
        "method": "crossquant",
        "bits": 8,
        "symmetric": True,
        "activation_format": "int",
        "activation_bits": 8,
        "activation_exponent": 0.15,
    }
    return QuantScheme(**(wanted | changes))


def test_weights_are_those_of_round_to_nearest_and_inputs_are_rounded(model):
    """Every matrix but one that is kept; 8 bits, and a 16-bit scale for each of a block's 96 + 32 + 128 + 32 rows."""
    kept = "1.mlp.dense_4h_to_h"
    wanted = [scheme(), scheme(group_size=16), scheme(kept_matrices=(kept,))]
    ((by_row, by_group, mixed),) = crossquant.quantize([Checkpoint(model, None)], wanted, None, 0)
    ((theirs,),) = rtn.quantize([Checkpoint(model, None)], [QuantScheme("rtn", 8, None, True)], None, 0)
    assert by_row.weights.keys() == theirs.weights.keys()
    assert all(torch.equal(by_row.decoded(name), theirs.decoded(name)) for name in theirs.weights)
    assert by_row.inputs == InputRounding("int", 8, None, 0.15)
    assert theirs.inputs is None
    assert by_row.diagnostics.effective_bits == 8 + 16 * (96 + 32 + 128 + 32) / (12 * 32**2)
    assert by_group.diagnostics.effective_bits == 9
    assert mixed.weights.keys() == theirs.weights.keys() - {f"gpt_neox.layers.{kept}.weight"}


@pytest.mark.parametrize("exponent", [0.0, 0.15, 0.5, 1.0])
def test_kernel_shares_are_the_inputs_within_half_a_step_of_zero(model, exponent):
    """Counted one input at a time. Batches of another size could move an input over the edge; none is that near."""
    decoder = decoder_of(model)
    found = kernel_shares(decoder, tokens(), InputRounding("int", 4, None, exponent))
    for name, share in zip(decoder.linear_layers(), found, strict=True):
        inputs = inputs_of(model, name, tokens())
        n_zeros = 0
        for sequence in inputs:
            of_token, of_channel = sequence.abs().amax(1), sequence.abs().amax(0)
            for t, c in zip(*torch.nonzero(torch.ones_like(sequence), as_tuple=True), strict=True):
                step = float(of_token[t]) ** exponent * float(of_channel[c]) ** (1 - exponent) / 7
                n_zeros += abs(float(sequence[t, c])) <= step / 2
        assert share == n_zeros / inputs.numel()


def test_a_token_far_larger_than_others_fills_the_kernel_unless_channels_share_the_scale(model):
    """One input channel a hundred times larger: under a token's scale most of the others become zero."""
    for block in model.gpt_neox.layers:
        block.input_layernorm.weight[3] *= 100
    decoder = decoder_of(model)
    per_token, crossed = (
        kernel_shares(decoder, tokens(), InputRounding("int", 8, None, exponent))[0] for exponent in (1.0, 0.15)
    )
    assert per_token > 0.2
    assert crossed < 0.1 * per_token


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"group_size": 32, "activation_exponent": 0.0, "activation_bits": 4}, None),
        (
            {"activation_exponent": 1.0},
            "crossquant: 'activation_exponent' is 1.0; accepted: 0 to less than 1; with 1 it is rtn",
        ),
        ({"bits": 4}, "crossquant: 'bits' is 4; accepted: 8"),
        ({"symmetric": False}, "crossquant: 'symmetric' is false; accepted: true"),
        (
            {"activation_format": "mxint", "activation_exponent": None},
            'crossquant: \'activation_format\' is "mxint"; accepted: null, "int"',
        ),
        (
            {"activation_format": None, "activation_bits": None, "activation_exponent": None},
            "crossquant: 'activation_format' is null; accepted: \"int\"",
        ),
        ({"outlier_share": 0.01}, "crossquant: 'outlier_share' is 0.01; accepted: null"),
    ],
)
def test_what_is_refused(changes, message):
    assert methods.method_named("crossquant").refusal(GPTNeoXConfig(), scheme(**changes)) == message
