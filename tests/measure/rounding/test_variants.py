"""What becomes of a variant on its walk."""

import math

from helpers.measure.rounding import variants


def test_the_largest_figure_is_none_where_one_is_none_wherever_it_comes():
    nan = float("nan")
    assert variants.largest([1.0, 3.0, 2.0]) == 3.0
    assert all(math.isnan(variants.largest(figures)) for figures in ([nan, 1.0], [1.0, nan]))
