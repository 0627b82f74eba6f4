"""Values with both ends of their intervals, under the names that a page glues or as its text has them."""

from collections.abc import Mapping
from typing import TypeAlias

import pandas as pd

from helpers.table.words import minus_signs

Numbers: TypeAlias = dict[str, float | str]  # what a page states, by the name under which it glues it
Row: TypeAlias = pd.Series | Mapping[str, float]  # a value under some name, with `low` and `high`, in one unit


def with_ends(name: str, row: Row, middle: str = "value") -> dict[str, float]:
    """Return `name`, `name_low` and `name_high`: the entries `middle`, `low` and `high` of `row`, in its unit."""
    return {name: float(row[middle]), f"{name}_low": float(row["low"]), f"{name}_high": float(row["high"])}


def with_named_ends(name: str, row: Row, middle: str = "mean") -> dict[str, float]:
    """Return the same entries where the value's name says what it is as well: `name_mean`, `name_low`, `name_high`."""
    return {f"{name}_{end}": float(row[end]) for end in (middle, "low", "high")}


def in_words(row: Row, digits: int = 2) -> str:
    """Return the value of a row with its interval as a page writes it: −0.32 [−0.40, −0.25]."""
    value, low, high = (plain(row[end], digits) for end in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def plain(value: float, digits: int) -> str:
    """Return a number with some digits behind the point and the minus sign of print where it is negative: −0.10."""
    return minus_signs(f"{value:.{digits}f}")


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, some digits behind the point, and the minus sign of print: −0.104."""
    return minus_signs(f"{value:+.{digits}f}")
