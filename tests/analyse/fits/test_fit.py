import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.tools.numdiff import approx_fprime

from helpers.analyse.fits.data import FitData, FitError, FitStatus, within_floats
from helpers.analyse.fits.fit import fit_law, log_likelihood
from helpers.analyse.fits.likelihood import RelativeSpreadModel
from helpers.analyse.fits.result import information_by_bits
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw

# The unified law and its form at one bit width, on the rows of planted data that each describes.
LAWS = [(UnifiedLaw, (2, 3, 4)), (OneBitWidthLaw, (2,)), (OneBitWidthLaw, (4,))]


@pytest.mark.parametrize(("law_type", "widths"), LAWS)
def test_exact_data_give_the_law_back(planted, truth, law_type, widths):
    data = planted(0)
    exact = truth.predict(data.tokens, data.n_params, data.bits)
    data = dataclasses.replace(data, outcome_nats=exact, outcome_se_nats=1e-4 * exact).where(np.isin(data.bits, widths))
    fit = fit_law(law_type, data)
    assert fit.status is FitStatus.BOUND_HIT
    assert fit.bounds_hit == ("ln_tau",)
    np.testing.assert_allclose(fit.fitted_nats, data.outcome_nats, rtol=1e-6)
    for name in law_type.parameter_names()[1:]:
        assert fit.estimate(name).value == pytest.approx(getattr(truth, name), rel=1e-5)


def test_planted_exponents_are_recovered_without_bias(planted, truth):
    fits = [fit_law(UnifiedLaw, planted(seed, tau_run=0.05, floor_nats=0.006)) for seed in range(60)]
    estimates = np.array([fit.law.coefficients[1:] for fit in fits])
    error_of_mean = estimates.std(axis=0, ddof=1) / np.sqrt(len(fits))
    # three errors of the mean over 60 trials: 0.005 on beta, where dropping QiD <= 0 after a logarithm costs 0.02
    assert np.all(np.abs(estimates.mean(axis=0) - [truth.beta, truth.alpha, truth.gamma]) < 3 * error_of_mean)
    assert np.median([fit.tau for fit in fits]) == pytest.approx(np.hypot(0.05, 0.1), rel=0.1)


def test_qid_at_or_below_zero_is_kept(planted):
    data = planted(2, floor_nats=0.02)
    below = data.outcome_nats <= 0
    assert below.sum() > 5
    fit = fit_law(UnifiedLaw, data)
    assert fit.n_rows == data.outcome_nats.size
    assert np.all(np.isfinite(fit.residuals_nats[below]))
    without = fit_law(UnifiedLaw, data.where(~below))
    assert without.law.gamma < fit.law.gamma  # dropping them lifts 4-bit QiD


def test_scale_of_qid_moves_only_k(planted):
    data = planted(3)
    scaled = dataclasses.replace(
        data, outcome_nats=1000 * data.outcome_nats, outcome_se_nats=1000 * data.outcome_se_nats
    )
    one, other = fit_law(UnifiedLaw, data), fit_law(UnifiedLaw, scaled)
    # 1e-5: where the optimiser stops on a flat top
    np.testing.assert_allclose(other.law.coefficients[1:], one.law.coefficients[1:], rtol=1e-5)
    assert other.law.k / one.law.k == pytest.approx(1000, rel=1e-3)


def test_order_of_rows_does_not_matter(planted):
    data = planted(4)
    shuffled = data.where(np.random.default_rng(0).permutation(data.tokens.size))
    one, other = fit_law(UnifiedLaw, data), fit_law(UnifiedLaw, shuffled)
    np.testing.assert_allclose(other.law.coefficients, one.law.coefficients, rtol=1e-4)


def _model(data, design, tail_freedom=np.inf):
    def mean(coefficients):
        return design @ coefficients, design

    return RelativeSpreadModel(data.outcome_nats, mean, design.shape[1], data.outcome_se_nats, tail_freedom)


