"""The group size that is taken where none is named."""

import pytest

from helpers.measure.rounding.group_size import default_group_size
from helpers.table.errors import QuantizationError


@pytest.mark.parametrize(("widths", "size"), [([512, 2048], 128), ([576, 1536], 64), ([960, 2560], 64), ([48, 96], 16)])
def test_it_is_the_largest_usual_one_that_divides_every_width(widths, size):
    assert default_group_size(widths) == size


def test_where_none_divides_the_common_divisor_is_said():
    with pytest.raises(QuantizationError, match="whose common divisor is 8; accepted: --group-size with a divisor"):
        default_group_size([72, 104])
