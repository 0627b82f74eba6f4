"""The tracked fits: made of the rows that they name, from the tracked table, with numbers that come out again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.hold_outs import floor_by_bits, judge, splits
from helpers.analyse.fits.make_fits import COMPETING, DRAWS, SEED, parts_of_study, predictors
from helpers.analyse.fits.stored import PER_BIT, read_fits
from helpers.analyse.fits.with_draws import fit_and_draw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.rows.noise_floor import study_floors
from helpers.analyse.rows.study import HELDOUT, LATE_TOKENS, MOST_EPOCHS, UNSEEN, rows_at, study_rows
from helpers.table.corpus import packages

RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def measured():
    return pd.read_parquet(RESULTS / "measurements.parquet")


@pytest.fixture(scope="module")
def table(measured):
    return rows_at(measured, HELDOUT)


@pytest.fixture(scope="module")
def parts(measured, table):
    return parts_of_study(measured, table)


@pytest.fixture(scope="module")
def stored():
    """Raises where the tracked file isn't made from the tracked table: `make fits`."""
    return read_fits(RESULTS / "fits.json", RESULTS / "measurements.parquet")


def test_rows_are_late_of_few_epochs_and_one_scheme(table):
    assert table["tokens_seen"].min() > LATE_TOKENS
    assert table["epochs"].max() <= MOST_EPOCHS
    assert (set(table["method"]), set(table["group_size"]), set(table["symmetric"])) == ({"gptq"}, {32}, {False})


def test_main_rows_are_one_run_a_size_counted_by_hand(parts, measured):
    trunk = study_rows(measured)
    gptq = (trunk["method"] == "gptq") & (trunk["group_size"] == 32) & ~trunk["symmetric"].astype("boolean")
    gptq &= trunk["bits"].between(2, 4) & (trunk["status"] == "ok")
    late = (trunk["tokens_seen"] > LATE_TOKENS) & (trunk["epochs"] <= MOST_EPOCHS)
    for form in COMPETING:
        if form not in ("learning-rate", "group-size"):
            assert parts[form][1] is parts["power"][1]
    data = parts["power"][1].data
    assert data.tokens.size == (gptq & late).sum()
    assert np.unique(data.runs).size == np.unique(data.n_params).size == trunk["n_params_non_embedding"].nunique()


def test_wider_rows_hold_the_main_ones_and_what_their_form_needs(parts):
    main, rates, groups = (parts[name][1].data for name in ("power", "learning-rate", "group-size"))
    assert np.ptp(main.covariates["lr_fraction"]) == np.ptp(main.covariates["group_size"]) == 0
    assert rates.covariates["lr_fraction"].min() < 0.2 < rates.covariates["lr_fraction"].max() == 1
    assert (rates.covariates["lr_fraction"] == 1).sum() == main.tokens.size
    assert np.unique(groups.covariates["group_size"]).size > 1
    assert (groups.covariates["group_size"] == 32).sum() == main.tokens.size
    widths = [data for name, (_, rows) in parts.items() if name.startswith(PER_BIT) for data in [rows.data]]
    assert sum(data.tokens.size for data in widths) == main.tokens.size


def test_every_form_is_fitted_or_refused_with_a_reason(stored, parts):
    assert list(stored.fits) == [name for name in parts if name in stored.fits]
    assert set(stored.fits) | set(stored.refused) == set(parts)
    assert set(stored.refused) == {name for name, form in FORMS.items() if form.HELD}
    for name, fit in stored.fits.items():
        assert fit.n_rows == parts[name][1].data.tokens.size
        assert fit.rows == parts[name][1].words
        assert fit.draws.tau.size == DRAWS
        assert fit.law.validity == parts[name][1].data.validity


@pytest.mark.parametrize("name", ["power", "loss", "learning-rate"])
def test_a_stored_fit_comes_out_again_with_its_first_draws(stored, parts, name):
    streams = dict(zip(parts, np.random.default_rng(SEED).spawn(len(parts)), strict=True))
    again = fit_and_draw(*parts[name], 20, streams[name])
    one = stored.fits[name]
    # another machine's linear algebra ends the climb elsewhere, by far less than a standard error
    assert list(again.coefficients.values()) == pytest.approx(list(one.coefficients.values()), rel=1e-5)
    assert (again.tau, again.aic) == pytest.approx((one.tau, one.aic), rel=1e-5)
    np.testing.assert_allclose(again.draws.coefficients, one.draws.coefficients[:20], rtol=1e-4)


def test_a_stored_score_comes_out_again(stored, measured, table):
    chosen = {name: predictors()[name] for name in ("power", PER_BIT, "ouyang2024-per-bit")}
    hold_outs = {"largest size": splits(table, rows_at(measured, UNSEEN))["largest size"]}
    floor = floor_by_bits(study_floors(measured, packages("evaluation")))
    again = judge(chosen, hold_outs, floor).set_index("law")
    kept = stored.judged[stored.judged["hold_out"] == "largest size"].set_index("law")
    for score in ("log_rms", "log_bias", "clear_coverage", "excluded_share"):
        assert list(again[score]) == pytest.approx(list(kept.loc[again.index, score]), rel=1e-4, nan_ok=True)


def test_published_laws_are_judged_apart(stored):
    judged = stored.judged
    assert set(judged.loc[judged["published"], "law"]) == set(PUBLISHED)
    assert set(judged["law"]) == set(predictors())
    assert judged.loc[judged["published"], "coverage"].isna().all()
    assert list(stored.criteria.index) == list(COMPETING)
    for name, row in stored.criteria.dropna().iterrows():
        assert (row["aic"], row["tau"]) == pytest.approx((stored.fits[name].aic, stored.fits[name].tau), rel=1e-9)


def test_the_file_of_fits_stays_small(stored):
    assert (RESULTS / "fits.json").stat().st_size < 1.5e6
