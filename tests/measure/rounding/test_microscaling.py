import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPTNeoXConfig

from helpers.measure.rounding import microscaling
from helpers.measure.rounding.methods import rtn
from helpers.measure.rounding.rounded import Checkpoint
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]  # by code: two bits of exponent, one of mantissa


def random_weights(seed: int, rows: int = 6, columns: int = 32) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def brute_force(weight: torch.Tensor, values: list[float], largest_exponent: int, width: int) -> torch.Tensor:
    """Round by looking at every value of the table; Python's floats hold all of it exactly. Even codes win ties."""
    rounded = []
    for block in weight.reshape(-1, width).tolist():
        largest = max(map(abs, block))
        scale = 2.0 ** (max(math.frexp(largest)[1] - 1 - largest_exponent, -127)) if largest else 1.0
        for value in block:
            table = [(abs(abs(value) - scale * v), code % 2, scale * v) for code, v in enumerate(values)]
            rounded.append(math.copysign(min(table)[2], value))
    return torch.tensor(rounded).reshape(weight.shape)


def mxint_values(bits: int) -> list[float]:
    return [k / 2 ** (bits - 2) for k in range(2 ** (bits - 1))]


@given(st.integers(0, 1000), st.sampled_from([4, 16, 32]), st.integers(-130, 100))
def test_mxfp4_is_the_nearest_value_of_the_table(seed, width, exponent):
    weight = random_weights(seed) * 2.0**exponent
    assert torch.equal(microscaling.round_to_mxfp4(weight, width), brute_force(weight, E2M1, 2, width))


@given(st.integers(0, 1000), st.integers(2, 8), st.sampled_from([4, 16, 32]), st.integers(-130, 100))
def test_mxint_is_the_nearest_value_of_the_table(seed, bits, width, exponent):
    weight = random_weights(seed) * 2.0**exponent
    assert torch.equal(
        microscaling.round_to_mxint(weight, bits, width), brute_force(weight, mxint_values(bits), 0, width)
    )


def test_ties_go_to_the_even_code():
    """All multiples of 1/64 up to 8, in blocks whose scale is 1: every middle between two values is among them."""
    steps = torch.arange(512) / 64
    blocks = torch.stack([steps, torch.full_like(steps, 4.0)], 1)  # 4 keeps the scale of MXFP4 at 1
    assert torch.equal(microscaling.round_to_mxfp4(blocks, 2), brute_force(blocks, E2M1, 2, 2))
    assert microscaling.round_to_mxfp4(torch.tensor([[0.25, 0.75, -1.25, 1.75, 2.5, -3.5, 5.0, 4.0]]), 8).tolist() == [
        [0, 1, -1, 2, 2, -4, 4, 4]
    ]
    blocks = torch.stack([steps / 8, torch.full_like(steps, 1.0)], 1)  # 1 keeps the scale of MXINT at 1
    for bits in range(2, 9):
        assert torch.equal(microscaling.round_to_mxint(blocks, bits, 2), brute_force(blocks, mxint_values(bits), 0, 2))


def test_by_hand():
    """Largest 7: MXFP4's scale is 1 and 7 goes to 6. Largest 1.9: MXINT4's values are quarters up to 7/4."""
    assert microscaling.round_to_mxfp4(torch.tensor([[7.0, -0.4, 2.6, 0.1]]), 4).tolist() == [[6.0, -0.5, 3.0, 0.0]]
    assert microscaling.round_to_mxint(torch.tensor([[1.9, -0.6, 0.1, -1.99]]), 4, 4).tolist() == [
        [1.75, -0.5, 0.0, -1.75]
    ]


@pytest.mark.parametrize("exponent", range(-127, 128))
def test_every_scale_is_an_exact_power_of_two(exponent):
    """The block's one weight is a power of two, which both formats hold exactly, whatever the scale."""
    weight = torch.tensor([[math.ldexp(1.0, exponent)]], dtype=torch.float64).float()
    assert torch.equal(microscaling.round_to_mxint(weight, 8, 1), weight)
    assert torch.equal(microscaling.round_to_mxfp4(weight, 1), weight)


