import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from helpers.analyse.fits.by_run import (
    FEWEST_STEPS,
    added_by_steps,
    by_window,
    clustered_by_run,
    cr2_covariance,
    draws_by_run,
    fit_by_run,
    leave_one_run_out,
    with_steps,
)
from helpers.analyse.fits.data import FitData, FitError, FitStatus
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.predictions import hold_out, hold_out_largest, predictions
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.laws.shapes import SaturatingLaw


@pytest.fixture
def regression():
    """A small weighted regression: 6 runs of unequal length, 3 columns."""
    generator = np.random.default_rng(21)
    runs = np.repeat(["a", "b", "c", "d", "e", "f"], [3, 5, 4, 6, 4, 8])
    design = np.column_stack([np.ones(30), generator.normal(size=(30, 2))])
    response = generator.normal(size=30)
    residuals = response - design @ np.linalg.lstsq(design, response)[0]
    return design, residuals, runs


def _brute_force(design, residuals, runs):
    """CR2 and the Bell-McCaffrey degrees of freedom with n by n matrices, as the paper writes them."""
    bread = np.linalg.inv(design.T @ design)
    annihilator = np.eye(len(runs)) - design @ bread @ design.T
    meat, vectors = np.zeros_like(bread), []
    for label in np.unique(runs):
        rows = runs == label
        values, directions = np.linalg.eigh(annihilator[np.ix_(rows, rows)])
        adjusted = directions @ np.diag(values**-0.5) @ directions.T
        score = design[rows].T @ adjusted @ residuals[rows]
        meat += np.outer(score, score)
        vectors.append(annihilator[:, rows] @ adjusted @ design[rows] @ bread)  # (n, coefficients)
    vectors = np.array(vectors)
    freedom = []
    for column in range(design.shape[1]):
        gram = vectors[:, :, column] @ vectors[:, :, column].T
        freedom.append(np.trace(gram) ** 2 / np.sum(gram**2))
    return bread @ meat @ bread, np.array(freedom)


def test_cr2_equals_its_definition_with_whole_matrices(regression):
    covariance, freedom = _brute_force(*regression)
    result = cr2_covariance(*regression)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(result.degrees_of_freedom, freedom, rtol=1e-9)


def test_cr2_with_one_row_a_run_is_the_hc2_of_statsmodels(regression):
    design, _, _ = regression
    response = np.random.default_rng(22).normal(size=30)
    ols = sm.OLS(response, design).fit()
    result = cr2_covariance(design, ols.resid, np.arange(30))
    np.testing.assert_allclose(result.covariance, ols.cov_HC2, rtol=1e-9, atol=1e-15)


def test_degrees_of_freedom_of_a_mean_of_equal_runs_are_runs_minus_one():
    residuals = np.random.default_rng(23).normal(size=24)
    result = cr2_covariance(np.ones((24, 1)), residuals - residuals.mean(), np.repeat(np.arange(6), 4))
    assert result.degrees_of_freedom[0] == pytest.approx(5.0)


def test_intervals_by_run_cover_and_those_by_row_do_not(planted, truth):
    trials = 80
    by_row, by_run = np.zeros(3), np.zeros(3)
    target = np.array([truth.beta, truth.alpha, truth.gamma])
    for seed in range(trials):
        fit = fit_law(UnifiedLaw, planted(seed))
        for covered, result in ((by_row, fit), (by_run, clustered_by_run(fit))):
            low, high = result.intervals[1:].T
            covered += (low <= target) & (target <= high)
    # a nominal 95% of 80 trials has a standard deviation of 2.4%: three of them below
    assert np.all(by_run / trials > 0.87)
    # alpha is told by six runs alone, so independent rows are a fiction: about one half is covered
    assert by_row[1] / trials < 0.7


def test_one_run_is_refused(planted):
    fit = fit_law(UnifiedLaw, planted(1))
    with pytest.raises(FitError, match="need two runs or more; got 1"):
        cr2_covariance(np.ones((4, 1)), np.zeros(4), np.repeat("only", 4))
    assert clustered_by_run(fit).degrees_of_freedom.max() <= fit.n_runs - 1


def test_a_run_that_alone_tells_alpha_is_refused(planted):
    data = planted(2, n_sizes=2)
    with pytest.raises(FitError, match="training run 'run 0' alone determines a coefficient") as caught:
        clustered_by_run(fit_law(UnifiedLaw, data))
    assert caught.value.status is FitStatus.NOT_IDENTIFIABLE


