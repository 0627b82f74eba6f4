"""Statistics of a matrix: how its weights look to a grid, how far it is from another. Tensors, no models or files.

Every function takes (rows, columns) and gives a number as a tensor without dimensions, on the same device, so that
many can be read at once. Sums are taken in float64. Moments are about zero, where rounding grids have a point.
"""

from torch import Tensor

from helpers.measure.rounding import grids
from helpers.table.errors import QuantizationError


def rms(weight: Tensor) -> Tensor:
    """Return the root mean square of a matrix, in its own unit."""
    return weight.double().square().mean().sqrt()


def kurtosis(weight: Tensor) -> Tensor:
    """Return the fourth moment over the squared second: 1 for equal magnitudes, 3 for a Gaussian."""
    squares = weight.double().square()
    return squares.square().mean() / squares.mean().square()


def max_over_rms(weight: Tensor) -> Tensor:
    """Return the largest magnitude over the root mean square."""
    return weight.double().abs().max() / rms(weight)


def relative_distance(weight: Tensor, reference: Tensor) -> Tensor:
    """Return ||W - R|| / ||R|| in the Frobenius norm."""
    reference = reference.double()
    distance: Tensor = (weight.double() - reference).norm() / reference.norm()
    return distance


def rounding_error(weight: Tensor, bits: int, group_size: int) -> Tensor:
    """Return ||W - Q|| / ||W||, Frobenius, for Q rounded to nearest on asymmetric min-max grids.

    Raises QuantizationError when `group_size` doesn't divide the columns.
    """
    columns = weight.shape[-1]
    if columns % group_size:
        raise QuantizationError(f"a matrix of {columns} columns can't be rounded in groups of {group_size}")
    return relative_distance(grids.round_to_grid(weight, bits, False, group_size), weight)
