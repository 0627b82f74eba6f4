"""Simulated tables and how often intervals hold what was planted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse import coverage
from helpers.analyse.coverage import BOOTSTRAP, CR2, METHODS, PROFILE, ROWS, Luck
from helpers.analyse.degradation import HELDOUT
from helpers.analyse.fitting import fit_law
from helpers.analyse.law_forms import FORMS
from helpers.analyse.laws import UnifiedLaw
from helpers.analyse.stored_fits import TABLE
from helpers.analyse.study_fits import parts_of_study, rows_at

COMMITTED = Path("benchmarks/results/coverage.json")
LUCK = Luck(run=0.1, run_tokens=0.0, run_bits=0.0, row=0.1)


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
    error = truth.data.qid_se_nats
    np.testing.assert_allclose((draws.mean(axis=0) - truth.fitted_nats) / error, 0.0, atol=4.5 / np.sqrt(5000))
    np.testing.assert_allclose(draws.std(axis=0) / error, 1.0, atol=4.5 / np.sqrt(2 * 5000))


def test_luck_of_residuals_finds_what_was_planted(planted):
    data, planted_luck = planted(1, n_sizes=60, floor_nats=1e-5), Luck(0.15, 0.08, 0.12, 0.1)
    fit, generator = fit_law(UnifiedLaw, data), np.random.default_rng(3)
    other = type(data)(**vars(data) | {"qid_nats": coverage.simulate(fit, planted_luck, generator)})
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
    assert tried["coefficient"].tolist() == ["beta", "alpha", "gamma"] * 4
    assert (tried["low"] < tried["high"]).all()
    width = tried.assign(width=tried["high"] - tried["low"]).pivot(
        index="coefficient", columns="method", values="width"
    )
    assert width.loc["alpha", ROWS] < 0.7 * width.loc["alpha", CR2]
    # both follow the clustered variance; six runs leave a likelihood that isn't quite a parabola
    assert width.loc["alpha", PROFILE] == pytest.approx(width.loc["alpha", CR2], rel=0.3)
    assert width.loc["alpha", BOOTSTRAP] < width.loc["alpha", CR2]


def test_a_method_that_gives_no_limits_counts_as_a_miss(planted):
    two = fit_law(UnifiedLaw, planted(1, n_sizes=2))
    tried = coverage.trials(two, LUCK, (CR2,), range(3), seed=0)
    assert tried["reason"].str.contains("alone determines a coefficient").all()
    assert coverage.shares(tried)["n_without"].tolist() == [3, 3, 3]
    assert coverage.shares(tried)["share"].tolist() == [0, 0, 0]


def test_shares_count():
    tried = pd.DataFrame(
        {
            "coefficient": "beta",
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
    share = tried.pivot(index="coefficient", columns="method", values="share")
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
    there = committed().query("law == @law and luck == @luck").set_index(["coefficient", "method"])
    assert set(there["n_runs"]) == {truth.n_runs}, "the table has grown: run benchmarks/coverage.py again"
    kind = {"seeds": coverage.luck_of_seeds, "residuals": coverage.luck_of_residuals}[luck]
    methods = (ROWS, CR2, PROFILE) if law == "power" else (ROWS, CR2)
    tables = range(10_000, 10_000 + 200)  # none of those that were committed
    tried = coverage.trials(truth, kind(truth, coverage.seed_spread(measured)), methods, tables, seed=0)
    for row in coverage.shares(tried).itertuples():
        n, hit = there.loc[(row.coefficient, row.method), ["n_tables", "n_covered"]]
        expected = stats.betabinom(row.n_tables, hit + 1, n - hit + 1)  # what so many new tables give if that is right
        low, high = expected.ppf([5e-4, 1 - 5e-4])
        assert low <= row.n_covered <= high, f"{row.coefficient}, {row.method}"
