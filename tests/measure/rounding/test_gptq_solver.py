"""GPTQ's tensors: the batched solver against the plain one, the textbook, round-to-nearest and brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.measure.rounding import gptq_solver, grids


def problem(seed: int, rows: int = 6, columns: int = 64, tokens: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (rows, columns) and the Hessian of correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator) / columns**0.5 + 0.3
    inputs = torch.randn(tokens, columns, generator=generator) @ mixing
    return torch.randn(rows, columns, generator=generator), gptq_solver.second_moments(inputs) / tokens


SCHEMES = st.tuples(st.integers(2, 8), st.sampled_from([8, 32, 64, None]), st.booleans())
COLUMNS = {8: 72, 32: 160, 48: 144, 64: 192, 128: 256, 200: 400, None: 130}  # by group size: two groups or more
VARIANTS = st.lists(st.tuples(st.integers(2, 8), st.booleans()), min_size=1, max_size=3)


def side_by_side(variants: list[tuple[int, bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    bits, symmetric = zip(*variants, strict=True)
    return torch.tensor(bits)[:, None, None], torch.tensor(symmetric)[:, None, None]


def stacked_problems(seed: int, n: int, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    weights, hessians = zip(*(problem(seed + i, rows, columns, 2 * columns) for i in range(n)), strict=True)
    return torch.stack(weights), torch.stack(hessians)


def assert_equal_but_for_ties(ours, theirs, steps, weight, hessian):
    """Rows of (rows, columns) agree to 1e-9 up to a weight that lies within 1e-9 steps of the middle of two points.

    What it was corrected to there is taken from the normal equations: w_R + (w_P - q_P) H_PR H_RR^-1 for the columns
    P before it and R from it on, with the damped Hessian.
    """
    hessian = hessian + 0.01 * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=torch.float64)
    for row in ((ours - theirs).abs() > 1e-9).any(-1).nonzero().flatten().tolist():
        j = int(((ours - theirs)[row].abs() > 1e-9).nonzero()[0])
        lost = weight[row, :j] - ours[row, :j]
        corrected = weight[row, j:] + lost @ hessian[:j, j:] @ torch.linalg.inv(hessian[j:, j:])
        position = (corrected[0] / steps[row, j]).item()
        assert abs(position - math.floor(position) - 0.5) < 1e-9


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), VARIANTS, st.sampled_from(list(COLUMNS)), st.sampled_from([1, 5, 16]))
@example(13, [(3, True)], 8, 1)
def test_many_matrices_at_once_are_the_plain_solver(seed, variants, group_size, rows):
    """In float64, but for ties: in a symmetric group the lowest weight lies in a middle if its column is the first."""
    bits, symmetric = side_by_side(variants)
    weight, hessian = stacked_problems(seed, len(variants), rows, COLUMNS[group_size])
    weight, hessian = weight.double(), hessian.double()
    solution = gptq_solver.solve(weight, hessian, bits, group_size, symmetric, 0.01)
    for i, (b, s) in enumerate(variants):
        plain = gptq_solver.solve_plainly(weight[i], hessian[i], b, group_size, s, 0.01)
        steps = solution.scale[i][:, solution.group_of_column[i]]
        assert_equal_but_for_ties(solution.weight[i], plain, steps, weight[i], hessian[i])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), VARIANTS, st.sampled_from(list(COLUMNS)))
def test_in_float32_nearly_all_codes_are_the_plain_solvers(seed, variants, group_size):
    """Corrections add up in another order, and a flip moves the rest of its row: 99%, on rows enough for a mean."""
    bits, symmetric = side_by_side(variants)
    weight, hessian = stacked_problems(seed, len(variants), 4096, COLUMNS[group_size])
    solution = gptq_solver.solve(weight, hessian, bits, group_size, symmetric, 0.01)
    for i, (b, s) in enumerate(variants):
        plain = gptq_solver.solve_plainly(weight[i], hessian[i], b, group_size, s, 0.01)
        steps = solution.scale[i][:, solution.group_of_column[i]]
        assert ((solution.weight[i] - plain).abs() < 0.5 * steps).float().mean() >= 0.99


OPTIONS = list(itertools.product(["given", "activation"], ["minmax", "mse"]))


@pytest.mark.parametrize(("order", "grid_search"), OPTIONS)
@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), VARIANTS, st.sampled_from(list(COLUMNS)))
def test_a_matrix_has_the_same_bits_alone_and_in_a_batch(order, grid_search, seed, variants, group_size):
    bits, symmetric = side_by_side(variants)
    weight, hessian = stacked_problems(seed, len(variants), 6, COLUMNS[group_size])
    together = gptq_solver.solve(weight, hessian, bits, group_size, symmetric, 0.01, order, grid_search)
    for i, (b, s) in enumerate(variants):
        alone = gptq_solver.solve(weight[[i]], hessian[[i]], b, group_size, s, 0.01, order, grid_search)
        for part in ("codes", "scale", "zero", "group_of_column"):
            assert torch.equal(getattr(together, part)[i], getattr(alone, part)[0]), part


@pytest.mark.parametrize(("order", "grid_search"), OPTIONS)
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), SCHEMES)
def test_a_diagonal_hessian_gives_round_to_nearest_bit_for_bit(order, grid_search, seed, scheme):
    """With activation order groups are of other neighbours, and their round-to-nearest is of the permuted weights."""
    bits, group_size, symmetric = scheme
    weight, hessian = problem(seed)
    solution = gptq_solver.solve(
        weight, torch.diag(hessian.diagonal()), bits, group_size, symmetric, 0.01, order, grid_search
    )
    position = hessian.diagonal().argsort(descending=True) if order == "activation" else torch.arange(64)
    grouped = weight[:, position].unflatten(-1, (-1, group_size or 64))
    grid = grids.SEARCHES[grid_search](grouped, bits, symmetric)
    nearest = grid.decode(grid.encode(grouped)).flatten(-2)
    assert torch.equal(solution.weight[:, position], nearest)
    if (order, grid_search) == ("given", "minmax"):
        assert torch.equal(solution.weight, grids.round_to_grid(weight, bits, symmetric, group_size))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), SCHEMES)
def test_activation_order_is_the_permuted_problem_and_groups_map_back(seed, scheme):
    bits, group_size, symmetric = scheme
    weight, hessian = problem(seed)
    position = torch.tensor(np.argsort(-hessian.diagonal().numpy(), kind="stable"))
    ours = gptq_solver.solve(weight, hessian, bits, group_size, symmetric, 0.01, "activation")
    permuted = gptq_solver.solve(weight[:, position], hessian[position][:, position], bits, group_size, symmetric, 0.01)
    assert torch.equal(ours.codes[:, position], permuted.codes)
    assert torch.equal(ours.scale, permuted.scale)
    assert torch.equal(ours.weight[:, position], permuted.weight)
    assert ours.group_of_column[position].tolist() == [i // (group_size or 64) for i in range(64)]


def test_columns_with_equal_inputs_stay_in_their_order():
    """Which of equals comes first mustn't depend on a sorting algorithm: here all are equal."""
    weight, _ = problem(0, columns=512)
    ours, given_order = (
        gptq_solver.solve(weight, torch.eye(512), 3, 64, False, 0.01, order) for order in ("activation", "given")
    )
    assert torch.equal(ours.codes, given_order.codes)
    assert torch.equal(ours.group_of_column, given_order.group_of_column)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), SCHEMES)
