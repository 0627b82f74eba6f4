import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.measure.rounding import grids


def random_weights(seed: int, rows: int = 8, columns: int = 64) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000), st.integers(2, 8), st.booleans(), st.sampled_from([8, 32, 64, None]))
def test_rounding_is_idempotent_and_off_by_at_most_half_a_step(seed, bits, symmetric, group_size):
    weight = random_weights(seed)
    rounded = grids.round_to_grid(weight, bits, symmetric, group_size)
    grouped = weight.unflatten(-1, (-1, group_size or 64))
    grid = grids.fit(grouped, bits, symmetric)
    codes = grid.encode(grouped)
    assert torch.equal(grid.decode(codes).flatten(-2), rounded)
    assert codes.min() >= 0
    assert codes.max() <= 2**bits - 1
    # a symmetric grid's highest code is one step short of its largest weight: there the error may be a whole step
    steps = (weight - rounded).abs().unflatten(-1, (-1, group_size or 64)) / grid.scale
    assert steps.max() <= (1.0 if symmetric else 0.5) + 1e-4


@pytest.mark.parametrize("symmetric", [True, False])
def test_zero_is_on_every_grid(symmetric):
    weight = random_weights(0) + 3.0
    weight[:, 0] = 0
    assert torch.equal(grids.round_to_grid(weight, 3, symmetric, None)[:, 0], torch.zeros(8))


def test_codes_by_hand():
    """Row -1 … 2 at two bits, asymmetric: scale 1, zero 1, so the grid is -1, 0, 1, 2."""
    weight = torch.tensor([[-1.0, -0.4, 0.6, 2.0]])
    grid = grids.fit(weight, 2, False)
    assert (grid.scale.item(), grid.zero.item()) == (1.0, 1.0)
    assert grid.encode(weight).tolist() == [[0, 1, 2, 3]]
    assert grid.decode(grid.encode(weight)).tolist() == [[-1, 0, 1, 2]]


def test_symmetric_codes_by_hand():
    """Largest magnitude 2 at two bits: scale 4/3, zero in the middle at code 2, so the grid is -8/3, -4/3, 0, 4/3."""
    grid = grids.fit(torch.tensor([[-1.0, 0.5, 2.0]]), 2, True)
    assert grid.zero.item() == 2
    torch.testing.assert_close(grid.scale, torch.tensor([[4 / 3]]))


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_row_of_zeros_stays_zero(symmetric):
    assert torch.equal(grids.round_to_grid(torch.zeros(2, 8), 2, symmetric, 4), torch.zeros(2, 8))


@given(st.integers(0, 100), st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_the_weights_scales_the_rounded_ones(seed, factor):
    weight = random_weights(seed)
    once = grids.round_to_grid(weight, 3, False, 32)
    torch.testing.assert_close(grids.round_to_grid(weight * factor, 3, False, 32), once * factor, rtol=0, atol=0)


def test_bit_widths_side_by_side_are_what_they_are_alone():
    weight = random_weights(1)
    bits, symmetric = torch.tensor([2, 3, 8])[:, None, None], torch.tensor([True, False, True])[:, None, None]
    together = grids.round_to_grid(weight.expand(3, -1, -1), bits, symmetric, 32)
    for index, (b, s) in enumerate([(2, True), (3, False), (8, True)]):
        assert torch.equal(together[index], grids.round_to_grid(weight, b, s, 32))
