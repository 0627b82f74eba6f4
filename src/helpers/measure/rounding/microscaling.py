"""Microscaling formats: the weights of a block share a power of two, and each is a short number times it.

Source: OCP Microscaling Formats (MX) Specification v1.0. A block's scale is 2 to the floor(log2(largest magnitude)),
less the largest exponent of an element, within E8M0's range; elements go to the nearest value, ties to the even one,
and what exceeds the largest value goes to it. A block of zeros stays zero.
"""

import functools

import torch
from torch import Tensor

SCALE_BITS = 8
SMALLEST_EXPONENT, LARGEST_EXPONENT = -127, 127  # of an E8M0 scale
E2M1_LARGEST_EXPONENT, E2M1_LARGEST = 2, 6.0


def round_to_mxint(weight: Tensor, bits: int, block_size: int | None) -> Tensor:
    """Round matrices (..., rows, columns) to MXINT: k / 2^(bits - 2), |k| < 2^(bits - 1), a sign among the `bits`.

    `block_size` consecutive columns share a scale (all of them for None); it divides `columns`. MXINT8 is the
    specification's, without its optional most negative code; other widths follow the same rule.
    """
    blocks, scale = _scaled(weight, block_size, 0)
    largest = 2 ** (bits - 1) - 1
    steps = 2 ** (bits - 2)
    # in place, and exact in any order: all factors are powers of two
    return blocks.mul_(steps).round_().clamp_(-largest, largest).mul_(scale / steps).flatten(-2)


def round_to_mxfp4(weight: Tensor, block_size: int | None) -> Tensor:
    """Round matrices (..., rows, columns) to MXFP4: elements 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives (E2M1).

    `block_size` consecutive columns share a scale (all of them for None); it divides `columns`. The specification's
    blocks are of 32.
    """
    blocks, scale = _scaled(weight, block_size, E2M1_LARGEST_EXPONENT)
    step = _power_of_two((_exponent(blocks) - 1).clamp(min=-1))  # one bit of mantissa; subnormal below 1
    return ((torch.round(blocks / step) * step).clamp(-E2M1_LARGEST, E2M1_LARGEST) * scale).flatten(-2)


def _scaled(weight: Tensor, block_size: int | None, element_exponent: int) -> tuple[Tensor, Tensor]:
    """Return blocks (..., rows, blocks, width) divided by their scale, and the scale (..., rows, blocks, 1)."""
    blocks = weight.unflatten(-1, (-1, block_size or weight.shape[-1]))
    exponent = _exponent(blocks.abs().amax(-1, keepdim=True)) - element_exponent
    scale = _power_of_two(exponent.clamp(SMALLEST_EXPONENT, LARGEST_EXPONENT))
    return blocks / scale, scale


def _exponent(values: Tensor) -> Tensor:
    """Return floor(log2(|values|)), exactly; -1 for zero."""
    return torch.frexp(values).exponent - 1


def _power_of_two(exponent: Tensor) -> Tensor:
    """Return 2^exponent in float32, from a table: `exp2` needn't be exact on every device."""
    return _powers_of_two(exponent.device)[exponent.long() - SMALLEST_EXPONENT]


@functools.cache
def _powers_of_two(device: torch.device) -> Tensor:
    return torch.tensor([2.0**each for each in range(SMALLEST_EXPONENT, LARGEST_EXPONENT + 1)], device=device)