def test_the_searched_grid_never_has_a_larger_squared_error_group_by_group(seed, scheme):
    bits, group_size, symmetric = scheme
    groups = problem(seed)[0].unflatten(-1, (-1, group_size or 64))
    errors = [
        (grid.decode(grid.encode(groups)) - groups).square().sum(-1)
        for grid in (grids.fit_least_squares(groups, bits, symmetric), grids.fit(groups, bits, symmetric))
    ]
    assert (errors[0] <= errors[1]).all()
    if bits == 2 and group_size:
        assert (errors[0] < errors[1]).any()


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_searched_grid_is_the_best_of_eighty_by_brute_force(symmetric):
    """Two bits and five weights, in plain Python numbers: the least error of all shrunk ranges (float32 noise apart)."""
    for row in torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).tolist():
        low, high = min(*row, 0.0), max(*row, 0.0)
        low, high = (-max(-low, high), max(-low, high)) if symmetric else (low, high)
        errors = []
        for step in range(80):
            scale = (high - low) * (1 - 0.01 * step) / 3
            zero = 2 if symmetric else round(-low * (1 - 0.01 * step) / scale)
            errors.append(sum(min((scale * (code - zero) - w) ** 2 for code in range(4)) for w in row))
        weight = torch.tensor([row])
        found = grids.fit_least_squares(weight, 2, symmetric)
        ours = (found.decode(found.encode(weight)) - weight).square().sum().item()
        assert ours == pytest.approx(min(errors), rel=1e-4)
        assert min(errors) <= errors[0]


