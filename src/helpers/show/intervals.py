"""Intervals under the names that a page glues: a value and both ends of its interval."""

from collections.abc import Mapping

import pandas as pd


def with_ends(name: str, row: pd.Series | Mapping[str, float], middle: str = "value") -> dict[str, float]:
    """Return `name`, `name_low` and `name_high`: the entries `middle`, `low` and `high` of `row`, in its unit."""
    return {name: float(row[middle]), f"{name}_low": float(row["low"]), f"{name}_high": float(row["high"])}
