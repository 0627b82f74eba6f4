"""The group size that is taken where a person names none: one rule for all commands."""

import math
from collections.abc import Iterable

from helpers.table.errors import QuantizationError

USUAL = (128, 64, 32, 16)  # in the order in which they are tried
WHOLE_ROW = -1  # as a group size on the command line


def default_group_size(widths: Iterable[int]) -> int:
    """Return the first of `USUAL` that divides every input width. Raises QuantizationError where none does."""
    divisor = math.gcd(*widths)
    for size in USUAL:
        if divisor % size == 0:
            return size
    tried = ", ".join(map(str, USUAL))
    raise QuantizationError(
        f"no group of {tried} divides the input widths, whose common divisor is {divisor};"
        " accepted: --group-size with a divisor of that, or -1 for one scale a row"
    )