@pytest.mark.parametrize("size", [1, 7, 64, 96, 200, 384, 1536])
def test_the_factor_is_that_of_the_inverse(size):
    """Against numpy's inverse and Cholesky factor, float64: 1e-9 of the largest entry at a condition of about 1e3."""
    generator = torch.Generator().manual_seed(size)
    inputs = torch.randn(2, size, 2 * size, generator=generator, dtype=torch.float64)
    hessian = inputs @ inputs.mT / (2 * size)
    upper, used = gptq_solver.inverse_factor(hessian, 0.01)
    assert used.tolist() == [0.01, 0.01]
    for ours, one in zip(upper, hessian.numpy(), strict=True):
        inverse = np.linalg.inv(one + 0.01 * one.diagonal().mean() * np.eye(size))
        assert np.abs((ours.T @ ours).numpy() - inverse).max() < 1e-9 * np.abs(inverse).max()
        assert np.abs(ours.numpy() - np.linalg.cholesky(inverse).T).max() < 1e-9 * np.abs(inverse).max()
        assert torch.equal(ours, ours.triu())


@pytest.mark.parametrize("columns", [16, 128, 496, 512, 784])
def test_second_moments_are_the_plain_product_and_a_batch_changes_no_bit(columns):
    """Tokens beyond one chunk, columns below and above the width that is cut into panels; sums in float32.

    Same bits where a matrix begins at a multiple of 64 bytes, as torch allocates: MKL adds in another order elsewhere.
    """
    tokens = gptq_solver.TOKENS_AT_ONCE["cpu"] + 100
    inputs = torch.randn(2, tokens, columns, generator=torch.Generator().manual_seed(columns))
    together = gptq_solver.second_moments(inputs)
    for ours, one in zip(together, inputs, strict=True):
        exact = one.double().T @ one.double()
        assert (ours - exact).abs().max() < 1e-5 * exact.abs().max()
        assert torch.equal(ours, gptq_solver.second_moments(one))
        assert torch.equal(ours, gptq_solver.second_moments(one[None])[0])
        # panels share no product, so only their own blocks are equal to the last bit
        assert (ours - ours.T).abs().max() < 1e-5 * exact.abs().max()


def test_second_moments_of_bfloat16_are_summed_in_float32():
    """4196 ones: a sum in bfloat16 would stop at 256."""
    moments = gptq_solver.second_moments(torch.ones(gptq_solver.TOKENS_AT_ONCE["cpu"] + 100, 3, dtype=torch.bfloat16))
    assert moments.dtype == torch.float32
    assert (moments == gptq_solver.TOKENS_AT_ONCE["cpu"] + 100).all()


@settings(deadline=None)
@given(st.integers(0, 300), SCHEMES)
def test_the_matrix_error_is_below_round_to_nearests(seed, scheme):
    """On whole matrices; row by row it isn't always (41 of 640 rows in a trial)."""
    bits, group_size, symmetric = scheme
    weight, hessian = problem(seed, rows=64)
    solution = gptq_solver.solve(weight, hessian, bits, group_size, symmetric, 0.01)
    nearest = grids.round_to_grid(weight, bits, symmetric, group_size)
    ours, theirs = (gptq_solver.relative_error(weight, rounded, hessian) for rounded in (solution.weight, nearest))
    assert ours < theirs


@pytest.mark.parametrize(("order", "grid_search"), OPTIONS)
@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), SCHEMES)
def test_codes_scale_and_zero_make_up_the_weights(order, grid_search, seed, scheme):
    bits, group_size, symmetric = scheme
    weight, hessian = problem(seed)
    solution = gptq_solver.solve(weight, hessian, bits, group_size, symmetric, 0.01, order, grid_search)
    assert solution.codes.min() >= 0
    assert solution.codes.max() <= 2**bits - 1
    groups = solution.group_of_column
    assert torch.equal(solution.scale[:, groups] * (solution.codes - solution.zero[:, groups]), solution.weight)
    batch = gptq_solver.solve(weight[None], hessian[None], bits, group_size, symmetric, 0.01, order, grid_search)
    assert torch.equal(batch.part(0).decode(), solution.weight)


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
    solution = gptq_solver.solve(weight.double(), hessian.double(), bits, None, False, 0.01)
    torch.testing.assert_close(solution.weight, textbook(weight, hessian, bits, 0.01), rtol=0, atol=1e-9)
    single = gptq_solver.solve(weight, hessian, bits, None, False, 0.01)
    assert (single.codes == solution.codes).float().mean() >= 0.99


