"""What a chapter's page computes agrees with its recount, from the tracked tables and without a built book.

Of the chapters whose numbers take seconds; `make recount` compares all of them with what executed chapters glued.
"""

from pathlib import Path

import pyarrow.compute as pc
from tests.recount import recount, recount_13, recount_16

from helpers.analyse.rows.study import MIXED
from helpers.show.numbers.choose import how_much_can_go_low, seven_ways
from helpers.table.files import read_table, read_trials

RESULTS = Path(__file__).parents[2] / "results"


def test_how_much_can_go_low():
    trials = read_trials(RESULTS / "trials.parquet").to_pandas()
    measured = read_table(str(RESULTS / "measurements.parquet")).filter(pc.field("family") == MIXED).to_pandas()
    found = how_much_can_go_low.numbers(how_much_can_go_low.Mixed.from_tables(trials, measured))
    assert recount.disagreements(found, recount_13.numbers(), recount_13.EXCEPTED, recount_13.TOLERANCES) == []


def test_seven_ways():
    measured = read_table(str(RESULTS / "measurements.parquet")).to_pandas()
    found = seven_ways.numbers(seven_ways.Ways.from_table(measured, seed=0))
    assert recount.disagreements(found, recount_16.numbers(), recount_16.EXCEPTED, recount_16.TOLERANCES) == []
