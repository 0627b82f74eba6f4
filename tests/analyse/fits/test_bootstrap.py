"""Refits by the thousand."""

import dataclasses

import numpy as np
import pytest
from tests.analyse.examples import NAMES, fitted

from helpers.analyse.fits.bootstrap import (
    WEBB,
    WarmFit,
    document_refits,
    refits,
    refuse_few_converged,
    score_to_the_top,
    wild_bootstrap,
)
from helpers.analyse.fits.by_run import clustered_by_run
from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.shapes import SaturatingLaw


def test_webbs_points_have_mean_zero_and_variance_one():
    assert WEBB.mean() == pytest.approx(0.0)
    assert (WEBB**2).mean() == pytest.approx(1.0)


def _from_beside(fit, step):
    """Return the coefficients that scoring reaches from `step` standardised units beside the estimate, up and down."""
    warm = WarmFit.of(fit)
    beside = step * np.where(warm.free, (-1.0) ** np.arange(warm.start.size), 0.0)
    found = score_to_the_top(warm.model, warm.start + beside, warm.free, warm.ends)
    assert not np.array_equal(found, warm.start)
    return warm.scaled.to_coefficients @ found[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_scoring_reaches_the_point_that_statsmodels_reaches(name):
    fit = fitted(name, seed=3, tau=0.03, floor_nats=1e-4)
    np.testing.assert_allclose(_from_beside(fit, 0.02), fit.law.coefficients, rtol=0, atol=1e-6)


def test_scoring_reaches_it_with_students_t(planted):
    fit = fit_law(UnifiedLaw, planted(1), tail_freedom=4.0)
    np.testing.assert_allclose(_from_beside(fit, 0.05), fit.law.coefficients, rtol=0, atol=1e-6)


def test_scoring_stays_between_its_ends(planted):
    fit = fit_law(UnifiedLaw, planted(1))
    warm = WarmFit.of(fit)
    low, high = warm.ends
    place = 2
    low[place] = warm.start[place] + 0.1  # the maximum is below
    found = score_to_the_top(warm.model, warm.start + 0.2, warm.free, (low, high))
    assert found[place] == low[place]
    held = warm.free.copy()
    held[place] = False
    there = warm.start.copy()
    there[place] = low[place]
    # the rest is as good as if the end had been given as a constant; 1e-6: where scoring stops
    np.testing.assert_allclose(found, score_to_the_top(warm.model, there, held, warm.ends), atol=1e-6)


def test_a_warm_fit_is_the_fit_of_the_other_values(planted):
    one, other = planted(7), planted(8)
    warm = WarmFit.of(fit_law(UnifiedLaw, one)).fit(other.outcome_nats)
    whole = fit_law(UnifiedLaw, dataclasses.replace(one, outcome_nats=other.outcome_nats))
    np.testing.assert_allclose(warm.law.coefficients, whole.law.coefficients, atol=1e-6)
    np.testing.assert_allclose(warm.covariance, whole.covariance, rtol=1e-4)
    assert warm.tau == pytest.approx(whole.tau, rel=1e-6)
    assert warm.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-8)
    assert (warm.status, warm.bounds_hit, warm.level) == (whole.status, whole.bounds_hit, whole.level)


@pytest.mark.parametrize("tail_freedom", [np.inf, 4.0])
def test_expected_information_is_the_variance_of_the_score(planted, tail_freedom):
    warm = WarmFit.of(fit_law(UnifiedLaw, planted(2)))
    model, params = warm.model, warm.start
    model.tail_freedom = tail_freedom
    generator = np.random.default_rng(0)
    log_mean, _ = model.mean(params[:-1])
    mean = np.exp(log_mean)
    scale = np.hypot(model.outcome_se_nats, np.exp(params[-1]) * mean)
    scores = []
    for _ in range(4000):
        noise = generator.normal(size=mean.size) if np.isinf(tail_freedom) else generator.standard_t(4, mean.size)
        model.endog = mean + scale * noise
        scores.append(model.score(params))
    expected = model.fisher(params)
    sizes = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    # a covariance from 4000 draws is known to 1.6 to 2.2% of the root of the product of its variances: four of them
    np.testing.assert_allclose(np.cov(np.array(scores).T) / sizes, expected / sizes, atol=0.09)


def test_draws_scatter_as_the_clustered_covariance_says(planted):
    fit = clustered_by_run(fit_law(UnifiedLaw, planted(3, n_sizes=12)))
    draws = wild_bootstrap(fit, 400, np.random.default_rng(1))
    assert draws.n_failed == 0
    assert draws.names == ("ln_k", "beta", "alpha", "gamma")
    ratio = draws.standard_errors / fit.standard_errors
    # the wild bootstrap doesn't correct for few runs: below CR2, by up to a quarter with 12 runs
    assert np.all((ratio > 0.7) & (ratio < 1.1))
    low, high = draws.intervals()[1]
    assert low < fit.law.beta < high
    assert draws.intervals(0.5)[1, 0] > low


def test_draws_repeat_with_the_generator(planted):
    fit = fit_law(UnifiedLaw, planted(4))
    one, again, other = (wild_bootstrap(fit, 20, np.random.default_rng(seed)).coefficients for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_what_lies_at_a_bound_stays_there(planted):
    exact = planted(5)
    fit = fit_law(SaturatingLaw, exact)
    at_bound = dataclasses.replace(fit, bounds_hit=("ln_ceiling",))
    draws = wild_bootstrap(at_bound, 20, np.random.default_rng(1))
    np.testing.assert_allclose(draws.coefficients[:, -1], fit.law.coefficients[-1])
    assert np.all(draws.coefficients[:, 1].std() > 0)


def test_one_run_is_refused(planted):
    data = planted(6)
    alone = dataclasses.replace(data, runs=np.full(data.tokens.size, "only"))
    with pytest.raises(FitError, match="needs two runs or more; got 1") as caught:
        wild_bootstrap(fit_law(UnifiedLaw, alone), 10, np.random.default_rng(1))
    assert caught.value.status is FitStatus.NOT_IDENTIFIABLE


def test_a_refit_on_documents_is_the_fit_of_their_mean(planted):
    fit = fit_law(UnifiedLaw, planted(7))
    generator = np.random.default_rng(8)
    documents = fit.data.outcome_nats[:, None] * generator.gamma(5.0, 0.2, (fit.n_rows, 6))
    counts = np.array([[1.0, 0, 2], [1, 0, 0], [1, 3, 0], [1, 0, 1], [1, 2, 3], [1, 1, 0]])
    found = document_refits(fit, documents, counts)
    for draw, coefficients in zip(counts.T, found, strict=True):
        again = dataclasses.replace(fit.data, outcome_nats=np.average(documents, axis=1, weights=draw))
        # as above: scoring and statsmodels stop within 1e-6 of each other in standardised coordinates
        np.testing.assert_allclose(coefficients, fit_law(UnifiedLaw, again).law.coefficients, atol=1e-5)


def test_replicates_without_a_maximum_are_missing_and_few_are_refused(planted):
    fit = fit_law(UnifiedLaw, planted(9))
    found = refits(fit, [fit.data.outcome_nats, -fit.data.outcome_nats])
    assert np.isfinite(found[0]).all()
    with pytest.raises(FitError, match="only 8 of 10 replicates reached a maximum"):
        refuse_few_converged(8, 10)
    refuse_few_converged(9, 10)