@pytest.mark.parametrize("tail_freedom", [np.inf, 4.0])
def test_score_is_the_gradient_of_the_likelihood(planted, tail_freedom):
    data = planted(5)
    model = _model(data, UnifiedLaw.design_matrix(data.tokens / 1e8, data.n_params / 1e6, data.bits), tail_freedom)
    for params in ([1.0, 0.4, 0.3, 5.5, -2.0], [0.5, 0.2, 0.5, 4.0, 0.0]):
        numerical = approx_fprime(np.array(params), model.loglike, centered=True)
        # central differences with statsmodels' step are good to about 1e-7 of the largest term
        np.testing.assert_allclose(model.score(np.array(params)), numerical, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tail_freedom", [np.inf, 4.0])
def test_estimates_are_a_maximum(planted, tail_freedom):
    fit = fit_law(UnifiedLaw, planted(6), tail_freedom=tail_freedom)
    model = _model(fit.data, UnifiedLaw.design_matrix(fit.data.tokens, fit.data.n_params, fit.data.bits), tail_freedom)
    best = np.append(fit.law.coefficients, np.log(fit.tau))
    assert model.loglike(best) == pytest.approx(fit.log_likelihood, rel=1e-9)
    if np.isinf(tail_freedom):
        assert log_likelihood(fit.law, fit.tau, fit.data) == pytest.approx(fit.log_likelihood, rel=1e-9)
    steps = np.append(fit.standard_errors, 0.1)
    for index, step in enumerate(steps):
        for sign in (-1, 1):
            aside = best.copy()
            aside[index] += sign * 0.1 * step
            assert model.loglike(aside) < fit.log_likelihood


def test_likelihoods_are_those_of_scipy(planted):
    data = planted(7)
    design = UnifiedLaw.design_matrix(data.tokens, data.n_params, data.bits)
    params = np.array([np.log(0.75), 0.4, 0.3, 5.5, np.log(0.1)])
    mean = np.exp(design @ params[:-1])
    scale = np.hypot(data.outcome_se_nats, 0.1 * mean)
    normal, student = stats.norm(mean, scale), stats.t(4, mean, scale)
    np.testing.assert_allclose(_model(data, design).loglikeobs(params), normal.logpdf(data.outcome_nats), rtol=1e-9)
    np.testing.assert_allclose(
        _model(data, design, 4.0).loglikeobs(params), student.logpdf(data.outcome_nats), rtol=1e-9
    )


def test_students_t_forgives_rows_that_lie_far_off(planted, truth):
    data = planted(12, tau_run=0.0)
    qid = data.outcome_nats.copy()
    qid[np.flatnonzero(data.n_params == data.n_params.max())[:4]] *= 4
    spoilt = dataclasses.replace(data, outcome_nats=qid)
    plain, robust = fit_law(UnifiedLaw, spoilt), fit_law(UnifiedLaw, spoilt, tail_freedom=4.0)
    assert abs(robust.law.alpha - truth.alpha) < 0.5 * abs(plain.law.alpha - truth.alpha)
    assert robust.tau < plain.tau


def test_ln_qid_by_a_log_link_agrees_where_it_may(planted):
    data = planted(13, tau_run=0.02, tau_row=0.02, floor_nats=1e-6)
    fit = fit_law(UnifiedLaw, data)
    design = UnifiedLaw.design_matrix(data.tokens, data.n_params, data.bits)
    glm = sm.GLM(data.outcome_nats, design, family=sm.families.Gamma(sm.families.links.Log())).fit()
    # without se both say that the spread is proportional to the mean; they differ in the shape of its tails
    assert np.all(np.abs(glm.params - fit.law.coefficients) < 0.3 * fit.standard_errors)


def test_criteria_count_tau_and_not_what_lies_at_a_bound(planted):
    fit = fit_law(UnifiedLaw, planted(11))
    assert fit.aic == pytest.approx(2 * 5 - 2 * fit.log_likelihood)
    assert fit.bic == pytest.approx(5 * np.log(126) - 2 * fit.log_likelihood)


def test_covariates_come_from_a_table():
    table = pd.DataFrame(
        {
            "tokens_seen": [1e7, 1e8],
            "n_params_non_embedding": [1e6, 1e6],
            "bits": [3, 3],
            "qid_nats": [0.1, 0.2],
            "qid_se_nats": [0.01, 0.01],
            "run_label": ["a", "a"],
            "lr_fraction": [0.5, 0.5],
            "lr_phase": ["warmup", "decay"],
            "group_size": [32.0, np.nan],
            "baseline_loss_nats": [3.0, 2.0],
            "vocabulary_size": [1024, 1024],
        }
    )
    data = FitData.from_table(table)
    assert data.covariates["lr_fraction"].tolist() == [1.0, 0.5]
    np.testing.assert_allclose(data.covariates["room_nats"], np.log(1024) - np.array([3.0, 2.0]))
    assert data.validity.of("loss_nats") == (2.0, 3.0)
    assert "group_size" not in data.validity.covariates  # one row doesn't have it
    assert data.where(np.array([False, True])).covariates["loss_nats"].tolist() == [2.0]
    few = FitData.from_table(table.iloc[:, :6])
    assert few.covariates == {}
    unknown = FitData.from_table(table.assign(lr_phase=["stable", None], lr_fraction=[None, None]))
    np.testing.assert_array_equal(unknown.covariates["lr_fraction"], [1.0, np.nan])
    assert "lr_fraction" not in unknown.validity.covariates


def test_inverse_variance_weights_would_listen_to_2_bits_only(planted):
    data = planted(7, floor_nats=0.002)
    fit = fit_law(UnifiedLaw, data)
    pure = information_by_bits(fit.fitted_nats, data.outcome_se_nats, data.bits, tau=0.0)
    assert pure[2] > 0.9
    assert fit.information_by_bits[2] < 0.5
    assert sum(fit.information_by_bits.values()) == pytest.approx(1.0)


def test_model_based_errors_are_right_when_rows_are_independent(planted):
    fits = [fit_law(UnifiedLaw, planted(seed, tau_run=0.0)) for seed in range(40)]
    spread = np.std([fit.law.coefficients[1:] for fit in fits], axis=0, ddof=1)
    # a standard deviation from 40 trials is known to 11%; three of them
    np.testing.assert_allclose(np.mean([fit.standard_errors[1:] for fit in fits], axis=0), spread, rtol=0.34)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda data: data.n_params == data.n_params[0], "alpha can't be identified: every row has the same size N"),
        (lambda data: data.bits == 3, "gamma can't be identified: every row has the same bit width P"),
        (lambda data: data.tokens == data.tokens[0], "beta can't be identified: every row has the same training"),
        (lambda data: data.bits == 7, "no row to fit"),
    ],
)
def test_data_that_cannot_tell_a_parameter_are_refused(planted, keep, message):
    data = planted(8)
    with pytest.raises(FitError, match=message) as caught:
        fit_law(UnifiedLaw, data.where(keep(data)))
    assert caught.value.status is FitStatus.NOT_IDENTIFIABLE


