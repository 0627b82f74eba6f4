import math

import pytest
import torch

from helpers.measure.describing import weight_statistics
from helpers.table.errors import QuantizationError


def test_the_moments_of_a_known_matrix():
    """Squares 1, 1, 1, 9: mean 3; fourth powers 1, 1, 1, 81: mean 21."""
    weight = torch.tensor([[1.0, -1.0], [1.0, -3.0]])
    assert weight_statistics.rms(weight).item() == pytest.approx(math.sqrt(3), rel=1e-15)
    assert weight_statistics.kurtosis(weight).item() == pytest.approx(21 / 9, rel=1e-15)
    assert weight_statistics.max_over_rms(weight).item() == pytest.approx(3 / math.sqrt(3), rel=1e-15)


def test_a_gaussian_has_kurtosis_three_and_equal_magnitudes_one():
    generator = torch.Generator().manual_seed(0)
    gaussian = torch.randn(1000, 1000, generator=generator)
    # the standard error over n draws is sqrt(96 / n), 0.01 here
    assert weight_statistics.kurtosis(gaussian).item() == pytest.approx(3, abs=0.04)
    assert weight_statistics.kurtosis(gaussian.sign()).item() == 1


def test_moments_are_about_zero():
    assert weight_statistics.rms(torch.full((2, 2), 5.0)).item() == 5


def test_scale_changes_the_rms_alone():
    weight = torch.randn(16, 32, generator=torch.Generator().manual_seed(1))
    for function in (weight_statistics.kurtosis, weight_statistics.max_over_rms):
        assert torch.equal(function(weight), function(4 * weight))  # a power of two, so exactly
    assert torch.equal(weight_statistics.rms(4 * weight), 4 * weight_statistics.rms(weight))


def test_the_distance_is_relative_to_the_reference():
    weight, reference = torch.tensor([[3.0, 5.0]]), torch.tensor([[3.0, 4.0]])
    assert weight_statistics.relative_distance(weight, reference).item() == 1 / 5
    assert weight_statistics.relative_distance(reference, weight).item() == pytest.approx(1 / math.sqrt(34), rel=1e-15)
    assert weight_statistics.relative_distance(weight, weight).item() == 0


def test_the_rounding_error_of_a_known_row():
    """At 2 bits 0 to 3 are the points of the grid: 1.25 goes to 1, the other groups lose nothing."""
    weight = torch.tensor([[0.0, 1.25, 2.0, 3.0, 0.0, 0.0, 0.0, 3.0]])
    error = 0.25 / weight.norm().item()
    assert weight_statistics.rounding_error(weight, 2, 4).item() == pytest.approx(error, rel=1e-7)
    assert weight_statistics.rounding_error(weight[:, 4:], 2, 4).item() == 0


def test_a_bit_more_halves_the_error_about():
    """The step of a uniform grid falls by 7/3 from 2 to 3 bits and by 15/7 from 3 to 4."""
    weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(2))
    errors = [weight_statistics.rounding_error(weight, bits, 32).item() for bits in (2, 3, 4)]
    assert errors[0] / errors[1] == pytest.approx(7 / 3, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(15 / 7, rel=0.05)


def test_a_width_that_groups_dont_divide_is_refused():
    with pytest.raises(QuantizationError, match="48 columns can't be rounded in groups of 32"):
        weight_statistics.rounding_error(torch.ones(2, 48), 3, 32)
