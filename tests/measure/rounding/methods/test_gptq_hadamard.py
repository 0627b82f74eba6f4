"""GPTQ in a rotated basis: the basis, the solver in it, and the walk over several checkpoints at once."""

import dataclasses

import pytest
import torch
from tests.measure.plain import build, loaded
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.measure.rounding import gptq_solver
from helpers.measure.rounding.methods import gptq, gptq_hadamard
from helpers.measure.rounding.rounded import Rounded
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

CALIBRATION = torch.randint(0, 256, (6, 32), generator=torch.Generator().manual_seed(0))
PLENTY = 2**30
WIDTHS = (64, 96, 160, 384, 512, 1024, 2048)  # of the study's models, or 4 times one


def scheme(bits: int = 3, **changes: object) -> QuantScheme:
    wanted = {"group_size": 16, "symmetric": False, "rel_damp": 0.01, "calib_seed": 0}
    return QuantScheme("gptq_hadamard", bits, **(wanted | changes))


def layer(seed: int = 0, outlier: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return weights (1, 24, 64), a column of them `outlier` times larger, and the Hessian of plain inputs."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(1, 24, 64, generator=generator)
    weight[..., 5] *= outlier
    inputs = torch.randn(1, 512, 64, generator=generator)
    return weight, gptq_solver.second_moments(inputs) / 512


def relative_error(solution: gptq_solver.Solution, weight: Tensor, hessian: Tensor) -> float:
    return gptq_solver.relative_error(weight, solution.weight, hessian).item()


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_rotation_is_orthogonal_exactly_and_mixes_whole_blocks(columns):
    """Its entries times sqrt(b) are whole numbers, so that sums of their products are exact in float64."""
    block = columns & -columns
    rotation = gptq_hadamard.rotation_of(columns, seed=3).double()
    whole = (rotation * block**0.5).round()
    assert torch.equal(whole.T @ whole, block * torch.eye(columns, dtype=torch.float64))
    assert torch.equal(whole.abs(), torch.block_diag(*[torch.ones(block, block)] * (columns // block)).double())
    torch.testing.assert_close(rotation, whole / block**0.5, rtol=1e-7, atol=0)  # float32's last bit


def test_signs_are_the_seeds():
    one, again, other = (gptq_hadamard.rotation_of.__wrapped__(64, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert (one[:, 0] < 0).any()
    assert (one[:, 0] > 0).any()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_without_a_rotation_it_is_gptq_bit_for_bit(bits):
    weight, hessian = layer()
    ours = gptq_hadamard.solve_in_basis(weight, hessian, [scheme(bits)], torch.eye(64))
    theirs = gptq.solve(weight, hessian, [scheme(bits)])
    for field in dataclasses.fields(theirs):
        assert torch.equal(getattr(ours, field.name), getattr(theirs, field.name)), field.name


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_codes_are_those_of_the_rotated_weights(bits):
    """And the weights are the codes' rotated back, in float64 within float32's last bits."""
    weight, hessian = layer()
    rotation = gptq_hadamard.rotation_of(64, seed=0)
    ours = gptq_hadamard.solve(weight, hessian, [scheme(bits)])
    theirs = gptq.solve(weight @ rotation, rotation.T @ hessian @ rotation, [scheme(bits)])
    assert (ours.codes == theirs.codes).float().mean() > 0.99  # a product in another order moves a code at an edge
    groups = ours.group_of_column[0]
    decoded = ours.scale[0][:, groups] * (ours.codes[0] - ours.zero[0][:, groups])
    torch.testing.assert_close(ours.part(0).double(), decoded.double() @ rotation.double().T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_an_outlier_column_costs_less_than_in_gptq(bits):
    """8 times the others: it widens every row's grid. Four draws were at 0.25 to 0.62; without it neither is ahead."""
    wanted = [scheme(bits, group_size=None)]
    ratios = []
    for outlier in (8, 1):
        weight, hessian = layer(outlier=outlier)
        rotated, given = (method.solve(weight, hessian, wanted) for method in (gptq_hadamard, gptq))
        ratios.append(relative_error(rotated, weight, hessian) / relative_error(given, weight, hessian))
    assert ratios[0] < 0.7
    assert 0.8 < ratios[1] < 1.25


def assert_same_bits(one: Rounded, other: Rounded) -> None:
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(weight, other.weights[name]) for name, weight in one.weights.items())
    assert one.diagnostics == other.diagnostics


@pytest.mark.parametrize("name", ["llama", "neox, parallel"])
def test_checkpoints_and_bits_walked_at_once_have_the_bits_of_one_alone(name):
    models, schemes = (build(name, 0), build(name, 1)), [scheme(2), scheme(4), scheme(3, group_size=None)]
    together = gptq_hadamard.quantize(loaded(*models), schemes, CALIBRATION, PLENTY)
    for model, beside in zip(models, together, strict=True):
        for wanted, one in zip(schemes, beside, strict=True):
            ((alone,),) = gptq_hadamard.quantize(loaded(model), [wanted], CALIBRATION, PLENTY)
            assert_same_bits(one, alone)
    assert not torch.equal(*(answers[0].decoded(name) for answers in together for name in [*answers[0].weights][:1]))


def test_a_matrix_is_stored_in_as_many_bits_as_gptqs():
    (rotated,), (theirs,) = (
        method.quantize(loaded(build("neox, parallel")), [scheme(3)], CALIBRATION, PLENTY)
        for method in (gptq_hadamard, gptq)
    )
    assert rotated[0].diagnostics.effective_bits == theirs[0].diagnostics.effective_bits
    assert rotated[0].diagnostics.quantized_ratio == 1


def test_a_width_with_too_small_a_power_of_two_is_an_error_of_every_scheme():
    config = LlamaConfig(
        vocab_size=256, hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    ((one, other),) = gptq_hadamard.quantize(loaded(model), [scheme(2, group_size=8), scheme(3)], CALIBRATION, PLENTY)
    assert isinstance(one, QuantizationError)
    assert str(one) == (
        "gptq_hadamard 2 bits g8 asymmetric: the input width 40 of 'model.layers.0.mlp.down_proj' isn't a multiple of 16"
    )
    assert isinstance(other, QuantizationError)


def test_formats_without_a_grid_are_refused():
    assert gptq_hadamard.refusal(LlamaConfig(), scheme(format="nf4")) == (
        'gptq_hadamard: \'format\' is "nf4"; accepted: "int"'
    )
    assert gptq_hadamard.refusal(LlamaConfig(), scheme()) is None
