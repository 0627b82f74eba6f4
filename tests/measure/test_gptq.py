import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.measure import gptq, grids


def problem(seed: int, rows: int = 6, columns: int = 64, tokens: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (rows, columns) and the Hessian of correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator) / columns**0.5 + 0.3
    inputs = torch.randn(tokens, columns, generator=generator) @ mixing
    return torch.randn(rows, columns, generator=generator), gptq.second_moments(inputs) / tokens


SCHEMES = st.tuples(st.integers(2, 8), st.sampled_from([8, 32, 64, None]), st.booleans())


@given(st.integers(0, 1000), SCHEMES)
def test_a_diagonal_hessian_gives_round_to_nearest_bit_for_bit(seed, scheme):
    bits, group_size, symmetric = scheme
    weight, hessian = problem(seed)
    solution = gptq.solve(weight, torch.diag(hessian.diagonal()), bits, group_size, symmetric, 0.01)
    assert torch.equal(solution.weight, grids.round_to_grid(weight, bits, symmetric, group_size))


@given(st.integers(0, 300), SCHEMES)
def test_the_matrix_error_is_below_round_to_nearests(seed, scheme):
    """On whole matrices; row by row it isn't always (41 of 640 rows in a trial)."""
    bits, group_size, symmetric = scheme
    weight, hessian = problem(seed, rows=64)
    solution = gptq.solve(weight, hessian, bits, group_size, symmetric, 0.01)
    nearest = grids.round_to_grid(weight, bits, symmetric, group_size)
    ours, theirs = (gptq.relative_error(weight, rounded, hessian) for rounded in (solution.weight, nearest))
    assert ours < theirs


@given(st.integers(0, 1000), SCHEMES)
def test_codes_scale_and_zero_make_up_the_weights(seed, scheme):
    bits, group_size, symmetric = scheme
    weight, hessian = problem(seed)
    solution = gptq.solve(weight, hessian, bits, group_size, symmetric, 0.01)
    assert solution.codes.min() >= 0
    assert solution.codes.max() <= 2**bits - 1
    columns_of_a_group = group_size or weight.shape[1]
    scale, zero = (x.repeat_interleave(columns_of_a_group, -1) for x in (solution.scale, solution.zero))
    assert torch.equal(scale * (solution.codes - zero), solution.weight)


def textbook(weight: torch.Tensor, hessian: torch.Tensor, bits: int, rel_damp: float) -> torch.Tensor:
    """Optimal brain quantization in column order as in the paper's section 2, float64, one inverse a column.

    After column q is rounded, the rest is corrected by -(w_q - Q(w_q)) / [F^-1]_qq [F^-1]_q,: with F the Hessian
    of the columns not yet rounded: no Cholesky factor anywhere.
    """
    weight, hessian = weight.double(), hessian.double()
    hessian = hessian + rel_damp * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=torch.float64)
    grid = grids.fit(weight, bits, False)
    rounded = weight.clone()
    for column in range(weight.shape[1]):
        inverse = torch.linalg.inv(hessian[column:, column:])
        rounded[:, column : column + 1] = grid.decode(grid.encode(weight[:, column : column + 1]))
        error = (weight[:, column] - rounded[:, column]) / inverse[0, 0]
        weight[:, column:] -= error[:, None] * inverse[0]
    return rounded


@pytest.mark.parametrize(("bits", "seed"), list(itertools.product([2, 3, 4], range(5))))
def test_the_factored_solver_is_the_textbooks(bits, seed):
    """Equal in exact arithmetic; a code may differ where float32 puts a weight on the other side of a boundary."""
    weight, hessian = problem(seed, columns=48)
    solution = gptq.solve(weight.double(), hessian.double(), bits, None, False, 0.01)
    torch.testing.assert_close(solution.weight, textbook(weight, hessian, bits, 0.01), rtol=0, atol=1e-9)
    single = gptq.solve(weight, hessian, bits, None, False, 0.01)
    assert (single.codes == solution.codes).float().mean() >= 0.99


@given(st.integers(0, 200), st.sampled_from([16, 48, 200, None]))
def test_schemes_solved_together_are_what_they_are_alone(seed, group_size):
    weight, hessian = problem(seed, columns=400 if group_size == 200 else 96)
    other = hessian + torch.eye(len(hessian))
    bits, symmetric = torch.tensor([2, 4])[:, None, None], torch.tensor([True, False])[:, None, None]
    pair = torch.stack([hessian, other])
    together = gptq.solve(weight.expand(2, -1, -1), pair, bits, group_size, symmetric, 0.01)
    for index, (b, h, s) in enumerate([(2, hessian, True), (4, other, False)]):
        alone = gptq.solve(weight, h, b, group_size, s, 0.01)
        assert (together.codes[index] == alone.codes).float().mean() >= 0.99
        ours, theirs = (
            gptq.relative_error(weight, together.weight[index], h),
            gptq.relative_error(weight, alone.weight, h),
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=0)


def test_the_arguments_stay_as_they_are():
    weight, hessian = problem(0)
    before = weight.clone(), hessian.clone()
    gptq.solve(weight, hessian, 3, 32, False, 0.01)
    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])


def test_the_global_random_state_is_untouched():
    state = torch.get_rng_state()
    gptq.solve(*problem(0), 3, 32, False, 0.01)
    assert torch.equal(torch.get_rng_state(), state)


def test_dead_columns_are_zeroed_and_counted():
    weight, hessian = problem(0)
    hessian[:, 5] = hessian[5, :] = 0
    solution = gptq.solve(weight, hessian, 4, None, False, 0.01)
    assert solution.n_dead_columns == 1
    assert torch.equal(solution.weight[:, 5], torch.zeros(6))


@pytest.mark.parametrize("copies", [2, 64])
def test_duplicated_and_rank_one_inputs_are_solved_on_the_first_rung(copies):
    weight, hessian = problem(0)
    repeated = hessian[: 64 // copies, : 64 // copies].repeat(copies, copies)
    solution = gptq.solve(weight, repeated, 4, 32, False, 0.01)
    assert torch.isfinite(solution.weight).all()
    assert solution.rel_damp_used.item() == pytest.approx(0.01)


def test_the_ladder_climbs_and_the_rung_is_recorded():
    """An indefinite Hessian whose lowest eigenvalue needs five percent of the mean diagonal."""
    weight, hessian = problem(0)
    shift = torch.linalg.eigvalsh(hessian)[0] + 0.05 * hessian.diagonal().mean()
    indefinite = hessian - shift * torch.eye(64)
    pair = torch.stack([hessian, indefinite])
    bits = torch.tensor([3, 3])[:, None, None]
    solution = gptq.solve(weight.expand(2, -1, -1), pair, bits, 32, False, 0.01)
    torch.testing.assert_close(solution.rel_damp_used, torch.tensor([0.01, 0.1], dtype=torch.float64))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e6])
def test_a_hopeless_hessian_is_an_error_that_names_the_rungs_and_the_scheme(value):
    weight, hessian = problem(0)
    broken = hessian.clone()
    broken[3, 3] = value
    with pytest.raises(gptq.SingularHessianError, match="relative damping 0.01, 0.1, 1") as caught:
        gptq.solve(weight.expand(2, -1, -1), torch.stack([hessian, broken]), 3, 32, False, 0.01)
    assert caught.value.failed == [1]
