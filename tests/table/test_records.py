"""A field's value where there must be one."""

import pytest

from helpers.table.records import given


@pytest.mark.parametrize("value", [0, 0.0, False, "", ()])
def test_a_value_that_is_there_comes_back_whatever_its_truth(value):
    assert given(value) is value


def test_none_is_a_fault_of_the_program():
    with pytest.raises(AssertionError):
        given(None)
