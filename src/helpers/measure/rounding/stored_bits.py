"""The number of bits that a rounded weight takes where it is stored."""

from collections.abc import Iterable, Sequence

from torch import Tensor

from helpers.measure.rounding.grids import IntegerWeight
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

VALUE_BITS = 16  # of a weight that isn't rounded, a scale, or a codebook's entry


def n_params(weights: Iterable[IntegerWeight | Tensor]) -> int:
    """Return how many weights matrices (rows, columns) have together."""
    return sum(weight.shape.numel() for weight in weights)


def stored_bits(weights: Sequence[IntegerWeight | Tensor], scheme: QuantScheme, group_bits: int) -> float | None:
    """Return the bits per weight: its code, and its share of `group_bits` for each group (row if there is none).

    None where nothing is rounded.
    """
    if not weights:
        return None
    n_groups = sum(weight.shape.numel() // (scheme.group_size or weight.shape[1]) for weight in weights)
    return given(scheme.bits) + group_bits * n_groups / n_params(weights)


def grid_bits(scheme: QuantScheme) -> int:
    """Return the bits of a min-max grid: a 16-bit scale and, if asymmetric, a zero point as wide as a code."""
    return 16 + (0 if scheme.symmetric else given(scheme.bits))


def outlier_bits(weight: Tensor) -> int:
    """Return the bits of one weight of a matrix (rows, columns) that is stored beside the others: value and place.

    A place is the weight's number in the matrix, ceil(log2(rows x columns)) bits. Its slot among the codes stays.
    """
    return VALUE_BITS + (weight.numel() - 1).bit_length()