@given(st.integers(0, 100), st.integers(2, 8))
def test_rounding_again_changes_nothing(seed, bits):
    weight = random_weights(seed)
    once = microscaling.round_to_mxfp4(weight, 16)
    assert torch.equal(microscaling.round_to_mxfp4(once, 16), once)
    once = microscaling.round_to_mxint(weight, bits, 16)
    assert torch.equal(microscaling.round_to_mxint(once, bits, 16), once)


def test_zeros_stay_zero_beside_other_blocks():
    weight = torch.cat([torch.zeros(2, 4), random_weights(0, 2, 4)], 1)
    for rounded in (microscaling.round_to_mxfp4(weight, 4), microscaling.round_to_mxint(weight, 3, 4)):
        assert torch.equal(rounded[:, :4], torch.zeros(2, 4))
        assert rounded[:, 4:].abs().max() > 0


def test_blocks_do_not_see_each_other_and_leading_dimensions_are_kept():
    weight = random_weights(1, 6, 32)
    for round_ in (microscaling.round_to_mxfp4, lambda w, width: microscaling.round_to_mxint(w, 4, width)):
        whole = round_(weight, 8)
        assert torch.equal(whole[2:4, 8:16], round_(weight[2:4, 8:16], 8))
        assert torch.equal(whole.view(2, 3, 32), round_(weight.view(2, 3, 32), 8))
        assert torch.equal(round_(weight, None), round_(weight, 32))


def scheme(**changes: object) -> QuantScheme:
    return QuantScheme(
        **({"method": "rtn", "bits": 4, "group_size": 32, "symmetric": True, "format": "mxint"} | changes)
    )


def test_round_to_nearest_in_these_formats(model):
    """Plain float32 weights of every linear layer; an 8-bit scale for 32 weights is a quarter of a bit each."""
    schemes = [scheme(), scheme(format="mxfp"), scheme(bits=8, group_size=16), scheme(group_size=24)]
    ((int4, fp4, int8, undivided),) = rtn.quantize([Checkpoint(model, None)], schemes, None, 0)
    for name in int4.weights:
        weight = model.get_parameter(name)
        assert torch.equal(int4.weights[name], microscaling.round_to_mxint(weight, 4, 32))
        assert torch.equal(fp4.weights[name], microscaling.round_to_mxfp4(weight, 32))
        assert torch.equal(int8.weights[name], microscaling.round_to_mxint(weight, 8, 16))
        assert int4.weights[name].dtype == torch.float32
    assert [answer.diagnostics.effective_bits for answer in (int4, fp4, int8)] == [4.25, 4.25, 8.5]
    assert int4.diagnostics.n_params_quantized == 2 * 12 * 32**2
    assert isinstance(undivided, QuantizationError)
    assert "group_size 24 doesn't divide the input width 32 of 'gpt_neox.layers.0.attention" in str(undivided)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"format": "mxfp"}, None),
        ({"format": "int", "symmetric": False}, None),
        ({"format": "mxfp", "bits": 3}, "rtn: 'bits' is 3; accepted: 4"),
        ({"symmetric": False}, "rtn: 'symmetric' is false; accepted: true"),
        ({"format": "nf4"}, 'rtn: \'format\' is "nf4"; accepted: "int", "mxint", "mxfp"'),
        ({"grid_search": "mse"}, 'rtn: \'grid_search\' is "mse"; accepted: "minmax"'),
        ({"order": "activation"}, 'rtn: \'order\' is "activation"; accepted: "given"'),
        ({"rel_damp": 0.01}, "rtn: 'rel_damp' is 0.01; accepted: null"),
    ],
)
def test_what_is_refused(changes, message):
    assert rtn.refusal(GPTNeoXConfig(), scheme(**changes)) == message
