"""The integer grid of what weights may become, fitted to a group of them and used to round them.

Every function takes leading batch dimensions; `bits` and `symmetric` are numbers or tensors that broadcast
against the grid, so one call can treat several bit widths side by side.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

N_SHRINKS, SHRINK_STEP = 80, 0.01


@dataclass(frozen=True)
class IntegerGrid:
    """A scale and a zero point for each row: weight = scale x (code - zero), 0 <= code <= max_code.

    `scale` and `zero` have shape (..., rows, 1).
    """

    scale: Tensor
    zero: Tensor
    max_code: Tensor

    def encode(self, weight: Tensor) -> Tensor:
        """Return the nearest codes of `weight` (..., rows, columns), as floats; ties go to the even code."""
        return (torch.round(weight / self.scale) + self.zero).clamp(min=0).minimum(self.max_code)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the weights that `codes` (..., rows, columns) stand for."""
        return self.scale * (codes - self.zero)


def fit(weight: Tensor, bits: Tensor | int, symmetric: Tensor | bool) -> IntegerGrid:
    """Fit one grid per row from the smallest to the largest weight, zero included.

    `weight` has shape (..., rows, columns). A symmetric grid spans -m to m for m the largest magnitude, with its
    zero in the middle; an asymmetric one spans the row's own range. A row of zeros gets the grid of [-1, 1].
    Source: Frantar et al. 2022 (arXiv 2210.17323), section 4, min-max grid.
    """
    most = 2**bits - 1
    max_code = most.to(weight) if isinstance(most, Tensor) else weight.new_full((), most)  # nothing comes from the host
    low = weight.amin(-1, keepdim=True).clamp(max=0)
    high = weight.amax(-1, keepdim=True).clamp(min=0)
    magnitude = torch.maximum(-low, high)
    symmetric = (
        symmetric.to(weight.device)
        if isinstance(symmetric, Tensor)
        else weight.new_full((), symmetric, dtype=torch.bool)
    )
    empty = magnitude == 0
    low = torch.where(empty, -1.0, torch.where(symmetric, -magnitude, low))
    high = torch.where(empty, 1.0, torch.where(symmetric, magnitude, high))
    scale = (high - low) / max_code
    zero = torch.where(symmetric, (max_code + 1) / 2, torch.round(-low / scale))
    return IntegerGrid(scale, zero, max_code)


def fit_least_squares(weight: Tensor, bits: Tensor | int, symmetric: Tensor | bool) -> IntegerGrid:
    """Fit one grid per row as `fit` does, to the row's range shrunk by the share that leaves the least squared error.

    Shares are tried from 1 down in `N_SHRINKS` steps of `SHRINK_STEP`; the largest of equals is kept.
    Source: the grid search of Frantar et al.'s program, here with the square in place of their power 2.4.
    """
    best = fit(weight, bits, symmetric)
    least = (best.decode(best.encode(weight)) - weight).square().sum(-1, keepdim=True)
    for step in range(1, N_SHRINKS):
        share = 1 - step * SHRINK_STEP
        tried = fit(weight * share, bits, symmetric)
        error = (tried.decode(tried.encode(weight)) - weight).square().sum(-1, keepdim=True)
        better = error < least
        least = torch.where(better, error, least)
        best = IntegerGrid(
            torch.where(better, tried.scale, best.scale), torch.where(better, tried.zero, best.zero), best.max_code
        )
    return best


SEARCHES = {"minmax": fit, "mse": fit_least_squares}


@dataclass(frozen=True)
class IntegerWeight:
    """A rounded matrix as it is stored: uint8 codes, and a scale and a zero point for each group of a row.

    Shapes: codes (rows, columns), scale and zero (rows, groups) float32; `group_of_column` (columns,) is int64.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor
    group_of_column: Tensor

    def decode(self) -> Tensor:
        """Return the float32 weights that the codes stand for: scale x (code - zero)."""
        scale, zero = self.scale[:, self.group_of_column], self.zero[:, self.group_of_column]
        return scale * (self.codes.float() - zero)

    def to(self, device: torch.device) -> "IntegerWeight":
        """Return the weight on a device."""
        return IntegerWeight(*(part.to(device) for part in (self.codes, self.scale, self.zero, self.group_of_column)))

    @property
    def shape(self) -> torch.Size:
        """Return (rows, columns)."""
        return self.codes.shape


def consecutive_groups(columns: int, group_size: int | None, device: torch.device) -> Tensor:
    """Return the group of each column when `group_size` neighbours share a grid (all of them for None)."""
    return torch.arange(columns, device=device) // (group_size or columns)


def round_to_integer(weight: Tensor, bits: int, symmetric: bool, group_size: int | None) -> IntegerWeight:
    """Round each weight of (rows, columns) to the nearest point of its group's grid; `group_size` divides columns."""
    columns = weight.shape[-1]
    grouped = weight.unflatten(-1, (-1, group_size or columns))
    grid = fit(grouped, bits, symmetric)
    codes = grid.encode(grouped).flatten(-2).to(torch.uint8)
    groups = consecutive_groups(columns, group_size, weight.device)
    return IntegerWeight(codes, grid.scale[..., 0], grid.zero.expand_as(grid.scale)[..., 0], groups)


def round_to_grid(weight: Tensor, bits: Tensor | int, symmetric: Tensor | bool, group_size: int | None) -> Tensor:
    """Round each weight of (..., rows, columns) to the nearest point of its group's grid.

    `group_size` consecutive columns of a row share a scale (all of them for None); it divides `columns`.
    """
    width = group_size or weight.shape[-1]
    grouped = weight.unflatten(-1, (-1, width))  # (..., rows, groups, width): a grid for each (row, group)
    if isinstance(bits, Tensor):
        bits = bits.unsqueeze(-1)
    if isinstance(symmetric, Tensor):
        symmetric = symmetric.unsqueeze(-1)
    grid = fit(grouped, bits, symmetric)
    return grid.decode(grid.encode(grouped)).flatten(-2)
