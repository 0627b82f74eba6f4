"""Products of float32 matrices on a GPU's tensor cores, as accurate as in float32.

A number is taken apart into what float16 holds of it, times a power of two that its matrix shares, and 2^11 times
what that leaves: 22 bits. Three products of such halves make one; what tensor cores have summed in float32, which they
round towards zero, is added to the rest after a few steps. Source: Ootomo and Yokota 2022 (arXiv 2203.03341).
A matrix has bits of its own: its tiles and the order of their sums don't depend on what is beside it.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

LOW: tl.constexpr = tl.constexpr(2048.0)  # what the lower half is multiplied by
LARGEST_EXPONENT = 15  # of float16
LEAST_EXPONENT = -100  # of a matrix's largest number, so that powers of two stay finite
ELEMENTS_PER_PROGRAM = 4096
TILE = {"BM": 128, "BN": 64, "BK": 32, "num_warps": 4, "num_stages": 3}
TOKENS_AT_ONCE = 4096  # whose second moments are summed by tensor cores: more, and what they round away shows
MOMENTS_BYTES = 2**27  # of partial sums at once
PANELS, PANEL_COLUMNS = 4, 128  # of wide matrices of second moments


@dataclass(frozen=True)
class Halves:
    """Matrices (V, n, k) taken apart.

    `parts` is float16 (V, n, 2 k), the upper halves and then the lower ones of what `scale` (V,) makes of the numbers.
    """

    parts: Tensor
    scale: Tensor

    def product(self, weight: "Halves", bias: Tensor | None) -> Tensor:
        """Return the outputs (V, n, rows), float32, of linear layers with weight (V, rows, k) and bias (V, rows)."""
        n_matrices, n_rows, width = self.parts.shape
        n_columns = weight.parts.shape[1]
        outputs = torch.empty(n_matrices, n_rows, n_columns, dtype=torch.float32, device=self.parts.device)
        tiles = triton.cdiv(n_rows, TILE["BM"]) * triton.cdiv(n_columns, TILE["BN"])
        _linear_kernel[(n_matrices * tiles,)](
            self.parts, weight.parts, self.scale, weight.scale, weight.scale if bias is None else bias, outputs,
            n_rows, n_columns, K=width // 2, BIASED=bias is not None, **TILE,
        )  # fmt: skip
        return outputs

    def second_moments(self) -> Tensor:
        """Return the sums of x x^T over the rows x of each matrix, (V, k, k), float32."""
        each = zip(self.parts, self.scale, strict=True)
        return torch.stack([_moments_of_one(parts) / scale / scale for parts, scale in each])


def halves_of(values: Tensor) -> Halves:
    """Take float32 matrices (V, n, k) apart."""
    values = values.contiguous()
    n_matrices, n_rows, width = values.shape
    largest = torch.linalg.vector_norm(values, float("inf"), dim=(1, 2))
    exponent = torch.frexp(largest).exponent.clamp(min=LEAST_EXPONENT)
    scale = torch.ldexp(torch.ones_like(largest), LARGEST_EXPONENT - exponent)
    parts = torch.empty(n_matrices, n_rows, 2 * width, dtype=torch.float16, device=values.device)
    padded = triton.next_power_of_2(width)
    rows = max(1, ELEMENTS_PER_PROGRAM // padded)
    _split_kernel[(n_matrices * triton.cdiv(n_rows, rows),)](
        values, scale, parts, n_rows, width, ROWS=rows, WIDTH=padded
    )
    return Halves(parts, scale)


@triton.jit
def _split_kernel(values, scale, parts, n_rows, width, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    n_blocks = tl.cdiv(n_rows, ROWS)
    matrix = (tl.program_id(0) // n_blocks).to(tl.int64)
    row = (tl.program_id(0) % n_blocks) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, WIDTH)
    inside = (row < n_rows)[:, None] & (column < width)[None, :]
    place = matrix * n_rows + row
    x = tl.load(values + place[:, None] * width + column[None, :], mask=inside, other=0.0) * tl.load(scale + matrix)
    upper = x.to(tl.float16)
    into = parts + place[:, None] * (2 * width) + column[None, :]
    tl.store(into, upper, mask=inside)
    tl.store(into + width, ((x - upper.to(tl.float32)) * LOW).to(tl.float16), mask=inside)


@triton.jit
def _linear_kernel(
    inputs, weight, input_scale, weight_scale, bias, outputs, n_rows, n_columns,
    K: tl.constexpr, BIASED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    across = tl.cdiv(n_columns, BN)
    tiles = tl.cdiv(n_rows, BM) * across
    matrix = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    row = (tile // across) * BM + tl.arange(0, BM)
    column = (tile % across) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    left = inputs + (matrix * n_rows + row)[:, None] * (2 * K) + k[None, :]
    right = weight + (matrix * n_columns + column)[:, None] * (2 * K) + k[None, :]
    unit = 1.0 / tl.load(input_scale + matrix) / tl.load(weight_scale + matrix)
    total = tl.zeros((BM, BN), tl.float32)
    lower = tl.zeros((BM, BN), tl.float32)
    for start in range(0, K, BK):
        of_left, of_right = (row < n_rows)[:, None], (column < n_columns)[:, None]
        if K % BK != 0:
            of_left, of_right = of_left & (start + k < K)[None, :], of_right & (start + k < K)[None, :]
        x = tl.load(left + start, mask=of_left, other=0.0)
        y = tl.load(right + start, mask=of_right, other=0.0)
        x_low = tl.load(left + K + start, mask=of_left, other=0.0)
        y_low = tl.load(right + K + start, mask=of_right, other=0.0)
        lower = tl.dot(x, y_low.T, lower)
        lower = tl.dot(x_low, y.T, lower)
        total += tl.dot(x, y.T) * unit  # multiplied, or the compiler would let tensor cores sum everything
    total += lower * (unit / LOW)
    if BIASED:
        total += tl.load(bias + matrix * n_columns + column, mask=column < n_columns, other=0.0)[None, :]
    place = outputs + (matrix * n_rows + row)[:, None] * n_columns + column[None, :]
    tl.store(place, total, mask=(row < n_rows)[:, None] & (column < n_columns)[None, :])


def _moments_of_one(parts: Tensor) -> Tensor:
    """Return the sum of x x^T over the rows x, scaled, of one matrix's halves (n, 2 k): (k, k).

    Of the upper halves' product, which is symmetric, one triangle of blocks is computed.
    """
    width = parts.shape[-1] // 2
    panel = -(-width // (PANELS if width >= PANELS * PANEL_COLUMNS else 1))
    at_once = max(1, MOMENTS_BYTES // (8 * width**2)) * TOKENS_AT_ONCE
    total = torch.zeros(width, 2 * width, dtype=torch.float32, device=parts.device)
    for several in parts.split(at_once):
        whole = len(several) // TOKENS_AT_ONCE * TOKENS_AT_ONCE
        chunks = several[:whole].unflatten(0, (-1, TOKENS_AT_ONCE)) if whole else None
        for start in range(0, width, panel):
            into, columns = total[start : start + panel, start:], slice(start, min(start + panel, width))
            if chunks is not None:
                into += torch.bmm(chunks[..., columns].mT, chunks[..., start:], out_dtype=torch.float32).sum(0)
            if whole < len(several):
                into += torch.mm(several[whole:, columns].mT, several[whole:, start:], out_dtype=torch.float32)
    upper, crossed = total[:, :width], total[:, width:]
    for start in range(panel, width, panel):
        upper[start:, start - panel : start] = upper[start - panel : start, start:].mT
    moments: Tensor = upper + (crossed + crossed.mT) / LOW.value
    return moments
