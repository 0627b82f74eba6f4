"""GPTQ's mathematics: pure tensors, no models, files or clocks.

`solve` treats many matrices at once; `solve_plainly` is the same loop as one reads it in the paper.

Rounding the columns of a weight matrix one after the other, each time correcting the columns not yet rounded,
minimises tr((W - Q) H (W - Q)^T) for H the second moments of the layer's inputs.
Source: Frantar et al. 2022 (arXiv 2210.17323), algorithm 1. Every function takes leading batch dimensions.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measure.rounding import grids
from helpers.table.errors import QuantizationError

LAZY_COLUMNS = 128  # columns corrected together before the rest of the matrix is (no effect on the result)
# Of the second moments: tokens added at once (their order is part of the result), and column panels of wide layers
TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 65536}
PANELS, PANEL_COLUMNS = 4, 128
# Columns, on a GPU, up to which matrices are factorised as a batch and inverted by one kernel
FACTORISED_TOGETHER, INVERTED_TOGETHER = 1536, 2048
DAMPING_RUNGS = (1.0, 10.0, 100.0)  # multiples of rel_damp that are tried in turn; the one used is recorded


class SingularHessianError(QuantizationError):
    """The Hessian isn't positive definite on any rung of the ladder; `failed` holds the flat batch indices."""

    def __init__(self, failed: list[int], rel_damp: float) -> None:
        tried = ", ".join(f"{rung * rel_damp:g}" for rung in DAMPING_RUNGS)
        super().__init__(f"Hessian not positive definite with relative damping {tried}")
        self.failed = failed


@dataclass(frozen=True)
class Solution:
    """Rounded matrices. Shapes: weight and codes (..., rows, columns), scale and zero (..., rows, groups).

    `weight` is what the codes stand for; `group_of_column` (..., columns) says which scale a column has;
    `rel_damp_used` and `n_dead_columns` are (...).
    """

    weight: Tensor
    codes: Tensor  # uint8
    scale: Tensor
    zero: Tensor
    group_of_column: Tensor
    rel_damp_used: Tensor
    n_dead_columns: Tensor

    def part(self, index: int) -> grids.IntegerWeight | Tensor:
        """Return one matrix of a batch as it is stored, or as the model runs with it where that isn't a grid's."""
        stored = self.codes, self.scale, self.zero, self.group_of_column
        return grids.IntegerWeight(*(part[index] for part in stored))