def test_leave_one_run_out_refits_without_it(planted):
    fit = fit_law(UnifiedLaw, planted(3))
    table = leave_one_run_out(fit)
    assert table["run_label"].tolist() == [f"run {index}" for index in range(6)]
    again = fit_law(UnifiedLaw, fit.data.where(fit.data.runs != "run 4"))
    assert table.loc[4, "alpha"] == again.law.alpha
    assert table["alpha"].min() < fit.law.alpha < table["alpha"].max()
    assert (table["reason"] == "").all()


def test_leave_one_run_out_says_where_the_rest_is_not_enough(planted):
    table = leave_one_run_out(fit_law(UnifiedLaw, planted(4, n_sizes=2)))
    assert table["alpha"].isna().all()
    assert table["reason"].str.contains("same size N").all()


def test_hold_out_predicts_a_size_it_has_not_seen(planted):
    data = planted(5)
    hold_out = hold_out_largest(UnifiedLaw, data)
    assert hold_out.fit.n_runs == 5
    assert hold_out.fit.data.n_params.max() < hold_out.data.n_params.min()
    scores = hold_out.scores()
    assert scores["n_rows"] == 21
    clear = hold_out.data.outcome_nats > 3 * hold_out.data.outcome_se_nats
    assert scores["excluded_share"] == pytest.approx(1 - clear.mean())
    errors = np.log(hold_out.predicted_nats[clear]) - np.log(hold_out.data.outcome_nats[clear])
    assert scores["log_bias"] == pytest.approx(errors.mean())
    assert scores["log_rms"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert scores["rest_bias_nats"] == pytest.approx(
        (hold_out.predicted_nats - hold_out.data.outcome_nats)[~clear].mean()
    )


def test_prediction_intervals_cover_a_new_run(planted):
    covered = [hold_out_largest(UnifiedLaw, planted(seed)).coverage for seed in range(30)]
    # nominal 90%, on the wide side by design (95% in 100 trials); rows of a run move together, so 30 trials are 30
    assert np.mean(covered) > 0.85


def test_hold_out_of_three_runs_scores_without_intervals(planted):
    hold_out = hold_out_largest(UnifiedLaw, planted(7, n_sizes=3))
    assert "alone determines a coefficient" in hold_out.no_interval_because
    assert np.isnan(hold_out.coverage)
    assert np.isfinite(hold_out.scores()["log_rms"])


def test_hold_out_of_two_sizes_is_refused(planted):
    with pytest.raises(FitError, match="alpha can't be identified"):
        hold_out_largest(UnifiedLaw, planted(8, n_sizes=2))


def test_scores_of_an_empty_group_are_missing(planted):
    scores = hold_out_largest(UnifiedLaw, planted(6, floor_nats=1e-5)).scores()
    assert scores["excluded_share"] == 0
    assert np.isnan(scores["rest_bias_nats"])


def test_fit_by_run_says_why_there_is_no_interval(planted):
    fit, reason = fit_by_run(UnifiedLaw, planted(1, n_sizes=2))
    assert "alone determines a coefficient" in reason
    assert np.isinf(fit.degrees_of_freedom).all()
    fit, reason = fit_by_run(UnifiedLaw, planted(1))
    assert reason == ""
    assert np.isfinite(fit.degrees_of_freedom).all()


def test_intervals_of_a_law_with_a_shape_cover_by_run():
    law = SaturatingLaw(
        k=0.75, beta=0.4, alpha=0.3, gamma=5.5, ceiling=2.0, source="planted", validity=OUYANG_2024.validity
    )
    sizes, trials = np.geomspace(1.5e5, 1.5e7, 8), 60
    n_params, tokens, bits = (x.ravel() for x in np.meshgrid(sizes, np.geomspace(6e7, 1e9, 7), [2.0, 3.0, 4.0]))
    mean, run = law.predict(tokens, n_params, bits), np.searchsorted(sizes, n_params)
    covered = np.zeros(5)
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        spread = generator.normal(0, 0.08, 8)[run] + generator.normal(0, 0.08, mean.size)
        data = FitData(tokens, n_params, bits, mean * np.exp(spread), 0.004 * mean + 1e-3, run.astype(str))
        low, high = clustered_by_run(fit_law(SaturatingLaw, data)).intervals.T
        covered += (low <= law.coefficients) & (law.coefficients <= high)
    # a nominal 95% of 60 trials has a standard deviation of 2.8%: three of them below
    assert np.all(covered / trials > 0.86)


def test_students_t_is_clustered_with_its_weights(planted):
    data = planted(3)
    normal, nearly = (clustered_by_run(fit_law(UnifiedLaw, data, tail_freedom=v)) for v in (np.inf, 1e7))
    # 1e-3: where the optimiser stops
    np.testing.assert_allclose(nearly.standard_errors, normal.standard_errors, rtol=1e-3)
    heavy = clustered_by_run(fit_law(UnifiedLaw, data, tail_freedom=4.0))
    np.testing.assert_allclose(heavy.standard_errors, normal.standard_errors, rtol=0.5)


def test_a_coefficient_at_its_bound_has_no_error(planted):
    fit = dataclasses.replace(fit_law(UnifiedLaw, planted(4)), bounds_hit=("gamma",))
    by_run = clustered_by_run(fit)
    assert by_run.standard_errors[3] == 0
    assert np.all(by_run.standard_errors[:3] > 0)


def test_errors_of_inputs_widen_predictions(planted):
    data = planted(5)
    fit, trouble = fit_by_run(UnifiedLaw, data)
    plain, wider = (predictions(fit, data, data.outcome_se_nats, trouble, input_error=error) for error in (0.0, 0.5))
    np.testing.assert_array_equal(plain.predicted_nats, wider.predicted_nats)
    quantile = stats.t.ppf(0.95, fit.n_runs - 1)
    added = (wider.high_nats - wider.predicted_nats) ** 2 - (plain.high_nats - plain.predicted_nats) ** 2
    np.testing.assert_allclose(added, (quantile * 0.5 * plain.predicted_nats) ** 2, rtol=1e-9)
    none = predictions(fit, data, data.outcome_se_nats, "no reason")
    assert np.isnan(none.scores()["clear_coverage"])


def test_a_law_that_cannot_say_anything_of_the_rows_is_refused(planted):
    data = planted(5)
    two, three = data.where(data.bits == 2), data.where(data.bits == 3)
    with pytest.raises(FitError, match="a law of bit width P = 2 was asked about 3"):
        hold_out(OneBitWidthLaw, two, three, three.outcome_se_nats)


def test_draws_have_the_intervals_of_their_covariance_with_t(planted):
    fit = clustered_by_run(fit_law(UnifiedLaw, planted(1)))
    draws = draws_by_run(fit, 40_000, np.random.default_rng(3))
    freedom = fit.n_runs - 1
    half = stats.t.ppf(0.975, freedom) * fit.standard_errors
    ends = np.column_stack([fit.law.coefficients - half, fit.law.coefficients + half])
    np.testing.assert_allclose((draws.intervals() - ends) / half[:, None], 0.0, atol=0.08)
    correlated = np.corrcoef(draws.coefficients.T)
    errors = fit.standard_errors
    np.testing.assert_allclose(correlated, fit.covariance / np.outer(errors, errors), atol=0.05)
    np.testing.assert_array_equal(
        draws_by_run(fit, 7, np.random.default_rng(3)).coefficients, draws.coefficients[:7], strict=True
    )


def test_a_new_run_around_the_draws_is_t_distributed_around_the_estimate(planted):
    fit = clustered_by_run(fit_law(UnifiedLaw, planted(1)))
    generator = np.random.default_rng(4)
    draws = draws_by_run(fit, 40_000, generator)
    row = fit.slopes[0]
    new_runs = draws.coefficients @ row + draws.tau * generator.standard_normal(40_000)
    half = stats.t.ppf(0.95, fit.n_runs - 1) * np.hypot(fit.tau, np.sqrt(row @ fit.covariance @ row))
    assert np.mean(np.abs(new_runs - fit.law.coefficients @ row) < half) == pytest.approx(0.90, abs=0.008)


def test_draws_leave_what_lies_at_its_bound_and_take_a_singular_covariance(planted):
    fit = clustered_by_run(fit_law(SaturatingLaw, planted(1)))
    held = dataclasses.replace(fit, bounds_hit=("ln_ceiling",), covariance=np.ones_like(fit.covariance))
    draws = draws_by_run(held, 50, np.random.default_rng(5))
    moved = draws.coefficients - held.law.coefficients
    np.testing.assert_array_equal(moved[:, -1], 0.0)
    np.testing.assert_allclose(moved[:, 1:-1], moved[:, :1] * np.ones(moved.shape[1] - 2), atol=1e-6)


# ---- steps that runs share -------------------------------------------------------------------------------------------


def test_what_steps_add_is_the_positive_part_of_the_two_way_covariance(regression):
    """Cameron, Gelbach and Miller's sum written out, in coordinates in which the columns are orthonormal."""
    design, residuals, runs = regression
    steps = np.arange(30) % 5
    residuals = residuals + np.array([1.0, -1.0, 0.5, 0.0, -0.5])[steps]  # the steps' own luck
    orthogonal = np.linalg.qr(design)[0]
    scores, (n, p) = orthogonal * residuals[:, None], design.shape

    def clustered(labels):
        sums = np.array([scores[labels == label].sum(axis=0) for label in np.unique(labels)])
        return len(sums) / (len(sums) - 1) * (n - 1) / (n - p) * sums.T @ sums

    both = np.unique(np.column_stack([np.unique(runs, return_inverse=True)[1], steps]), axis=0, return_inverse=True)[1]
    values, vectors = np.linalg.eigh(clustered(steps) - clustered(both.ravel()))
    assert values.min() < 0 < values.max(), "both signs are tried"
    to = np.linalg.lstsq(design, orthogonal)[0]
    expected = to @ (vectors * np.maximum(values, 0)) @ vectors.T @ to.T
    np.testing.assert_allclose(added_by_steps(design, residuals, runs, steps), expected, rtol=1e-9, atol=1e-15)


def test_units_of_a_column_do_not_matter(regression):
    design, residuals, runs = regression
    units, steps = np.array([1.0, 1e3, 1e-3]), np.arange(30) % 5
    plain, other = (added_by_steps(one, residuals, runs, steps) for one in (design, design * units))
    np.testing.assert_allclose(other * np.outer(units, units), plain, rtol=1e-8, atol=1e-14)


def test_steps_that_no_two_runs_share_add_nothing(regression):
    design, residuals, runs = regression
    np.testing.assert_allclose(added_by_steps(design, residuals, runs, np.arange(30) % 30), 0, atol=1e-12 * 30)


def test_shared_steps_widen_the_interval_of_tokens_and_hold_it_more_often(planted, truth):
    """Planted as the study is: with luck of steps the one-way interval of beta misses, the two-way one less often."""
    held, trials = np.zeros(2), 60
    for seed in range(trials):
        data = planted(seed)
        steps, places = np.unique(data.tokens, return_inverse=True)
        shock = np.random.default_rng([9, seed]).normal(0, 0.15, steps.size)
        shaken = dataclasses.replace(data, outcome_nats=data.outcome_nats * np.exp(shock[places]))
        one_way = clustered_by_run(fit_law(UnifiedLaw, shaken))
        both = fit_by_run(UnifiedLaw, shaken)[0]
        assert np.all(both.standard_errors >= one_way.standard_errors * (1 - 1e-12))
        for place, fit in enumerate((one_way, both)):
            low, high = fit.intervals[1]
            held[place] += low <= truth.beta <= high
    assert held[1] > held[0] + 5
    assert held[1] / trials > 0.75


def test_few_steps_leave_a_fit_as_it_is(planted):
    data = planted(1)
    few = data.where(np.isin(data.tokens, np.unique(data.tokens)[: FEWEST_STEPS - 1]))
    fit = clustered_by_run(fit_law(UnifiedLaw, few))
    assert with_steps(fit) is fit
    assert "and step" in fit_by_run(UnifiedLaw, data)[0].method


def test_a_law_that_holds_has_the_same_exponent_in_every_window_and_one_that_bends_has_not(planted, truth):
    data = planted(1)
    straight = by_window(UnifiedLaw, data)
    steps = np.unique(data.tokens)
    assert list(straight["low_tokens"]) == [steps[0], steps[3], steps[5]]
    assert list(straight["high_tokens"]) == [steps[2], steps[4], steps[6]]
    assert set(straight["parameter"]) == {"beta"}
    assert straight["low"].le(truth.beta).all()
    assert straight["high"].ge(truth.beta).all()
    bend = np.exp(-0.15 * np.log(data.tokens / steps[3]) ** 2)
    bent = by_window(UnifiedLaw, dataclasses.replace(data, outcome_nats=data.outcome_nats * bend))
    assert bent["high"].iloc[2] < bent["low"].iloc[0]
    mine = fit_by_run(UnifiedLaw, data.where(data.tokens <= steps[2]))[0].estimate("beta")
    assert (straight.loc[0, "estimate"], straight.loc[0, "se"]) == (mine.value, mine.standard_error)


def test_a_window_that_tells_nothing_says_why(planted):
    data = planted(1)
    one_step = by_window(UnifiedLaw, data.where(data.tokens == data.tokens[0]), 1)
    assert one_step["estimate"].isna().all()
    assert "beta can't be identified" in one_step.loc[0, "reason"]
    two_runs = by_window(UnifiedLaw, planted(1, n_sizes=2), 1)
    assert np.isfinite(two_runs.loc[0, "estimate"])
    assert np.isnan(two_runs.loc[0, "low"])
    assert two_runs.loc[0, "reason"]
