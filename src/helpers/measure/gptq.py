"""GPTQ's mathematics: pure tensors, no models, files or clocks.

Rounding the columns of a weight matrix one after the other, each time correcting the columns not yet rounded,
minimises tr((W - Q) H (W - Q)^T) for H the second moments of the layer's inputs.
Source: Frantar et al. 2022 (arXiv 2210.17323), algorithm 1. Every function takes leading batch dimensions.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measure import grids
from helpers.specs import QuantizationError

LAZY_COLUMNS = 128  # columns corrected together before the rest of the matrix is (no effect on the result)
DAMPING_RUNGS = (1.0, 10.0, 100.0)  # multiples of rel_damp that are tried in turn; the one used is recorded


class SingularHessianError(QuantizationError):
    """The Hessian isn't positive definite on any rung of the ladder; `failed` holds the flat batch indices."""

    def __init__(self, failed: list[int], rel_damp: float) -> None:
        tried = ", ".join(f"{rung * rel_damp:g}" for rung in DAMPING_RUNGS)
        super().__init__(f"Hessian not positive definite with relative damping {tried}")
        self.failed = failed


@dataclass(frozen=True)
class Solution:
    """A rounded matrix. Shapes: weight and codes (..., rows, columns), scale and zero (..., rows, groups)."""

    weight: Tensor
    codes: Tensor
    scale: Tensor
    zero: Tensor
    rel_damp_used: Tensor  # (...)
    n_dead_columns: Tensor  # (...)


def second_moments(inputs: Tensor) -> Tensor:
    """Return the sum of x x^T over all tokens of `inputs` (..., columns): shape (columns, columns), float32."""
    flat = inputs.reshape(-1, inputs.shape[-1]).float()
    return flat.T @ flat


def inverse_factor(hessian: Tensor, rel_damp: float) -> tuple[Tensor, Tensor]:
    """Return the upper Cholesky factor of the damped inverse Hessian, and the relative damping used.

    `hessian` has shape (..., columns, columns); the damping added to its diagonal is a share of the mean
    diagonal. A matrix that isn't positive definite climbs to the next rung of `DAMPING_RUNGS`.
    Raises SingularHessianError when the last rung isn't enough.
    """
    mean_diagonal = hessian.diagonal(dim1=-2, dim2=-1).mean(-1)
    identity = torch.eye(hessian.shape[-1], dtype=hessian.dtype, device=hessian.device)
    used = torch.full_like(mean_diagonal, rel_damp, dtype=torch.float64)
    for rung in DAMPING_RUNGS:
        damped = hessian + (used.to(hessian.dtype) * mean_diagonal)[..., None, None] * identity
        lower, info = torch.linalg.cholesky_ex(damped)
        upper, info_inverse = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
        singular = (info != 0) | (info_inverse != 0) | ~torch.isfinite(upper).all(-1).all(-1)
        if not singular.any():
            return upper, used
        if rung != DAMPING_RUNGS[-1]:
            used = torch.where(singular, used * (DAMPING_RUNGS[DAMPING_RUNGS.index(rung) + 1] / rung), used)
    raise SingularHessianError(singular.flatten().nonzero().flatten().tolist(), rel_damp)


def solve(
    weight: Tensor,
    hessian: Tensor,
    bits: Tensor | int,
    group_size: int | None,
    symmetric: Tensor | bool,
    rel_damp: float,
) -> Solution:
    """Round `weight` (..., rows, columns) given `hessian` (..., columns, columns), both float32.

    `bits` and `symmetric` are numbers, or tensors of shape (..., 1, 1). A group's grid is fitted to the weights as
    corrected up to its first column. Columns whose input is always zero are set to zero. The arguments stay as
    they are. Raises SingularHessianError.
    """
    columns = weight.shape[-1]
    dead = hessian.diagonal(dim1=-2, dim2=-1) == 0
    hessian = hessian + torch.diag_embed(dead.to(hessian.dtype))
    factor, rel_damp_used = inverse_factor(hessian, rel_damp)
    remaining = weight.masked_fill(dead.unsqueeze(-2), 0)
    group = group_size or columns
    lazy = math.gcd(group, LAZY_COLUMNS) if group_size else LAZY_COLUMNS
    codes = torch.empty_like(remaining)
    rounded = torch.empty_like(remaining)
    fitted = []
    for start in range(0, columns, lazy):
        stop = min(start + lazy, columns)
        if start % group == 0:
            fitted.append(grids.fit(remaining[..., start : start + group], bits, symmetric))
        errors = _round_columns(remaining, factor, fitted[-1], (start, stop), codes, rounded)
        remaining[..., stop:] -= errors @ factor[..., start:stop, stop:]
    scale = torch.cat([grid.scale for grid in fitted], -1)
    zero = torch.cat([grid.zero for grid in fitted], -1)
    return Solution(rounded, codes, scale, zero, rel_damp_used, dead.sum(-1))


def _round_columns(
    remaining: Tensor, factor: Tensor, grid: grids.IntegerGrid, span: tuple[int, int], codes: Tensor, rounded: Tensor
) -> Tensor:
    """Round the columns in `span`, correcting those after each; return their scaled errors (..., rows, width)."""
    start, stop = span
    block = remaining[..., start:stop]
    errors = torch.empty_like(block)
    for i, column in enumerate(range(start, stop)):
        current = block[..., i : i + 1]
        codes[..., column : column + 1] = grid.encode(current)
        rounded[..., column : column + 1] = grid.decode(codes[..., column : column + 1])
        errors[..., i : i + 1] = (current - rounded[..., column : column + 1]) / factor[..., column, column, None, None]
        block[..., i:] -= errors[..., i : i + 1] * factor[..., column, None, column:stop]
    return errors


def relative_error(weight: Tensor, rounded: Tensor, hessian: Tensor) -> Tensor:
    """Return tr((W - Q) H (W - Q)^T) / tr(W H W^T), shape (...): the share of the layer's output power lost."""
    difference = weight - rounded
    lost = torch.einsum("...rc,...rc->...", difference @ hessian, difference)
    return lost / torch.einsum("...rc,...rc->...", weight @ hessian, weight)
