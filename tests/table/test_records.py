"""A field's value where there must be one; checksums of what a JSON file holds."""

import json
import math

import hypothesis
import pytest
from hypothesis import strategies as st

from helpers.table.readers import ReadError
from helpers.table.records import CHECKSUM, DamagedError, given, number, refuse_unknown, summed, verified


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


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
CONTENTS = st.dictionaries(
    st.text(max_size=4).filter(lambda name: name != CHECKSUM),
    st.recursive(st.none() | st.booleans() | NUMBERS | st.text(max_size=4), lambda one: st.lists(one, max_size=3)),
    max_size=4,
)


@hypothesis.given(CONTENTS)
def test_a_checksum_is_verified_and_taken_out(content):
    written = json.dumps(summed(content))
    assert list(json.loads(written)) == [*content, CHECKSUM]
    assert verified(json.loads(written)) == content


def test_the_checksum_is_the_digest_of_the_rest():
    """Files written once must stay readable: the value stands here."""
    assert summed({"b": [1, 2.5, None], "a": "x"})[CHECKSUM] == "ce74053d7a9997b7"
    assert (
        summed({"a": "x", "b": (1, 2.5, None)})[CHECKSUM] == "ce74053d7a9997b7"
    )  # neither order nor tuples are content


@pytest.mark.parametrize("change", [{"a": 1.0}, {"a": True}, {"a": 2}, {"b": 1}, {CHECKSUM: "0"}, {CHECKSUM: None}])
def test_another_content_or_checksum_is_damaged(change):
    with pytest.raises(DamagedError, match="^damaged, its 'checksum' is .*, not '[0-9a-f]{16}'; take that out if you"):
        verified(summed({"a": 1}) | change)


@pytest.mark.parametrize("content", [{"a": 1}, {}, [1], None, "checksum"])
def test_what_has_no_checksum_stays_as_it_is(content):
    assert verified(content) is content


def test_an_unknown_key_is_named_beside_the_accepted_ones():
    refuse_unknown({"a": 1}, ("a", "b"))
    with pytest.raises(ReadError, match="^unknown key 'checksun'; accepted: a, b$"):
        refuse_unknown({"a": 1, "checksun": "0"}, ("a", "b"))
