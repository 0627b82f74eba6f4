"""What a chapter's page computes agrees with its recount, from the tracked tables and without a built book.

Of the chapters whose numbers take seconds; `make recount` compares all of them with what executed chapters glued.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pytest
from tests.recount import recount

from helpers.analyse.rows.study import MIXED
from helpers.show.numbers import how_much_can_go_low
from helpers.table.files import read_table, read_trials

RESULTS = Path(__file__).parents[2] / "results"
Numbers = dict[str, float | int | str]


@pytest.fixture(scope="module")
def mixed() -> how_much_can_go_low.Mixed:
    trials = read_trials(RESULTS / "trials.parquet").to_pandas()
    measured = read_table(str(RESULTS / "measurements.parquet")).filter(pc.field("family") == MIXED).to_pandas()
    return how_much_can_go_low.Mixed.from_tables(trials, measured)


@pytest.mark.parametrize(("number", "numbers"), [("13", how_much_can_go_low.numbers)])
def test_the_mixed_chapters_numbers_are_those_of_the_recount(mixed, number, numbers: Callable[..., Numbers]):
    counted = importlib.import_module(f"tests.recount.recount_{number}")
    assert recount.disagreements(numbers(mixed), counted.numbers(), counted.EXCEPTED, counted.TOLERANCES) == []
