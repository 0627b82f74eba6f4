"""GPTQ's column loop as one Triton kernel: a program has a few rows of one matrix, their columns in registers."""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra import libdevice

from helpers.measure.rounding.grids import IntegerGrid

ROWS_PER_PROGRAM = 16


@triton.jit
def _round(
    block, factor, scale, zero, max_code, codes, errors, n_rows, n_columns, WIDTH: tl.constexpr, ROWS: tl.constexpr
):
    matrix = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, WIDTH)
    inside = (row < n_rows)[:, None] & (column < n_columns)[None, :]
    place = (matrix * n_rows + row)[:, None] * n_columns + column[None, :]
    remaining = tl.load(block + place, mask=inside, other=0.0)
    row_scale = tl.load(scale + matrix * n_rows + row, mask=row < n_rows, other=1.0)
    row_zero = tl.load(zero + matrix * n_rows + row, mask=row < n_rows, other=0.0)
    row_max = tl.load(max_code + matrix * n_rows + row, mask=row < n_rows, other=1.0)
    all_codes = tl.zeros((ROWS, WIDTH), tl.float32)
    all_errors = tl.zeros((ROWS, WIDTH), tl.float32)
    of_matrix = factor + matrix * n_columns * n_columns
    for i in range(n_columns):
        correction = tl.load(of_matrix + i * n_columns + column, mask=(column > i) & (column < n_columns), other=0.0)
        pivot = tl.load(of_matrix + i * n_columns + i)
        at_column = (column == i)[None, :]
        current = tl.sum(tl.where(at_column, remaining, 0.0), axis=1)
        code = libdevice.rint(tl.div_rn(current, row_scale)) + row_zero
        code = tl.minimum(tl.maximum(code, 0.0), row_max)
        error = tl.div_rn(current - row_scale * (code - row_zero), pivot)
        remaining -= error[:, None] * correction[None, :]
        all_codes = tl.where(at_column, code[:, None], all_codes)
        all_errors = tl.where(at_column, error[:, None], all_errors)
    tl.store(codes + place, all_codes, mask=inside)
    tl.store(errors + place, all_errors, mask=inside)


def round_columns(block: Tensor, factor: Tensor, grid: IntegerGrid) -> tuple[Tensor, Tensor]:
    """Return what `gptq_solver._round_columns` does, on a GPU: codes and scaled errors of `block` (..., rows, width).

    `factor` is the upper factor of those columns (..., width, width); width is at most 128. All are float32.
    """
    *batch, rows, width = block.shape
    parts = [part.expand(*batch, rows, 1).contiguous() for part in (grid.scale, grid.zero, grid.max_code)]
    codes, errors = (torch.empty(block.shape, dtype=block.dtype, device=block.device) for _ in range(2))
    n_matrices = block[..., 0, 0].numel()
    launch = (n_matrices, triton.cdiv(rows, ROWS_PER_PROGRAM))
    _round[launch](
        block.contiguous(),
        factor.contiguous(),
        *parts,
        codes,
        errors,
        rows,
        width,
        WIDTH=triton.next_power_of_2(width),
        ROWS=ROWS_PER_PROGRAM,
    )
    return codes, errors
