"""A field's value where there must be one."""

import math

import pytest

from helpers.table.records import given, number


@pytest.mark.parametrize("value", [0, 0.0, False, "", ()])
def test_a_value_that_is_there_comes_back_whatever_its_truth(value):
    assert given(value) is value


def test_none_is_a_fault_of_the_program():
    with pytest.raises(AssertionError):
        given(None)


@pytest.mark.parametrize(
    ("value", "stored"), [(1.5, 1.5), (0.0, 0.0), (None, None), (math.nan, None), (math.inf, None), (-math.inf, None)]
)
def test_what_is_no_number_is_null(value, stored):
    assert number(value) == stored
