"""What `helpers.show.numbers.training_level` computes from the tracked tables is what the recount counts, without a book.

Readings by laws of the other runs take longer and are compared in `make recount`.
"""

from tests.recount import recount_08
from tests.recount.recount import ROOT, disagreements

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.questions import training_level
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import FITTED_BITS, GROUP_SIZE, LATE_TOKENS, study_rows
from helpers.show.numbers import training_level as numbers
from helpers.table.files import read_table


def test_one_qid_and_the_last_doubling_counted_again():
    measured = read_table(ROOT / "results/measurements.parquet").to_pandas()
    trunk = rows_of_fit(degradation(study_rows(measured)), "gptq", GROUP_SIZE, False, LATE_TOKENS)
    trunk = trunk[trunk["bits"].isin(FITTED_BITS)]
    fit, _ = fit_by_run(UnifiedLaw, FitData.from_table(trunk))
    counted = recount_08.seeds() | recount_08.of_law() | recount_08.one_qid() | recount_08.at_equal_ratio()
    counted |= recount_08.pairs() | recount_08.doublings() | recount_08.exercises()
    stated = numbers.definitions(fit, trunk, counted["seed_sd"]) | numbers.exercises(fit)
    stated |= numbers.one_qid(numbers.crossings(trunk), trunk, fit)
    stated |= numbers.doublings(training_level.gains_of_doubling(trunk))
    assert disagreements(stated, counted, {}, {k: v for k, v in recount_08.TOLERANCES.items() if k in counted}) == []