def second_moments(inputs: Tensor) -> Tensor:
    """Return the sum of x x^T over the tokens of `inputs` (..., tokens, columns): (..., columns, columns), float32.

    Tokens are added in chunks of a fixed length, in order, and only one triangle of blocks is computed.
    """
    columns = inputs.shape[-1]
    width = -(-columns // (PANELS if columns >= PANELS * PANEL_COLUMNS else 1))
    kind = torch.promote_types(inputs.dtype, torch.float32)
    total = inputs.new_zeros((*inputs.shape[:-2], columns, columns), dtype=kind)
    for chunk in inputs.split(TOKENS_AT_ONCE[inputs.device.type], dim=-2):
        for start in range(0, columns, width):
            panel = slice(start, start + width)
            _add_product(total[..., panel, start:], chunk[..., panel].mT, chunk[..., start:])
    for start in range(width, columns, width):
        total[..., start:, start - width : start] = total[..., start - width : start, start:].mT
    return total


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right, float32 (or float64), matrix by matrix, each with bits of its own."""
    target = left.new_zeros(*left.shape[:-1], right.shape[-1], dtype=torch.promote_types(left.dtype, torch.float32))
    _add_product(target, left, right)
    return target


def _add_product(target: Tensor, left: Tensor, right: Tensor, factor: float = 1.0) -> None:
    """Add factor x left @ right to `target`, in place and in its precision, whatever the dtype of the others.

    Matrix by matrix: a batched product's order of sums may depend on how many there are.
    """
    for index in itertools.product(*map(range, target.shape[:-2])):
        if target.is_cuda and left.dtype in (torch.bfloat16, torch.float16):
            target[index].add_(torch.mm(left[index], right[index], out_dtype=torch.float32), alpha=factor)
        else:
            target[index].addmm_(left[index].to(target.dtype), right[index].to(target.dtype), alpha=factor)


def inverse_factor(hessian: Tensor, rel_damp: float) -> tuple[Tensor, Tensor]:
    """Return the upper Cholesky factor of the damped inverse Hessian, and the relative damping used.

    `hessian` has shape (..., columns, columns); the damping added to its diagonal is a share of the mean
    diagonal. A matrix that isn't positive definite climbs to the next rung of `DAMPING_RUNGS`.
    Raises SingularHessianError when the last rung isn't enough.
    """
    mean_diagonal = _means(hessian.diagonal(dim1=-2, dim2=-1))
    used = torch.full_like(mean_diagonal, rel_damp, dtype=torch.float64)
    for rung in DAMPING_RUNGS:
        damped = hessian.clone()
        damped.diagonal(dim1=-2, dim2=-1).add_((used.to(hessian.dtype) * mean_diagonal)[..., None])
        # H = R R^T with R upper triangular is the Cholesky factor read from the last column to the first; then
        # H^-1 = (R^-1)^T R^-1, so R^-1 is the factor wanted: one factorisation, no inverse of H
        lower, info = _cholesky(damped.flip(-1, -2))
        upper = _inverse_of_lower(lower).flip(-1, -2)
        # the factor of an infinite matrix is finite, with zeros in it
        singular = (info != 0) | ~torch.isfinite(mean_diagonal) | ~torch.isfinite(upper).all(-1).all(-1)
        if not singular.any():
            return upper, used
        if rung != DAMPING_RUNGS[-1]:
            used = torch.where(singular, used * (DAMPING_RUNGS[DAMPING_RUNGS.index(rung) + 1] / rung), used)
    raise SingularHessianError(singular.flatten().nonzero().flatten().tolist(), rel_damp)


def _means(rows: Tensor) -> Tensor:
    """Return the mean of each row of (..., n), on a GPU by a kernel: torch's order of sums depends on their number."""
    if not rows.is_cuda:
        return rows.mean(-1)
    from helpers.measure.rounding.gptq_columns_cuda import means_of_rows  # Triton is there only where CUDA is

    return means_of_rows(rows)


def _cholesky(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower Cholesky factor of symmetric matrices (..., n, n), and what went wrong (0 for nothing).

    On a GPU one matrix and several are factorised by different programs: small matrices go as several, even one, and
    large ones one by one, whichever costs less.
    """
    if not matrix.is_cuda:
        lower, info = torch.linalg.cholesky_ex(matrix)
        return lower, info
    stacked = matrix.reshape(-1, *matrix.shape[-2:])
    if matrix.shape[-1] > FACTORISED_TOGETHER:
        parts = [torch.linalg.cholesky_ex(each) for each in stacked]
        lower, info = torch.stack([part.L for part in parts]), torch.stack([part.info for part in parts])
    else:
        doubled = torch.cat([stacked, stacked[:1]]) if len(stacked) == 1 else stacked
        lower, info = (part[: len(stacked)] for part in torch.linalg.cholesky_ex(doubled))
    return lower.view(matrix.shape), info.view(matrix.shape[:-2])


def _inverse_of_lower(lower: Tensor) -> Tensor:
    """Return the inverse of lower triangular matrices (..., n, n): of small diagonal blocks, then of pairs of them."""
    n = size = lower.shape[-1]
    if lower.is_cuda and n <= INVERTED_TOGETHER:
        from helpers.measure.rounding.gptq_columns_cuda import inverse_of_lower  # Triton is there only where CUDA is

        return inverse_of_lower(lower)
    if lower.is_cuda and lower.ndim > 2:  # several: the order of sums would depend on how many
        stacked = torch.stack([_inverse_of_lower(each) for each in lower.reshape(-1, n, n)])
        return stacked.view(lower.shape)
    while size > LAZY_COLUMNS and size % 2 == 0:
        size //= 2
    diagonal = _blocks(lower, size).diagonal(dim1=-4, dim2=-2).movedim(-1, -3)  # (..., n / size, size, size)
    identity = torch.eye(size, dtype=lower.dtype, device=lower.device).expand_as(diagonal)
    inverse: Tensor = torch.linalg.solve_triangular(diagonal, identity, upper=False)
    while size < n:
        corner = _blocks(lower, size)[..., 1::2, :, ::2, :].diagonal(dim1=-4, dim2=-2).movedim(-1, -3)
        first, second = inverse[..., ::2, :, :], inverse[..., 1::2, :, :]
        below = -product(product(second, corner), first)
        inverse = torch.cat([torch.cat([first, torch.zeros_like(first)], -1), torch.cat([below, second], -1)], -2)
        size *= 2
    return inverse[..., 0, :, :]


def _blocks(matrix: Tensor, size: int) -> Tensor:
    """Return square matrices (..., n, n) as blocks (..., n / size, size, n / size, size)."""
    blocks: Tensor = matrix.unflatten(-1, (-1, size)).unflatten(-3, (-1, size))
    return blocks


def solve(
    weight: Tensor,
    hessian: Tensor,
    bits: Tensor | int,
    group_size: int | None,
    symmetric: Tensor | bool,
    rel_damp: float,
    order: str = "given",
    grid_search: str = "minmax",
) -> Solution:
    """Round `weight` (..., rows, columns) given `hessian` (..., columns, columns), both float32.

    `bits` and `symmetric` are numbers, or tensors of shape (..., 1, 1). A group's grid is fitted to the weights as
    corrected up to its first column. Columns whose input is always zero are set to zero. With `order` activation the
    columns with the largest mean square input come first, and groups are of neighbours in that order.
    The arguments stay as they are. Raises SingularHessianError.
    """
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    dead = diagonal == 0
    hessian, remaining = hessian + torch.diag_embed(dead.to(hessian.dtype)), weight.masked_fill(dead.unsqueeze(-2), 0)
    position = torch.arange(weight.shape[-1], device=weight.device).expand_as(diagonal)
    if order == "activation":
        position = diagonal.argsort(dim=-1, descending=True, stable=True)
        hessian = _columns_at(_columns_at(hessian, position).mT, position)
        remaining = _columns_at(remaining, position)
    factor, rel_damp_used = inverse_factor(hessian, rel_damp)
    rounded, codes, scale, zero = _round_in_order(remaining, factor, bits, group_size, symmetric, grid_search)
    if order == "activation":
        position = position.argsort(dim=-1)
        rounded, codes = _columns_at(rounded, position), _columns_at(codes, position)
    groups = position // (group_size or weight.shape[-1])
    return Solution(rounded, codes.to(torch.uint8), scale, zero, groups, rel_damp_used, dead.sum(-1))


def _columns_at(matrix: Tensor, position: Tensor) -> Tensor:
    """Return the columns of `matrix` (..., rows, columns) in the order of `position` (..., columns)."""
    return matrix.gather(-1, position.unsqueeze(-2).expand_as(matrix))


def _round_in_order(
    remaining: Tensor,
    factor: Tensor,
    bits: Tensor | int,
    group_size: int | None,
    symmetric: Tensor | bool,
    grid_search: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Round the columns of `remaining`, which is used up, from first to last: (weight, codes, scale, zero)."""
    if remaining.is_cuda:
        from helpers.measure.rounding.gptq_columns_cuda import round_in_order  # Triton is there only where CUDA is

        return round_in_order(remaining, factor, bits, group_size, symmetric, grid_search)
    columns = remaining.shape[-1]
    group = group_size or columns
    lazy = math.gcd(group, LAZY_COLUMNS) if group_size else LAZY_COLUMNS
    fit = grids.SEARCHES[grid_search]
    rounded, codes = torch.empty_like(remaining), torch.empty_like(remaining)
    fitted = []
    for start in range(0, columns, lazy):
        stop = min(start + lazy, columns)
        if start % group == 0:
            fitted.append(fit(remaining[..., start : start + group], bits, symmetric))
        block = factor[..., start:stop, start:stop]
        codes[..., start:stop], errors = _round_columns(remaining[..., start:stop], block, fitted[-1])
        rounded[..., start:stop] = fitted[-1].decode(codes[..., start:stop])
        _add_product(remaining[..., stop:], errors, factor[..., start:stop, stop:], -1.0)
    scale = torch.cat([grid.scale for grid in fitted], -1)
    zero = torch.cat([grid.zero.expand_as(grid.scale) for grid in fitted], -1)
    return rounded, codes, scale, zero


def _round_columns(block: Tensor, factor: Tensor, grid: grids.IntegerGrid) -> tuple[Tensor, Tensor]:
    """Round the columns of `block` (..., rows, width), each correcting those after it: codes and scaled errors."""
    # columns lie next to each other in memory as rows of the transpose
    remaining, factor_rows = block.mT.contiguous(), factor.unsqueeze(-2)
    codes, errors = torch.empty_like(remaining), torch.empty_like(remaining)
    scale, zero, max_code = (
        part.expand(*block.shape[:-1], 1)[..., 0] for part in (grid.scale, grid.zero, grid.max_code)
    )
    grid_of_rows = grids.IntegerGrid(scale, zero, max_code)
    for i in range(block.shape[-1]):
        current = remaining[..., i, :]
        codes[..., i, :] = grid_of_rows.encode(current)
        errors[..., i, :] = (current - grid_of_rows.decode(codes[..., i, :])) / factor_rows[..., i, :, i]
        remaining[..., i + 1 :, :] -= factor[..., i, i + 1 :, None] * errors[..., i, None, :]
    return codes.mT, errors.mT


def solve_plainly(
    weight: Tensor, hessian: Tensor, bits: int, group_size: int | None, symmetric: bool, rel_damp: float
) -> Tensor:
    """Round one `weight` (rows, columns) column by column: `solve` without batches, blocks or reordering.

    Source: Frantar et al. 2022 (arXiv 2210.17323), algorithm 1.
    """
    columns = weight.shape[-1]
    factor, _ = inverse_factor(hessian, rel_damp)
    current = weight.clone()
    for j in range(columns):
        if j % (group_size or columns) == 0:
            grid = grids.fit(current[:, j : j + (group_size or columns)], bits, symmetric)
        rounded = grid.decode(grid.encode(current[:, [j]]))
        error = (current[:, [j]] - rounded) / factor[j, j]
        current[:, j + 1 :] -= error * factor[j, j + 1 :]
        current[:, [j]] = rounded
    return current


def relative_error(weight: Tensor, rounded: Tensor, hessian: Tensor) -> Tensor:
    """Return tr((W - Q) H (W - Q)^T) / tr(W H W^T), shape (...): the share of the layer's output power lost."""
    difference = weight - rounded
    lost = (difference @ hessian * difference).sum((-2, -1))
    return lost / (weight @ hessian * weight).sum((-2, -1))
