import math
from dataclasses import dataclass
from typing import Annotated

import pytest

from helpers.table.errors import SpecError
from helpers.table.ranges import AMOUNT, ANY, POSITIVE, Range, amount, amount_words
from helpers.table.records import from_mapping


@dataclass(frozen=True)
class Given:
    rate: Annotated[float | tuple[float, ...], Range(0, 10, open=True)]
    free: float = 0.0
    count: int | None = None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0}, "'rate' is 0; accepted: more than 0, up to 10"),
        ({"rate": math.nan}, "'rate' is nan; accepted: more than 0, up to 10"),
        ({"rate": [1.0, 11]}, "'rate' is 11; accepted: more than 0, up to 10"),
        ({"rate": 1, "free": math.inf}, "'free' is inf; accepted: a number"),
        ({"rate": 2**60}, "'rate' is 1152921504606846976; accepted: float or list of float"),
        ({"rate": 1, "count": True}, "'count' is True; accepted: int or null"),
    ],
)
def test_a_number_outside_of_its_range_is_named(values, message):
    with pytest.raises(SpecError) as caught:
        from_mapping(Given, values, "there")
    assert str(caught.value) == f"there: {message}"


def test_inside_is_accepted():
    assert from_mapping(Given, {"rate": [1, 10], "free": -1.5, "count": 3}, "there") == Given((1, 10), -1.5, 3)


def test_ranges_in_words():
    assert [str(one) for one in (ANY, AMOUNT, POSITIVE, Range(1, 5), Range(most=3))] == [
        *("a number", "0 or more", "more than 0", "1 to 5", "up to 3")
    ]


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
