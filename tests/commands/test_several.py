"""Options that take several values: each further value becomes a repetition of its option."""

import pytest

from helpers.commands.several import spread


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["m", "--bits", "2", "3"], ["m", "--bits", "2", "--bits", "3"]),
        (["m", "--bits", "2", "--method", "rtn", "awq"], ["m", "--bits", "2", "--method", "rtn", "--method", "awq"]),
        (["m", "--tokens", "2T", "--quick"], ["m", "--tokens", "2T", "--quick"]),
        (["m", "--bits=2", "--seeds", "0", "1"], ["m", "--bits=2", "--seeds", "0", "--seeds", "1"]),
    ],
)
def test_options_take_several_values_one_after_the_other(given, found):
    assert spread(given) == found
