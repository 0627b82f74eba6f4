"""Profile intervals against a case that has a formula, and against CR2 where the likelihood is a parabola."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from tests.analyse.examples import EXAMPLES, planted

from helpers.analyse.fits.by_run import clustered_by_run
from helpers.analyse.fits.data import FitData, FitError, FitStatus
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.profiles import profile_interval
from helpers.analyse.laws.forms import TokensLaw, UnifiedLaw
from helpers.analyse.laws.shapes import SaturatingLaw, ThresholdLaw


def two_groups(first: float, second: float, n: int, se: float) -> FitData:
    """Rows at D = 1e7 and D = 1e8, `n` each, without scatter: beta is log10 of the ratio of the two means."""
    tokens, qid = np.repeat([1e7, 1e8], n), np.repeat([first, second], n)
    same = np.ones(2 * n)
    return FitData(tokens, 1e6 * same, 3 * same, qid, se * same, np.arange(2 * n).astype(str))


def fieller(first: float, second: float, n: int, se: float, level: float) -> tuple[float, float]:
    """Return the two ratios r with n (second - r first)^2 = q se^2 (1 + r^2) (Fieller 1954): the profile in closed form."""
    q = stats.chi2(1).ppf(level) * se**2 / n
    roots = np.roots([first**2 - q, -2 * first * second, second**2 - q])
    return tuple(np.sort(np.log10(roots[roots > 0])))


@pytest.mark.parametrize("level", [0.95, 0.68])
def test_the_profile_of_a_ratio_is_fiellers_interval(level):
    data = two_groups(0.10, 0.25, 8, 0.05)
    fit = fit_law(TokensLaw, data)
    assert fit.bounds_hit == ("ln_tau",)
    found = profile_interval(fit, "beta", level)
    # tau stays at its bound, 1e-3: it adds up to (1e-3 * 0.25)^2 to se^2, a part in 40,000
    np.testing.assert_allclose([found.low, found.high], fieller(0.10, 0.25, 8, 0.05, level), rtol=1e-4)
    assert found.open_sides == ()
    assert found.method == "rows taken as independent"
    # the interval isn't symmetric, as Wald's is
    assert found.high - found.estimate > 1.1 * (found.estimate - found.low)


def test_a_profile_that_does_not_close_is_open_on_that_side():
    # the first mean is 1.6 standard errors above zero, so the ratio has no upper limit at 95%, and one at 80%
    data = two_groups(0.10, 0.60, 2, 0.09)
    fit = fit_law(TokensLaw, data)
    found = profile_interval(fit, "beta")
    assert found.open_sides == ("high",)
    assert np.isinf(found.high)
    q = stats.chi2(1).ppf(0.95) * 0.09**2 / 2
    ratio = max(np.roots([0.10**2 - q, -2 * 0.10 * 0.60, 0.60**2 - q]))  # the other root is negative
    assert found.low == pytest.approx(np.log10(ratio), rel=1e-4)
    closed = profile_interval(fit, "beta", 0.80)
    np.testing.assert_allclose([closed.low, closed.high], fieller(0.10, 0.60, 2, 0.09, 0.80), rtol=1e-4)


def test_profiles_by_run_are_cr2s_intervals_where_the_likelihood_is_a_parabola(truth):
    # twelve runs and small spreads: the curvature hardly changes inside the interval
    sizes, generator = np.geomspace(1.5e5, 1.5e7, 12), np.random.default_rng(5)
    n_params, tokens, bits = (x.ravel() for x in np.meshgrid(sizes, np.geomspace(6e7, 1e9, 7), [2.0, 3.0, 4.0]))
    run, mean = np.searchsorted(sizes, n_params), truth.predict(tokens, n_params, bits)
    qid = mean * np.exp(generator.normal(0, 0.004, 12)[run] + generator.normal(0, 0.01, mean.size))
    data = FitData(tokens, n_params, bits, qid, 1e-3 * mean, run.astype(str))
    fit = fit_law(UnifiedLaw, data)
    by_run = clustered_by_run(fit)
    for name in fit.coefficient_names:
        one, wald = profile_interval(by_run, name), by_run.estimate(name)
        width = wald.high - wald.low
        np.testing.assert_allclose([one.low, one.high], [wald.low, wald.high], atol=0.03 * width)
        assert one.method.startswith("by training run")
        alone, plain = profile_interval(fit, name), fit.estimate(name)
        # the spread tells of the mean too (its tau is a share of it), 2 tau^2 = 2e-4 of the information
        np.testing.assert_allclose(
            [alone.low, alone.high], [plain.low, plain.high], atol=0.03 * (plain.high - plain.low)
        )


def test_runs_widen_a_profile(planted):
    fit = fit_law(UnifiedLaw, planted(3))
    by_row, by_run = profile_interval(fit, "alpha"), profile_interval(clustered_by_run(fit), "alpha")
    assert by_run.low < by_row.low < by_row.estimate < by_row.high < by_run.high
    assert by_run.threshold > 4 * by_row.threshold


def test_the_ends_have_the_likelihood_that_was_asked_for(planted):
    fit = fit_law(UnifiedLaw, planted(3))
    found = profile_interval(fit, "gamma", 0.9)
    for end in (found.low, found.high):
        # statsmodels, with gamma between equal bounds
        held = type("Held", (UnifiedLaw,), {"bounds": classmethod(lambda cls, x, end=end: {"gamma": (end, end)})})
        again = fit_law(held, fit.data)
        assert 2 * (fit.log_likelihood - again.log_likelihood) == pytest.approx(stats.chi2(1).ppf(0.9), rel=1e-4)


def test_a_ceiling_that_the_rows_do_not_show_has_no_upper_limit():
    fit = fit_law(SaturatingLaw, planted(EXAMPLES["power"][0], seed=6, tau=0.03, floor_nats=1e-4))
    found = profile_interval(fit, "ln_ceiling")
    assert found.open_sides == ("high",)
    assert np.log(fit.fitted_nats.max()) < found.low < found.estimate
    assert found.searched == pytest.approx((np.log(1e-3), np.log(1e4)))


def test_an_onset_that_the_rows_do_not_show_has_no_lower_limit():
    fit = fit_law(ThresholdLaw, planted(EXAMPLES["power"][0], seed=7, tau=0.03, floor_nats=1e-4))
    found = profile_interval(fit, "ln_D0")
    assert found.open_sides == ("low",)
    assert found.high < np.log(fit.data.tokens.min())


def test_a_planted_onset_is_found_from_both_sides():
    law, _ = EXAMPLES["threshold"]
    found = profile_interval(fit_law(ThresholdLaw, planted(law, seed=3, tau=0.03, floor_nats=1e-4)), "ln_D0")
    assert found.open_sides == ()
    assert found.low < np.log(law.D0) < found.high


def test_a_fit_that_is_not_the_maximum_is_refused(planted):
    fit = fit_law(UnifiedLaw, planted(4))
    aside = dataclasses.replace(fit.law, beta=fit.law.beta + 0.05)
    with pytest.raises(FitError, match="the fit isn't the maximum: at .* the likelihood is higher") as caught:
        profile_interval(dataclasses.replace(fit, law=aside), "alpha")
    assert caught.value.status is FitStatus.FAILED


def test_an_unknown_coefficient_is_refused(planted):
    with pytest.raises(ValueError, match="not in tuple"):
        profile_interval(fit_law(UnifiedLaw, planted(4)), "delta")
