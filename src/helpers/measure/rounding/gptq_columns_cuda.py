"""GPTQ's loop over columns, and the inverse of its Cholesky factor, as Triton kernels.

A program has a few rows of one matrix, or a few columns of one inverse, and does all that these need in a fixed order:
a matrix's bits don't depend on how many others are beside it.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra import libdevice

from helpers.measure.rounding import grids

ROWS_PER_PROGRAM = 16
LEAST_WIDTH = 16  # of a product's operands
LAZY_COLUMNS = 128  # columns rounded together before the rest of a row is corrected
TILE = 64
INVERTED = 32  # rows and columns of the diagonal blocks that are inverted by substitution


@triton.jit
def _round_rows(
    remaining, factor, max_code, symmetric, scales, zeros, codes, rounded,
    n_rows, n_columns, n_groups, group, first, last,
    FITS: tl.constexpr, LAZY: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    matrix = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    there = row < n_rows
    of_row = (matrix * n_rows + row) * n_columns
    of_factor = factor + matrix * n_columns * n_columns
    top = tl.load(max_code + matrix)
    is_symmetric = tl.load(symmetric + matrix) != 0
    column = tl.arange(0, WIDTH)
    tile = tl.arange(0, TILE)
    scale = tl.full((ROWS,), 1.0, tl.float32)
    zero = tl.zeros((ROWS,), tl.float32)
    for start in range(first, last, LAZY):
        stop = tl.minimum(start + LAZY, n_columns)
        if start % group == 0:
            grid = (matrix * n_rows + row) * n_groups + start // group
            if FITS:  # to the rows as corrected up to here: `grids.fit`
                least, most = tl.zeros((ROWS, WIDTH), tl.float32), tl.zeros((ROWS, WIDTH), tl.float32)
                end = tl.minimum(start + group, n_columns)
                for at in range(start, end, WIDTH):
                    seen = there[:, None] & (at + column < end)[None, :]
                    x = tl.load(remaining + of_row[:, None] + (at + column)[None, :], mask=seen, other=0.0)
                    least, most = tl.minimum(least, x), tl.maximum(most, x)
                low, high = tl.min(least, axis=1), tl.max(most, axis=1)
                magnitude = tl.maximum(-low, high)
                low = tl.where(magnitude == 0, -1.0, tl.where(is_symmetric, -magnitude, low))
                high = tl.where(magnitude == 0, 1.0, tl.where(is_symmetric, magnitude, high))
                scale = tl.div_rn(high - low, tl.zeros((ROWS,), tl.float32) + top)
                zero = tl.where(is_symmetric, (top + 1) / 2, libdevice.rint(tl.div_rn(-low, scale)))
                tl.store(scales + grid, scale, mask=there)
                tl.store(zeros + grid, zero, mask=there)
            else:
                scale = tl.load(scales + grid, mask=there, other=1.0)
                zero = tl.load(zeros + grid, mask=there, other=0.0)
        inside = there[:, None] & (start + column < stop)[None, :]
        place = of_row[:, None] + (start + column)[None, :]
        x = tl.load(remaining + place, mask=inside, other=0.0)
        block_codes = tl.zeros((ROWS, WIDTH), tl.float32)
        errors = tl.zeros((ROWS, WIDTH), tl.float32)
        for i in range(stop - start):
            own = of_factor + (start + i) * n_columns + start
            correction = tl.load(own + column, mask=(column > i) & (start + column < stop), other=0.0)
            at_column = (column == i)[None, :]
            current = tl.sum(tl.where(at_column, x, 0.0), axis=1)
            code = libdevice.rint(tl.div_rn(current, scale)) + zero
            code = tl.minimum(tl.maximum(code, 0.0), top)
            error = tl.div_rn(current - scale * (code - zero), tl.zeros((ROWS,), tl.float32) + tl.load(own + i))
            x -= error[:, None] * correction[None, :]
            block_codes = tl.where(at_column, code[:, None], block_codes)
            errors = tl.where(at_column, error[:, None], errors)
        tl.store(codes + place, block_codes.to(tl.uint8), mask=inside)
        tl.store(rounded + place, scale[:, None] * (block_codes - zero[:, None]), mask=inside)
        for at in range(stop, n_columns, TILE):
            rest = (at + tile < n_columns)[None, :]
            rows_of_factor = (start + column).to(tl.int64)[:, None] * n_columns
            known = (start + column < stop)[:, None] & rest
            after = tl.load(of_factor + rows_of_factor + (at + tile)[None, :], mask=known, other=0.0)
            later = of_row[:, None] + (at + tile)[None, :]
            y = tl.load(remaining + later, mask=there[:, None] & rest, other=0.0)
            y -= tl.dot(errors, after, input_precision="ieee")
            tl.store(remaining + later, y, mask=there[:, None] & rest)
        tl.debug_barrier()  # what one thread has corrected another one rounds


def round_in_order(
    remaining: Tensor,
    factor: Tensor,
    bits: Tensor | int,
    group_size: int | None,
    symmetric: Tensor | bool,
    grid_search: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what `gptq_solver._round_in_order` does, on a GPU; `remaining` (..., rows, columns) is used up.

    `factor` is upper triangular (..., columns, columns); both are float32.
    """
    *batch, rows, columns = remaining.shape
    group = group_size or columns
    remaining = remaining.reshape(-1, rows, columns).contiguous()
    n_matrices, n_groups = len(remaining), -(-columns // group)
    lazy = math.gcd(group, LAZY_COLUMNS) if group_size else LAZY_COLUMNS
    of_matrix = remaining.new_empty(n_matrices, 1, 1)
    max_code = torch.as_tensor(2**bits - 1).to(of_matrix).reshape(-1, 1, 1).expand_as(of_matrix).contiguous()
    is_symmetric = torch.as_tensor(symmetric).to(of_matrix).reshape(-1, 1, 1).expand_as(of_matrix).contiguous()
    scale, zero = (remaining.new_empty(n_matrices, rows, n_groups) for _ in range(2))
    codes, rounded = torch.empty_like(remaining, dtype=torch.uint8), torch.empty_like(remaining)
    factor = factor.reshape(-1, columns, columns).contiguous()
    step = columns if grid_search == "minmax" else group
    for first in range(0, columns, step):
        if grid_search != "minmax":
            searched = grids.SEARCHES[grid_search](
                remaining[..., first : first + group], (max_code + 1).log2(), is_symmetric.bool()
            )
            scale[..., first // group], zero[..., first // group] = searched.scale[..., 0], searched.zero[..., 0]
        _round_rows[(n_matrices, triton.cdiv(rows, ROWS_PER_PROGRAM))](
            remaining, factor, max_code, is_symmetric, scale, zero, codes, rounded,
            rows, columns, n_groups, group, first, min(first + step, columns),
            FITS=grid_search == "minmax", LAZY=lazy, WIDTH=max(lazy, LEAST_WIDTH), ROWS=ROWS_PER_PROGRAM, TILE=TILE,
        )  # fmt: skip
    shape = (*batch, rows, columns)
    grid_shape = (*batch, rows, n_groups)
    return rounded.view(shape), codes.view(shape), scale.view(grid_shape), zero.view(grid_shape)


@triton.jit
def _invert_diagonal(lower, inverse, n, SIZE: tl.constexpr):
    matrix, start = tl.program_id(0).to(tl.int64), tl.program_id(1) * SIZE
    index = tl.arange(0, SIZE)
    inside = start + index < n
    of_matrix = matrix * n * n
    inverted = tl.zeros((SIZE, SIZE), tl.float32)
    for i in range(SIZE):  # row i of the inverse: (unit row - the row of L times the rows above) / pivot
        at = of_matrix + (start + i) * n + start
        known = (start + i < n) & (index < i) & inside
        left = tl.load(lower + at + index, mask=known, other=0.0)
        pivot = tl.load(lower + at + i, mask=start + i < n, other=1.0)
        row = tl.where(index == i, 1.0, 0.0) - tl.sum(left[:, None] * inverted, axis=0)
        row = tl.div_rn(row, tl.zeros((SIZE,), tl.float32) + pivot)
        inverted = tl.where((index == i)[:, None], row[None, :], inverted)
    place = of_matrix + (start + index).to(tl.int64)[:, None] * n + (start + index)[None, :]
    tl.store(inverse + place, inverted, mask=inside[:, None] & inside[None, :])


@triton.jit
def _invert_below(lower, inverse, n, SIZE: tl.constexpr):
    matrix, column = tl.program_id(0).to(tl.int64), tl.program_id(1) * SIZE
    index = tl.arange(0, SIZE)
    of_matrix = matrix * n * n
    inside = column + index < n
    for row in range(column + SIZE, n, SIZE):  # block by block downwards: -D^-1 (what stands left of it in L) X
        at = of_matrix + (row + index).to(tl.int64)[:, None] * n
        here = row + index < n
        total = tl.zeros((SIZE, SIZE), tl.float32)
        for k in range(column, row, SIZE):
            left = tl.load(lower + at + (k + index)[None, :], mask=here[:, None], other=0.0)
            above = of_matrix + (k + index).to(tl.int64)[:, None] * n + (column + index)[None, :]
            total += tl.dot(left, tl.load(inverse + above, mask=inside[None, :], other=0.0), input_precision="ieee")
        square = here[:, None] & here[None, :]
        diagonal = tl.load(inverse + at + (row + index)[None, :], mask=square, other=0.0)
        block = -tl.dot(diagonal, total, input_precision="ieee")
        tl.store(inverse + at + (column + index)[None, :], block, mask=here[:, None] & inside[None, :])
        tl.debug_barrier()  # the next block reads this one


def inverse_of_lower(lower: Tensor) -> Tensor:
    """Return the inverse of lower triangular float32 matrices (..., n, n), each in an order of its own."""
    n = lower.shape[-1]
    stacked = lower.reshape(-1, n, n).contiguous()
    inverse = torch.zeros_like(stacked)
    launch = (len(stacked), triton.cdiv(n, INVERTED))
    _invert_diagonal[launch](stacked, inverse, n, SIZE=INVERTED)
    _invert_below[launch](stacked, inverse, n, SIZE=INVERTED)
    return inverse.view(lower.shape)


@triton.jit
def _mean_of_row(rows, means, n, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, WIDTH)
    values = tl.load(rows + row * n + column, mask=column < n, other=0.0)
    tl.store(means + row, tl.sum(values, axis=0) / n)


def means_of_rows(rows: Tensor) -> Tensor:
    """Return the mean of each row of (..., n), float32, summed in an order that n alone decides."""
    n = rows.shape[-1]
    rows = rows.contiguous()
    means = torch.empty(rows.shape[:-1], dtype=rows.dtype, device=rows.device)
    _mean_of_row[(means.numel(),)](rows, means, n, WIDTH=triton.next_power_of_2(n))
    return means
