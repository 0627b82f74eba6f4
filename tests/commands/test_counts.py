"""Counts as people write them."""

import pytest

from helpers.commands.counts import count
from helpers.table.errors import SpecError


@pytest.mark.parametrize(
    ("words", "value"),
    [("7B", 7e9), ("1.5t", 1.5e12), ("135M", 135e6), ("70 B", 7e10), ("2e12", 2e12), ("300,000", 3e5), ("10k", 1e4)],
)
def test_a_count_has_a_suffix_or_none(words, value):
    assert count(words) == value


@pytest.mark.parametrize("words", ["", "7Z", "B", "seven", "7BB"])
def test_anything_else_is_refused_with_what_is_accepted(words):
    with pytest.raises(SpecError, match=r"is no count; accepted: .* 7B"):
        count(words)
