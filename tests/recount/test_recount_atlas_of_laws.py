"""What `helpers.show.numbers.atlas_of_laws` computes from the tracked tables is what the recount counts, without a book.

Shannon's law and the offset of the block take minutes and are compared in `make recount`.
"""

from tests.recount import recount_17
from tests.recount.recount import ROOT, disagreements

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.questions import atlas
from helpers.analyse.rows.study import HELDOUT, rows_at, trunk_rows
from helpers.show.numbers import atlas_of_laws as numbers
from helpers.table.files import read_table


def test_the_new_laws_and_the_fan_counted_again():
    table = ROOT / "results/measurements.parquet"
    stored, rows = (
        read_fits(ROOT / "results/fits.json", table),
        trunk_rows(rows_at(read_table(table).to_pandas(), HELDOUT)),
    )
    points = numbers.at_largest(rows)
    stated = numbers.of_table(atlas.atlas(stored), stored) | numbers.spans(rows)
    stated |= numbers.spread_of_laws(numbers.fan(stored, points), points)
    counted = recount_17.counts() | recount_17.simple() | recount_17.told() | recount_17.fan()
    assert disagreements(stated, counted, {}, {k: v for k, v in recount_17.TOLERANCES.items() if k in counted}) == []
