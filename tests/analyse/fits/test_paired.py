"""Differences of exponents between two fits of the same training runs."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.bootstrap import wild_bootstrap
from helpers.analyse.fits.by_run import clustered_by_run, cr2_covariance, weighted_problem
from helpers.analyse.fits.data import FitData, FitError, FitStatus
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.paired import document_errors, exponent_differences, fit_pair, on_the_same_checkpoints
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.rows.resampling import document_counts

EXPONENTS = ["beta", "alpha", "gamma"]
SHIFT = np.array([0.05, -0.08, 0.1])  # what the second law has more of each
NO_DOCUMENTS = np.zeros(4)


def plant_pair(truth, seed: int, n_runs: int = 8) -> tuple[FitData, FitData]:
    """Rows of the same runs under two laws. A run strays in level and in its slope in D: most of it in both alike."""
    generator = np.random.default_rng(seed)
    sizes = np.geomspace(1.5e5, 1.5e7, n_runs)
    n_params, tokens, bits = (x.ravel() for x in np.meshgrid(sizes, np.geomspace(6e7, 1e9, 7), [2.0, 3.0, 4.0]))
    run = np.searchsorted(sizes, n_params)
    along = np.log(tokens) - np.log(tokens).mean()
    shared = generator.normal(0, 0.15, n_runs)[run] + generator.normal(0, 0.06, n_runs)[run] * along
    data = []
    for shift in (np.zeros(3), SHIFT):
        changed = {name: getattr(truth, name) + more for name, more in zip(EXPONENTS, shift, strict=True)}
        law = dataclasses.replace(truth, **changed)
        # the same QiD in the middle, as of two ways of rounding the same model
        mean = law.predict(tokens, n_params, bits) * truth.predict(2.5e8, 1.5e6, 3) / law.predict(2.5e8, 1.5e6, 3)
        own = generator.normal(0, 0.02, n_runs)[run] + generator.normal(0, 0.01, n_runs)[run] * along
        qid = mean * np.exp(shared + own + generator.normal(0, 0.03, mean.size))
        data.append(FitData(tokens, n_params, bits, qid, 0.01 * mean + 0.001, np.array([f"run {i}" for i in run])))
    return tuple(data)


@pytest.fixture
def fitted(truth):
    return tuple(clustered_by_run(fit_law(UnifiedLaw, data)) for data in plant_pair(truth, 1))


@pytest.fixture
def ways(table):
    """GPTQ and RTN on the same checkpoints: the same law, other noise."""
    return tuple(table[table["method"] == method] for method in ("gptq", "rtn"))


def test_a_table_does_not_differ_from_itself(ways):
    counts = document_counts(64, np.random.default_rng(1), n_draws=20)
    pair = fit_pair(UnifiedLaw, ways[0], ways[0], (counts, counts))
    np.testing.assert_allclose(pair.differences[["value", "run_se", "document_se", "low", "high"]], 0, atol=1e-9)
    assert pair.differences.index.to_list() == EXPONENTS


def test_the_other_way_round_the_signs_change(fitted):
    there = exponent_differences(*fitted, NO_DOCUMENTS, 0.9)
    back = exponent_differences(*fitted[::-1], NO_DOCUMENTS, 0.9)
    np.testing.assert_allclose(back["value"], -there["value"])
    np.testing.assert_allclose(back["low"], -there["high"], rtol=1e-9)


def test_the_error_is_that_of_both_fits_in_one_covariance(fitted):
    problems = [weighted_problem(fit) for fit in fitted]
    zeros = np.zeros_like(problems[0][0])
    design = np.block([[problems[0][0], zeros], [zeros, problems[1][0]]])
    residuals = np.concatenate([residuals for _, residuals in problems])
    joint = cr2_covariance(design, residuals, np.tile(fitted[0].data.runs, 2)).covariance
    # each fit alone: its own covariance stands in the joint one's corner
    np.testing.assert_allclose(joint[:4, :4], fitted[0].covariance, rtol=1e-9)
    subtract = np.hstack([-np.eye(4), np.eye(4)])
    expected = np.sqrt(np.diag(subtract @ joint @ subtract.T))[1:]
    found = exponent_differences(*fitted, NO_DOCUMENTS, 0.95)
    np.testing.assert_allclose(found["run_se"], expected, rtol=1e-9)


def test_units_do_not_matter(truth):
    data = plant_pair(truth, 2)
    in_units = [dataclasses.replace(one, tokens=one.tokens / 1e6, n_params=one.n_params / 1e3) for one in data]
    one, other = (
        exponent_differences(*(fit_law(UnifiedLaw, d) for d in pair), NO_DOCUMENTS, 0.95) for pair in (data, in_units)
    )
    # the optimiser stops within 1e-6 of the maximum in standardised coordinates
    np.testing.assert_allclose(one.drop(columns="clear"), other.drop(columns="clear"), rtol=1e-4, atol=1e-6)


def test_runs_drawn_jointly_scatter_as_the_intervals_say(fitted):
    # one generator state for both fits: every replicate flips a run in both alike
    draws = [wild_bootstrap(fit, 400, np.random.default_rng(5)) for fit in fitted]
    assert [one.n_failed for one in draws] == [0, 0]
    scatter = (draws[1].coefficients - draws[0].coefficients).std(axis=0, ddof=1)[1:]
    ratio = scatter / exponent_differences(*fitted, NO_DOCUMENTS, 0.95)["run_se"]
    # the wild bootstrap doesn't correct for few runs (see test_bootstrap): with 8, up to 40% below CR2
    assert np.all((ratio > 0.6) & (ratio < 1.1))
    apart = np.hypot(*(one.standard_errors for one in draws))[1:]
    assert scatter[0] < 0.5 * apart[0]  # runs drawn apart would not let the shared luck cancel


def test_intervals_of_differences_cover_and_those_of_two_fits_apart_are_too_wide(truth):
    trials, covered, widths = 100, [], []
    for seed in range(trials):
        fits = [clustered_by_run(fit_law(UnifiedLaw, data)) for data in plant_pair(truth, 100 + seed)]
        found = exponent_differences(*fits, NO_DOCUMENTS, 0.95)
        covered.append((found["low"] < SHIFT) & (found["high"] > SHIFT))
        widths.append(np.hypot(*(fit.standard_errors[1:] for fit in fits)) / found["run_se"])
    # 300 differences at 95% are known to 1.3%: three of that
    assert np.mean(covered) > 0.95 - 0.038
    assert np.median(widths, axis=0)[0] > 2  # beta, whose luck the runs share


def test_documents_that_move_all_rows_alike_leave_the_exponents(ways):
    shares = np.random.default_rng(3).gamma(2.0, 1.0, 64)
    shares /= shares.mean()
    alike = tuple(
        one.assign(document_qid_nats=[qid * shares for qid in one["qid_nats"]], qid_se_nats=one["qid_nats"] / 100)
        for one in ways
    )
    fits = tuple(fit_law(UnifiedLaw, FitData.from_table(one)) for one in alike)
    drawn = document_counts(64, np.random.default_rng(4), n_draws=30)
    moved = np.log(shares @ drawn / drawn.sum(axis=0))
    assert moved.std() > 0.05  # the documents do move QiD
    # all rows have the same relative error, and so the same weight, but for the little that they stray from the law
    assert document_errors(fits, alike, (drawn, drawn))[1:].max() < 1e-3


def test_documents_of_two_texts_are_drawn_apart(ways):
    one, other = (document_counts(64, np.random.default_rng(seed), n_draws=60) for seed in (1, 2))
    fit = fit_law(UnifiedLaw, FitData.from_table(ways[0]))
    same = document_errors((fit, fit), (ways[0], ways[0]), (one, one))
    apart = document_errors((fit, fit), (ways[0], ways[0]), (one, other))
    np.testing.assert_allclose(same, 0, atol=1e-9)
    assert apart.min() > 0


def test_rows_are_paired_by_checkpoint_and_bits_whatever_their_order(ways):
    gptq, rtn = ways
    short = rtn[rtn["step"] > 50].sample(frac=1, random_state=1)
    one, other = on_the_same_checkpoints(gptq, short)
    assert len(one) == len(short) < len(gptq)
    pd.testing.assert_frame_equal(one[["checkpoint_id", "bits"]], other[["checkpoint_id", "bits"]])
    assert set(other["method"]) == {"rtn"}


def test_what_can_not_be_compared_is_refused(ways, fitted):
    gptq, rtn = ways
    counts = (document_counts(64, np.random.default_rng(1), n_draws=5),) * 2
    with pytest.raises(FitError, match="is there twice at 2 bits"):
        fit_pair(UnifiedLaw, pd.concat([gptq, gptq]), rtn, counts)
    with pytest.raises(FitError, match="no checkpoint in common at the same bits"):
        fit_pair(UnifiedLaw, gptq[gptq["bits"] == 2], rtn[rtn["bits"] == 3], counts)
    one_size = rtn[rtn["model"] == "tadpole-150000"]
    with pytest.raises(FitError, match="alpha can't be identified: every row has the same size N") as caught:
        fit_pair(UnifiedLaw, gptq, one_size, counts)
    assert caught.value.status is FitStatus.NOT_IDENTIFIABLE
    two_sizes = rtn[rtn["model"] != "tadpole-150000"]
    with pytest.raises(FitError, match="alone determines a coefficient"):
        fit_pair(UnifiedLaw, gptq, two_sizes, counts)
    first = fitted[0]
    fewer = fit_law(UnifiedLaw, first.data.where(first.data.runs != "run 3"))
    with pytest.raises(FitError, match="in one only: run 3"):
        exponent_differences(first, fewer, NO_DOCUMENTS, 0.95)
    at_2 = fit_law(OneBitWidthLaw, first.data.where(first.data.bits == 2))
    with pytest.raises(FitError, match="two fits of one law"):
        exponent_differences(first, at_2, NO_DOCUMENTS, 0.95)


def test_clear_differences_are_those_whose_interval_leaves_out_zero(ways):
    counts = (document_counts(64, np.random.default_rng(1), n_draws=20),) * 2
    steeper = (ways[1]["tokens_seen"] / 1e8) ** 0.4
    tilted = ways[1].assign(**{name: ways[1][name] * steeper for name in ("qid_nats", "document_qid_nats")})
    pair = fit_pair(UnifiedLaw, ways[0], tilted, counts)
    assert pair.differences["clear"].to_dict() == {"beta": True, "alpha": False, "gamma": False}
    assert pair.differences.loc["beta", "value"] == pytest.approx(0.4, abs=0.05)
