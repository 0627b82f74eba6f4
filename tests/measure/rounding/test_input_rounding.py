"""Rounded inputs of matrices: the formats against their definitions, and nothing that leaks between sequences."""

import dataclasses

import pytest
import torch

from helpers.measure.rounding import microscaling
from helpers.measure.rounding.input_rounding import InputRounding, cross_scale
from helpers.table.scheme import QuantScheme

EXPONENTS = [0.0, 0.15, 0.5, 0.75, 1.0]
ROUNDINGS = [
    InputRounding("mxint", 4, 16, None),
    InputRounding("mxint", 8, None, None),
    *(InputRounding("int", 8, None, exponent) for exponent in EXPONENTS),
]


def inputs_like(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return values whose channels and tokens differ in size, as activations' do."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randn(shape[-1], generator=generator).exp()
    return torch.randn(*shape, generator=generator) * sizes * torch.randn(*shape[:-1], 1, generator=generator).exp()


def test_a_scheme_says_how_inputs_are_rounded_and_one_that_says_nothing_does_not_round():
    weights = {"method": "rtn", "bits": 4, "group_size": 32, "symmetric": True}
    assert InputRounding.of(QuantScheme(**weights)) is None
    mxint = QuantScheme(**weights, activation_format="mxint", activation_bits=8, activation_group_size=16)
    assert InputRounding.of(mxint) == InputRounding("mxint", 8, 16, None)
    crossed = QuantScheme(**weights, activation_format="int", activation_bits=6, activation_exponent=0.15)
    assert InputRounding.of(crossed) == InputRounding("int", 6, None, 0.15)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("group_size", [8, 32, None])
def test_mxint_inputs_are_rounded_as_mxint_weights_are(bits, group_size):
    inputs = inputs_like(2, 5, 32)
    found = InputRounding("mxint", bits, group_size, None)(inputs)
    assert torch.equal(found, microscaling.round_to_mxint(inputs, bits, group_size))
    by_token = torch.stack(
        [microscaling.round_to_mxint(token[None], bits, group_size)[0] for token in inputs.flatten(0, 1)]
    )
    assert torch.equal(found.flatten(0, 1), by_token)


def test_a_scale_of_crossquant_by_hand():
    """Two tokens, three channels, three bits (codes to 3). Token maxima 4 and 9; channel maxima 9, 4, 1.

    With exponent 1/2 a scale is the root of a product, over 3: all of these roots are whole. With 0 it's the channel's
    alone, with 1 the token's.
    """
    inputs = torch.tensor([[1.0, -4.0, 1.0], [-9.0, 0.0, 0.25]])
    thirds = {
        0.5: [[6.0, 4.0, 2.0], [9.0, 6.0, 3.0]],
        0.0: [[9.0, 4.0, 1.0], [9.0, 4.0, 1.0]],
        1.0: [[4.0, 4.0, 4.0], [9.0, 9.0, 9.0]],
    }
    for exponent, expected in thirds.items():
        assert torch.equal(cross_scale(inputs, 3, exponent), torch.tensor(expected) / 3)
    # codes [[0.5, -3, 1.5], [-3, 0, 0.25]] go to [[0, -3, 2], [-3, 0, 0]]; one float32 rounding from code x scale
    found = InputRounding("int", 3, None, 0.5)(inputs)
    torch.testing.assert_close(found, torch.tensor([[0.0, -4.0, 4 / 3], [-9.0, 0.0, 0.0]]), rtol=2**-23, atol=0)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_a_scale_of_crossquant_is_its_formula(exponent):
    """In float64 from the definition, element by element: float32 rounds both powers, product and quotient, 2^-24 each."""
    inputs = inputs_like(3, 7, 24)
    for sequence, found in zip(inputs.double(), cross_scale(inputs, 8, exponent).double(), strict=True):
        for i in range(7):
            for j in range(24):
                token, channel = sequence[i].abs().max().item(), sequence[:, j].abs().max().item()
                assert found[i, j].item() == pytest.approx(
                    token**exponent * channel ** (1 - exponent) / 127, rel=2**-22
                )


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_codes_stay_in_their_range_and_errors_within_half_a_step(bits, exponent):
    """Half a step and a little for the division and the product of float32 (codes to 127: 127 x 2^-24 each)."""
    inputs = inputs_like(2, 9, 40)
    scale = cross_scale(inputs, bits, exponent)
    codes = torch.round(inputs / scale)
    assert codes.abs().max() <= 2 ** (bits - 1) - 1
    error = (InputRounding("int", bits, None, exponent)(inputs) - inputs).abs() / scale
    assert error.max() <= 0.5 + 2**-15


def test_exponent_one_is_the_usual_scale_a_token():
    inputs = inputs_like(2, 5, 32)
    scale = inputs.abs().amax(-1, keepdim=True) / 127
    assert torch.equal(InputRounding("int", 8, None, 1.0)(inputs), torch.round(inputs / scale) * scale)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_zeros_stay_zero_and_spoil_nothing(rounding):
    """A token of zeros and a channel of zeros: no quotient of zeros, and the others as they are without them."""
    inputs = inputs_like(2, 5, 32)
    inputs[:, 2] = 0.0
    if rounding.format == "int":  # of mxint a channel is part of a block
        inputs[..., 7] = 0.0
    found = rounding(inputs)
    assert torch.isfinite(found).all()
    assert torch.equal(found[inputs == 0], torch.zeros(int((inputs == 0).sum())))
    tokens = [0, 1, 3, 4]
    assert torch.equal(found[:, tokens], rounding(inputs[:, tokens]))
    assert torch.equal(rounding(torch.zeros(2, 5, 32)), torch.zeros(2, 5, 32))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shape", [(3, 5, 31, 48), (2, 3, 64, 50), (4, 1, 17, 32)])
def test_a_sequences_result_is_bit_for_bit_its_own(rounding, shape):
    """Whatever variants and sequences are rounded beside it: no vector unit's leftovers, no scale shared."""
    if rounding.group_size and shape[-1] % rounding.group_size:
        shape = (*shape[:-1], 48)
    inputs = inputs_like(*shape)
    together = rounding(inputs)
    for variant, of_variant in zip(inputs, together, strict=True):
        assert torch.equal(rounding(variant), of_variant)
        for sequence, of_sequence in zip(variant, of_variant, strict=True):
            assert torch.equal(rounding(sequence), of_sequence)


def test_of_crossquant_a_token_depends_on_its_sequence_unless_the_exponent_is_one():
    """The channel's largest magnitude is the whole sequence's, of later tokens too."""
    inputs = inputs_like(1, 6, 32)
    louder = inputs.clone()
    louder[:, -1] *= 100
    for exponent, same in ((1.0, True), (0.5, False), (0.0, False)):
        rounding = InputRounding("int", 4, None, exponent)
        assert torch.equal(rounding(inputs)[:, :-1], rounding(louder)[:, :-1]) is same


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_bfloat16_inputs_stay_bfloat16_and_are_rounded_as_float32_ones(rounding):
    inputs = inputs_like(2, 5, 32).bfloat16()
    found = rounding(inputs)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, rounding(inputs.float()).bfloat16())


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_inputs_are_left_as_they_were(rounding):
    inputs = inputs_like(2, 5, 32)
    before = inputs.clone()
    rounding(inputs)
    assert torch.equal(inputs, before)


def test_roundings_alike_are_equal_so_that_variants_can_share_one():
    assert dataclasses.replace(ROUNDINGS[0]) in {ROUNDINGS[0]}