def test_noise_alone_is_refused(planted):
    data = planted(8)
    noisy = dataclasses.replace(data, outcome_se_nats=np.where(np.arange(data.bits.size) < 4, 1e-3, 100.0))
    with pytest.raises(FitError, match=r"only \d rows have a QiD above its error; the law needs 5 or more"):
        fit_law(UnifiedLaw, noisy)


def test_tokens_tied_to_size_are_refused(planted):
    data = planted(9)
    tied = dataclasses.replace(data, tokens=20 * data.n_params)
    with pytest.raises(FitError, match=r"beta and alpha can't be told apart: condition number .* > 100"):
        fit_law(UnifiedLaw, tied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome_nats": np.array([0.1, np.nan])}, "'outcome_nats' holds values that aren't finite"),
        ({"outcome_se_nats": np.array([0.1, 0.0])}, "'outcome_se_nats' holds values that aren't positive"),
        ({"tokens": np.array([1e8])}, "equally long"),
    ],
)
def test_unusable_arrays_are_refused(change, message):
    two = np.array([1.0, 2.0])
    arrays = dict.fromkeys(("tokens", "n_params", "bits", "outcome_nats", "outcome_se_nats", "runs"), two)
    with pytest.raises(FitError, match=message) as caught:
        FitData(**arrays | change)
    assert caught.value.status is FitStatus.FAILED


def test_few_runs_is_a_status(planted):
    assert fit_law(UnifiedLaw, planted(10, n_sizes=6)).status is FitStatus.FEW_RUNS
    assert fit_law(UnifiedLaw, planted(10, n_sizes=10)).status is FitStatus.CONVERGED


def test_summary_says_what_the_fit_rests_on(planted):
    fit = fit_law(UnifiedLaw, planted(11))
    text = fit.summary()
    for part in ("few_runs, 126 rows of 6 training runs", "gamma", "intervals 95%", "tau 0.1", "information: 2 bits"):
        assert part in text
    low, high = fit.intervals[1]
    assert fit.estimate("beta").low == low < fit.law.beta < high


@pytest.mark.parametrize(
    ("name", "factor"), [("outcome_nats", 1e300), ("tokens", 1e290), ("n_params", 1e-290), ("outcome_nats", 1e-300)]
)
def test_rows_beyond_floats_are_a_fit_or_a_fit_error(planted, name, factor):
    data = planted(2)
    far = dataclasses.replace(
        data, **{name: getattr(data, name) * np.where(np.arange(data.bits.size) % 7, 1.0, factor)}
    )
    try:
        fit = fit_law(UnifiedLaw, far)
    except FitError:
        return
    assert np.isfinite(fit.law.coefficients).all()
    assert np.isfinite(fit.tau)


def test_a_number_that_overflows_on_the_way_is_a_fit_error():
    with pytest.raises(FitError, match="beyond the numbers that floats hold"), within_floats():
        math.exp(1e9)
    with pytest.raises(FitError, match="beyond the numbers that floats hold"), within_floats():
        np.linalg.svd(np.full((2, 2), np.nan))
