"""Numbers in the units that people use."""

import pytest

from helpers.table.amounts import amount, amount_words
from helpers.table.errors import SpecError


@pytest.mark.parametrize(
    ("text", "value"),
    [("2T", 2 * 10**12), ("1.5b", 15 * 10**8), ("300M", 3 * 10**8), ("2e12", 2 * 10**12), ("1,000 k", 10**6), ("7", 7)],
)
def test_units_are_those_that_people_use(text, value):
    assert amount(text, "--tokens") == value


@pytest.mark.parametrize("text", ["", "two", "2X", "-1", "0", "1e99", "nan", "2TT", "1e16", "٢T"])
def test_another_text_is_refused_with_what_is_accepted(text):
    with pytest.raises(SpecError, match="^--tokens is '.*'; accepted: a number from 1 to 1e15, such as 2T"):
        amount(text, "--tokens")


@pytest.mark.parametrize(("value", "words"), [(2e12, "2T"), (134_515_008, "135M"), (74_048, "74k"), (5, "5")])
def test_words_have_three_digits(value, words):
    assert amount_words(value) == words
