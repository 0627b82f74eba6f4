"""Simulated tables and how often intervals hold what was planted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.fits import coverage
from helpers.analyse.fits.answers import KnownLaw, predict
from helpers.analyse.fits.by_run import clustered_by_run, draws_by_run
from helpers.analyse.fits.coverage import BOOTSTRAP, CR2, DRAWN, METHODS, PREDICTION_METHODS, PROFILE, ROWS, Luck
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.hold_outs import loss_law_of
from helpers.analyse.fits.stored import TABLE
from helpers.analyse.judgement.make_fits import parts_of_study
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.loss import ANY_BITS, ChinchillaLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.variables import ValidityRange
from helpers.analyse.rows.study import HELDOUT, rows_at

COMMITTED = Path("benchmarks/results/coverage.json")
LUCK = Luck(run=0.1, run_tokens=0.0, run_bits=0.0, row=0.1)
LOSSES = ChinchillaLaw(1.2, 40.0, 0.3, 1e3, 0.4, source="planted", validity=ValidityRange((1, 1e9), (1, 1e9), ANY_BITS))


@pytest.fixture
def truth(planted):
    return fit_law(UnifiedLaw, planted(1))


def test_luck_has_mean_one_and_the_spread_that_was_asked_for(truth):
    generator, luck = np.random.default_rng(0), Luck(0.2, 0.1, 0.3, 0.15)
    draws = np.array([luck.draw(truth.data, generator) for _ in range(20_000)])
    tokens, bits = (np.log(values) - np.log(values).mean() for values in (truth.data.tokens, truth.data.bits))
    variance = 0.2**2 + (0.1 * tokens) ** 2 + (0.3 * bits) ** 2 + 0.15**2
    # a mean of 20,000 draws of spread 0.3 is known to 0.002, a variance to 1%; four of them (126 rows are looked at)
    np.testing.assert_allclose(draws.mean(axis=0), 1.0, atol=0.01)
    np.testing.assert_allclose(np.log(draws).var(axis=0), variance, rtol=0.045)
    first, second = np.log(draws[:, (truth.data.runs == "run 1")][:, :2]).T
    tied = 0.2**2 + 0.1**2 * tokens[0] ** 2 + 0.3**2 * bits[0] * bits[1]
    assert np.cov(first, second)[0, 1] == pytest.approx(tied, abs=0.004)
    other = np.log(draws[:, truth.data.runs == "run 2"][:, 0])
    assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(20_000)


def test_simulated_tables_scatter_about_the_law_and_by_the_paired_errors(truth):
    generator, still = np.random.default_rng(0), Luck(0.0, 0.0, 0.0, 0.0)
    draws = np.array([coverage.simulate(truth, still, generator) for _ in range(5000)])
    error = truth.data.outcome_se_nats
    np.testing.assert_allclose((draws.mean(axis=0) - truth.fitted_nats) / error, 0.0, atol=4.5 / np.sqrt(5000))
    np.testing.assert_allclose(draws.std(axis=0) / error, 1.0, atol=4.5 / np.sqrt(2 * 5000))


def test_new_runs_have_the_luck_of_their_place(truth):
    generator, luck = np.random.default_rng(0), Luck(0.2, 0.1, 0.3, 0.15)
    x = coverage.places_of(truth.data, LOSSES)
    draws = np.array([luck.draw_new_runs(x, truth.data, generator) for _ in range(20_000)])
    tokens, bits = (np.log(x[name]) - np.log(getattr(truth.data, name)).mean() for name in ("tokens", "bits"))
    variance = 0.2**2 + (0.1 * tokens) ** 2 + (0.3 * bits) ** 2 + 0.15**2
    np.testing.assert_allclose(np.log(draws).var(axis=0), variance, rtol=0.045)  # known to 1%
    # the mean of a log-normal with deviation s is known to sqrt(exp(s^2) - 1) / sqrt(20,000)
    np.testing.assert_allclose(draws.mean(axis=0), 1.0, atol=4 * np.sqrt(np.expm1(variance.max()) / 20_000))
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < 4 / np.sqrt(20_000)


def test_places_lie_inside_and_beyond(truth):
    x = coverage.places_of(truth.data, LOSSES)
    inside = truth.data.validity.contains(x["tokens"], x["n_params"], x["bits"])
    assert inside.tolist() == [True, False, False]
    assert x["tokens"][1:].tolist() == [10 * truth.data.tokens.max(), 10e12]
    assert x["n_params"][1:].tolist() == [10 * truth.data.n_params.max(), 70e9]
    np.testing.assert_array_equal(x["loss_nats"], LOSSES.predict(x["tokens"], x["n_params"]))


def test_luck_of_residuals_finds_what_was_planted(planted):
    data, planted_luck = planted(1, n_sizes=60, floor_nats=1e-5), Luck(0.15, 0.08, 0.12, 0.1)
    fit, generator = fit_law(UnifiedLaw, data), np.random.default_rng(3)
    other = type(data)(**vars(data) | {"outcome_nats": coverage.simulate(fit, planted_luck, generator)})
    found = coverage.luck_of_residuals(fit_law(UnifiedLaw, other), spread=0.0)
    # a deviation over 60 runs is known to 9%, that of P with the rows' part taken away to 15%: three of them
    np.testing.assert_allclose([found.run, found.run_tokens], [0.15, 0.08], rtol=0.28)
    assert found.run_bits == pytest.approx(0.12, rel=0.45)
    assert found.row == pytest.approx(0.1, rel=0.1)
    assert coverage.luck_of_residuals(fit_law(UnifiedLaw, other), spread=0.5).run == 0.5


def test_luck_of_seeds_leaves_the_rest_of_tau_to_rows(truth):
    luck = coverage.luck_of_seeds(truth, 0.05)
    assert np.hypot(luck.run, luck.row) == pytest.approx(truth.tau)
    assert coverage.luck_of_seeds(truth, 0.5).row == pytest.approx(0.1 * truth.tau)


def test_trials_repeat_and_tables_do_not_depend_on_each_other(truth):
    both = coverage.trials(truth, LUCK, (ROWS, CR2), [3, 4], seed=1)
    one = coverage.trials(truth, LUCK, (CR2,), [4], seed=1)
    pd.testing.assert_frame_equal(one, both[(both["table"] == 4) & (both["method"] == CR2)].reset_index(drop=True))
    other = coverage.trials(truth, LUCK, (CR2,), [4], seed=2)
    assert not np.allclose(one["low"], other["low"])


def test_every_method_gives_limits_around_the_estimate(truth):
    tried = coverage.trials(truth, LUCK, METHODS, [0], seed=0)
    assert tried["method"].unique().tolist() == list(METHODS)
    assert tried["quantity"].tolist() == ["beta", "alpha", "gamma"] * 4
    assert (tried["low"] < tried["high"]).all()
    width = tried.assign(width=tried["high"] - tried["low"]).pivot(index="quantity", columns="method", values="width")
    assert width.loc["alpha", ROWS] < 0.7 * width.loc["alpha", CR2]
    # both follow the clustered variance; six runs leave a likelihood that isn't quite a parabola
    assert width.loc["alpha", PROFILE] == pytest.approx(width.loc["alpha", CR2], rel=0.3)
    assert width.loc["alpha", BOOTSTRAP] < width.loc["alpha", CR2]


def test_predictions_get_limits_by_every_method_wider_for_a_new_run_and_far_out(truth):
    x = coverage.places_of(truth.data, LOSSES)
    tried = coverage.prediction_trials(truth, LUCK, PREDICTION_METHODS, x, [0], seed=0)
    assert tried["method"].unique().tolist() == list(PREDICTION_METHODS)
    assert tried["quantity"].tolist() == list(coverage.ASKED) * 3
    width = tried.assign(width=tried["high"] - tried["low"]).pivot(index="quantity", columns="method", values="width")
    for place in coverage.PLACES:
        assert (width.loc[f"new run, {place}"] > width.loc[f"law, {place}"]).all()
    for what in ("law", "new run"):
        assert width.loc[[f"{what}, {place}" for place in coverage.PLACES]].diff().iloc[1:].gt(0).all(axis=None)
    # 399 draws of t(5) have their 5% quantiles to some 10%
    np.testing.assert_allclose(width[DRAWN], width[CR2], rtol=0.3)
    assert width.loc["law, 70B at 10T", BOOTSTRAP] < width.loc["law, 70B at 10T", CR2]


def test_limits_of_predictions_are_those_that_a_law_answers(truth):
    x = coverage.places_of(truth.data, LOSSES)
    low, high = coverage.prediction_limits(truth, DRAWN, x, np.random.default_rng(4))[3]
    draws = draws_by_run(clustered_by_run(truth), coverage.DRAWN_DRAWS, np.random.default_rng(4))
    answer = predict(KnownLaw(truth.law, draws, ""), {name: values[0] for name, values in x.items()}, 0.90)
    assert (np.exp(low), np.exp(high)) == pytest.approx((answer.low, answer.high))


def test_predictions_of_a_run_hold_at_the_place_that_the_rows_know(truth):
    x = coverage.places_of(truth.data, LOSSES)
    found = coverage.shares(coverage.prediction_trials(truth, LUCK, (CR2,), x, range(100), seed=5))
    share = found.set_index("quantity")["share"]
    # a nominal 90% of 100 tables has a standard deviation of 3%: three of them
    assert share["new run, inside"] > 0.81
    assert share["law, inside"] > 0.81


def test_a_method_that_gives_no_limits_counts_as_a_miss(planted):
    two = fit_law(UnifiedLaw, planted(1, n_sizes=2))
    tried = coverage.trials(two, LUCK, (CR2,), range(3), seed=0)
    assert tried["reason"].str.contains("alone determines a coefficient").all()
    assert coverage.shares(tried)["n_without"].tolist() == [3, 3, 3]
    assert coverage.shares(tried)["share"].tolist() == [0, 0, 0]
    x = coverage.places_of(two.data, LOSSES)
    asked = coverage.prediction_trials(two, LUCK, (DRAWN, CR2), x, [0], seed=0)
    assert asked["reason"].str.contains("alone determines a coefficient").all()
    assert not asked["covered"].any()


def test_shares_count():
    tried = pd.DataFrame(
        {
            "quantity": "beta",
            "method": ["a"] * 10 + ["b"] * 4,
            "low": 0.0,
            "high": [1.0] * 7 + [3.0] * 3 + [2.0] * 4,
            "covered": [True] * 9 + [False] + [True] * 4,
            "reason": "",
        }
    )
    a, b = coverage.shares(tried).to_dict("records")
    assert (a["n_tables"], a["n_covered"], a["share"], a["median_width"]) == (10, 9, 0.9, 1.0)
    exact = stats.binomtest(9, 10).proportion_ci(0.95, method="exact")
    assert (a["share_low"], a["share_high"]) == pytest.approx((exact.low, exact.high))
    assert b["share_high"] == 1.0
    assert b["share_low"] == pytest.approx(stats.binomtest(4, 4).proportion_ci(0.95, method="exact").low)


def test_intervals_that_take_rows_as_independent_miss_and_those_by_run_hold(truth):
    tried = coverage.shares(coverage.trials(truth, LUCK, (ROWS, CR2), range(60), seed=5))
    share = tried.pivot(index="quantity", columns="method", values="share")
    # a nominal 95% of 60 tables has a standard deviation of 2.8%: three of them
    assert np.all(share[CR2] > 0.86)
    assert share.loc["alpha", ROWS] < 0.75


def committed() -> pd.DataFrame:
    return pd.DataFrame(json.loads(COMMITTED.read_text())["rows"])


@pytest.mark.slow
@pytest.mark.parametrize("law", ["power", "loss"])
@pytest.mark.parametrize("luck", ["seeds", "residuals"])
def test_the_committed_shares_are_what_new_tables_give(law, luck):
    measured = pd.read_parquet(TABLE)
    truth = fit_law(FORMS[law], parts_of_study(measured, rows_at(measured, HELDOUT))[law][1].data)
    there = committed().query("law == @law and luck == @luck").set_index(["quantity", "method"])
    assert set(there["n_runs"]) == {truth.n_runs}, "the table has grown: run benchmarks/coverage.py again"
    kind = {"seeds": coverage.luck_of_seeds, "residuals": coverage.luck_of_residuals}[luck]
    methods = (ROWS, CR2, PROFILE) if law == "power" else (ROWS, CR2)
    tables = range(10_000, 10_000 + 200)  # none of those that were committed
    planted = kind(truth, coverage.seed_spread(measured))
    places = coverage.places_of(truth.data, loss_law_of(truth.data, ChinchillaLaw))
    tried = [
        coverage.trials(truth, planted, methods, tables, seed=0),
        coverage.prediction_trials(truth, planted, (DRAWN, CR2), places, tables, seed=0),
    ]
    for row in coverage.shares(pd.concat(tried)).itertuples():
        n, hit = there.loc[(row.quantity, row.method), ["n_tables", "n_covered"]]
        expected = stats.betabinom(row.n_tables, hit + 1, n - hit + 1)  # what so many new tables give if that is right
        low, high = expected.ppf([5e-4, 1 - 5e-4])
        assert low <= row.n_covered <= high, f"{row.quantity}, {row.method}"