@pytest.mark.parametrize(("order", "grid_search"), OPTIONS)
def test_the_arguments_and_the_global_random_state_stay_as_they_are(order, grid_search):
    weight, hessian = problem(0)
    hessian[:, 5] = hessian[5, :] = 0
    before, state = (weight.clone(), hessian.clone()), torch.get_rng_state()
    gptq_solver.solve(weight, hessian, 3, 32, False, 0.01, order, grid_search)
    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("order", ["given", "activation"])
def test_dead_columns_are_zeroed_and_counted(order):
    weight, hessian = problem(0)
    hessian[:, 5] = hessian[5, :] = 0
    solution = gptq_solver.solve(weight, hessian, 4, 16, False, 0.01, order)
    assert solution.n_dead_columns == 1
    assert torch.equal(solution.weight[:, 5], torch.zeros(6))
    assert (solution.weight != 0).any(0).sum() == 63


def test_inputs_that_are_all_zero_leave_a_matrix_of_zeros():
    solution = gptq_solver.solve(problem(0)[0], torch.zeros(64, 64), 4, 16, False, 0.01)
    assert torch.equal(solution.weight, torch.zeros(6, 64))
    assert solution.n_dead_columns == 64


@pytest.mark.parametrize("copies", [2, 64])
def test_duplicated_and_rank_one_inputs_are_solved_on_the_first_rung(copies):
    weight, hessian = problem(0)
    repeated = hessian[: 64 // copies, : 64 // copies].repeat(copies, copies)
    solution = gptq_solver.solve(weight, repeated, 4, 32, False, 0.01)
    assert torch.isfinite(solution.weight).all()
    assert solution.rel_damp_used.item() == pytest.approx(0.01)


def test_fewer_tokens_than_columns_are_solved_on_the_first_rung():
    weight, hessian = problem(0, columns=96, tokens=5)
    solution = gptq_solver.solve(weight, hessian, 4, 32, False, 0.01)
    assert torch.isfinite(solution.weight).all()
    assert solution.rel_damp_used.item() == pytest.approx(0.01)


def test_the_ladder_climbs_and_the_rung_is_recorded():
    """An indefinite Hessian whose lowest eigenvalue needs five percent of the mean diagonal."""
    weight, hessian = problem(0)
    shift = torch.linalg.eigvalsh(hessian)[0] + 0.05 * hessian.diagonal().mean()
    indefinite = hessian - shift * torch.eye(64)
    pair = torch.stack([hessian, indefinite])
    bits = torch.tensor([3, 3])[:, None, None]
    solution = gptq_solver.solve(weight.expand(2, -1, -1), pair, bits, 32, False, 0.01)
    torch.testing.assert_close(solution.rel_damp_used, torch.tensor([0.01, 0.1], dtype=torch.float64))
    alone = gptq_solver.solve(weight, hessian, 3, 32, False, 0.01)
    assert torch.equal(solution.codes[0], alone.codes)


@pytest.mark.parametrize("order", ["given", "activation"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e6])
def test_a_hopeless_hessian_is_an_error_that_names_the_rungs_and_the_scheme(value, order):
    weight, hessian = problem(0)
    broken = hessian.clone()
    broken[3, 3] = value
    with pytest.raises(gptq_solver.SingularHessianError, match="relative damping 0.01, 0.1, 1") as caught:
        gptq_solver.solve(weight.expand(2, -1, -1), torch.stack([hessian, broken]), 3, 32, False, 0.01, order)
    assert caught.value.failed == [1]


def test_inputs_that_are_not_finite_are_hopeless():
    for value in (float("nan"), float("inf")):
        inputs = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
        inputs[7, 3] = value
        with pytest.raises(gptq_solver.SingularHessianError):
            gptq_solver.solve(problem(0)[0], gptq_solver.second_moments(inputs), 3, 32, False, 0.01)
