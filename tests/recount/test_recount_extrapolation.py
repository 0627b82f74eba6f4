"""What `helpers.show.numbers` computes of extrapolation from the tracked tables is what the recount counts, without a book.

The recount's own fits take longer and are compared in `make recount`.
"""

import pandas as pd
import pytest
from tests.recount import recount_09
from tests.recount.recount import ROOT, disagreements

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import FITTED_BITS, GROUP_SIZE, LATE_TOKENS, on_trunk, rows_of_every_run
from helpers.show.numbers import extrapolation as numbers
from helpers.show.numbers import models_of_others as others
from helpers.table.files import read_table

OF_FITS = {  # of the recount's own fits
    *("power_tokens_over", "exponential_two_bias", "told_decayed", "power_decayed"),
    *("chosen_decayed", "chosen_tokens", "chosen_size"),
}


@pytest.fixture(scope="module")
def stored():
    return read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet")


def compared(stated, *parts):
    counted = {key: value for part in parts for key, value in part.items() if key in stated}
    return disagreements(stated, counted, {}, {k: v for k, v in recount_09.TOLERANCES.items() if k in counted})


def test_scores_and_the_default_law_counted_again(stored):
    stated = numbers.scores(numbers.one_at_a_time(stored.judged)) | numbers.two_runs_of_largest(stored.judged)
    stated = {key: value for key, value in stated.items() if key not in OF_FITS}
    stated |= numbers.default_law(stored) | numbers.exercise_of_misses(stored.fits["power"].n_runs)
    parts = [recount_09.stored_scores(), recount_09.second_run(), recount_09.default_law()]
    parts += [recount_09.models_of_others(), recount_09.exercises(), recount_09.settings()]
    assert compared(stated, *parts) == []


def test_models_of_others_counted_again(stored):
    printed = pd.read_csv(ROOT / "data/published/published_perplexities.csv")
    points = others.points_of_others(printed)
    factors = others.factors_of(others.over_laws(points, stored))
    stated = others.models_of_others(points, factors, stored)
    stated |= others.trust_in_points(printed, factors, stored, recount_09.outside()["own_bytes"])
    assert compared(stated, recount_09.outside()) == []


def test_luck_and_size_beside_tokens_counted_again():
    measured = read_table(ROOT / "results/measurements.parquet").to_pandas()
    every = degradation(rows_of_every_run(measured[measured["method"].isin(["none", "gptq"])]))
    late = rows_of_fit(every, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
    trunk = late[on_trunk(late) & late["bits"].isin(FITTED_BITS)]
    stated = numbers.yardstick(late) | numbers.size_beside_tokens(trunk)
    parts = recount_09.settings(), recount_09.seeds(), recount_09.in_size(), recount_09.one_size_up()
    assert compared(stated, *parts) == []
