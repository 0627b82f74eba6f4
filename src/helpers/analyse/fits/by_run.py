"""Intervals that are honest about few training runs: a covariance clustered by run, draws from it, fits without a run.

Rows of one training run share its luck, so what counts is the number of runs. The trunk's runs also read the same
batches in the same order, so that what happens at a step, which is known here by its tokens D, happens to all of them.
On simulated tables of the study's design a nominal 95% interval of beta by run alone held the truth in 95% where steps
share nothing, in 86% where they share what the residuals show, and in 75% where that is a bend along D; by run and step
in 95, 93 and 79% (benchmarks/results/coverage_steps.json). So intervals and draws are by run and step; against a bend
of all runs neither helps, and an exponent of tokens is that of its window.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitData, FitError, FitStatus
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.likelihood import tail_weights
from helpers.analyse.fits.result import Draws, FitResult
from helpers.analyse.laws.law import Law

FEWEST_STEPS = 5  # below that few clusters say nothing of how steps scatter
SINGULAR_BELOW = 1e-6  # eigenvalue of I - Q'Q: a run that alone determines a direction of the coefficients


@dataclass(frozen=True, eq=False)
class ClusterCovariance:
    """Covariance of the coefficients, shape (p, p), and the degrees of freedom of each, shape (p,)."""

    covariance: FloatArray
    degrees_of_freedom: FloatArray


def cr2_covariance(design: FloatArray, residuals: FloatArray, runs: np.ndarray) -> ClusterCovariance:
    """Return the bias-reduced cluster covariance (CR2) of least squares, with its degrees of freedom.

    `design` (n, p) and `residuals` (n,) are already divided by each row's standard deviation. Bell and McCaffrey
    2002, Survey Methodology 28(2): residuals of run g are multiplied by (I - H_gg)^(-1/2), which makes the covariance
    unbiased for independent rows; the degrees of freedom are Satterthwaite's, from the variance of that covariance.
    With design = QR everything stays p by p: Q_g' (I - Q_g Q_g')^(-1/2) = (I - Q_g' Q_g)^(-1/2) Q_g'.
    Raises FitError (not identifiable) below two runs, or where one run alone determines some coefficient.
    """
    labels = np.unique(runs)
    if labels.size < 2:
        raise FitError("intervals by training run need two runs or more; got 1", FitStatus.NOT_IDENTIFIABLE)
    orthogonal, triangle = np.linalg.qr(design)
    scores, grams, roots = [], [], []
    for label in labels:
        rows = orthogonal[runs == label]
        gram = rows.T @ rows
        values, vectors = np.linalg.eigh(np.eye(gram.shape[0]) - gram)
        if values[0] < SINGULAR_BELOW:
            message = f"training run '{label}' alone determines a coefficient: no interval by run"
            raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        scores.append(root @ rows.T @ residuals[runs == label])
        grams.append(gram)
        roots.append(root)
    back = np.linalg.inv(triangle)
    covariance = back @ np.array(scores).T @ np.array(scores) @ back.T
    freedom = _satterthwaite(np.array(grams), np.array(roots), back)
    return ClusterCovariance(covariance, freedom)


def _satterthwaite(grams: FloatArray, roots: FloatArray, back: FloatArray) -> FloatArray:
    """Return the degrees of freedom of each coefficient, trace(B)^2 / trace(B^2), shape (p,).

    B is the covariance of its runs' scores, rows taken to be independent.
    `grams` Q_g'Q_g and `roots` (I - Q_g'Q_g)^(-1/2) have shape (runs, p, p), `back` = R^(-1) shape (p, p).
    """
    directions = np.einsum("gij,cj->cgi", roots, back)  # (coefficients, runs, p)
    hats = np.einsum("gij,cgj->cgi", grams, directions)
    own = np.einsum("cgi,cgi->cg", directions, hats)
    scores = -np.einsum("cgi,chi->cgh", hats, hats)
    scores[:, np.arange(len(grams)), np.arange(len(grams))] += own
    return np.trace(scores, axis1=1, axis2=2) ** 2 / np.sum(scores**2, axis=(1, 2))


def weighted_problem(fit: FitResult) -> tuple[FloatArray, FloatArray]:
    """Return the linearised least squares at the estimates: slopes (n_rows, n_free), residuals (n_rows,).

    The slopes are those of ln mu in the free coefficients. Deviations are the fitted ones (with Student's t also the
    weights of its tails), taken as known.
    """
    deviations = fit.standard_deviations_nats
    deviations = deviations / np.sqrt(tail_weights((fit.residuals_nats / deviations) ** 2, fit.tail_freedom))
    return fit.slopes[:, fit.free] * (fit.fitted_nats / deviations)[:, None], fit.residuals_nats / deviations


def clustered_by_run(fit: FitResult) -> FitResult:
    """Return `fit` with covariance and intervals by training run: CR2 on the weighted, linearised problem, and t.

    Linearised and weighted as `weighted_problem` says; coefficients at a bound are taken as known. In planted trials
    with 3 to 9 runs, t with the Bell-McCaffrey degrees of freedom covered 95 to 97% of a nominal 95% for alpha,
    t(runs - 1) 89 to 93%, and intervals that take rows to be independent 44 to 87%
    (`tests/analyse/fits/test_by_run.py` repeats one of them).
    """
    by_run = cr2_covariance(*weighted_problem(fit), fit.data.runs)
    covariance, freedom = np.zeros_like(fit.covariance), np.full(fit.free.size, fit.n_runs - 1.0)
    covariance[np.ix_(fit.free, fit.free)] = by_run.covariance
    freedom[fit.free] = np.minimum(by_run.degrees_of_freedom, fit.n_runs - 1)
    return dataclasses.replace(
        fit,
        covariance=covariance,
        degrees_of_freedom=freedom,
        method="by training run: CR2, t with Bell-McCaffrey degrees of freedom, at most runs - 1",
    )


def added_by_steps(design: FloatArray, residuals: FloatArray, runs: np.ndarray, steps: np.ndarray) -> FloatArray:
    """Return what steps add to the covariance by run, (p, p), never less than nothing.

    Cameron, Gelbach and Miller 2011 (Journal of Business and Economic Statistics 29): the covariance by step less that
    by run and step together, each with CR1's factor for few clusters (statsmodels). With few clusters the difference
    may be negative in some direction; only its positive part is kept, in coordinates in which the columns of `design`
    are orthonormal, so that units don't matter. Arrays as in `by_run.cr2_covariance`; `steps` are labels, (n,).
    """
    orthogonal, triangle = np.linalg.qr(design)
    pair = (orthogonal * residuals[:, None], np.eye(orthogonal.shape[1]))  # scores, and the inverse of the Hessian
    codes = [np.unique(labels, return_inverse=True)[1] for labels in (runs, steps)]
    both, by_run, _ = cov_cluster_2groups(pair, *codes)
    values, vectors = np.linalg.eigh(both - by_run)
    back = np.linalg.inv(triangle) @ vectors * np.sqrt(np.maximum(values, 0.0))
    return back @ back.T


def with_steps(fit: FitResult) -> FitResult:
    """Return a fit by run (`clustered_by_run`) with what shared steps add to its covariance and intervals.

    The freedom of t stays: what limits it is the number of runs. Below `FEWEST_STEPS` steps the fit stays as it is.
    """
    if np.unique(fit.data.tokens).size < FEWEST_STEPS:
        return fit
    covariance = fit.covariance.copy()
    covariance[np.ix_(fit.free, fit.free)] += added_by_steps(*weighted_problem(fit), fit.data.runs, fit.data.tokens)
    method = "by training run and step: CR2 by run, and what steps add; t with Bell-McCaffrey freedom, at most runs - 1"
    return dataclasses.replace(fit, covariance=covariance, method=method)


def fit_by_run(law_type: type[Law], data: FitData, level: float = 0.95) -> tuple[FitResult, str]:
    """Return the fitted law, with intervals by training run and step, or, where the runs allow none, the reason why.

    Raises FitError where the law itself can't be identified.
    """
    fit = fit_law(law_type, data, level)
    try:
        return with_steps(clustered_by_run(fit)), ""
    except FitError as error:
        return fit, str(error)


def by_window(law_type: type[Law], data: FitData, n_windows: int = 3) -> pd.DataFrame:
    """Return the exponents of tokens of a law fitted in each of `n_windows` windows of D with equally many steps.

    One row a window and exponent: `parameter`, `low_tokens` and `high_tokens` (both ends in the window), `estimate`,
    `se`, `low` and `high` of the interval of `fit_by_run`, `n_rows`, `n_runs`, and `reason` where there is no interval
    or no fit; then the numbers that it concerns are missing. An exponent of tokens is a tangent: of a law that bends it
    depends on the window, so that none is complete without one.
    """
    steps, rows = np.unique(data.tokens), []
    exponents = [term.parameter for term in law_type.TERMS if term.variable == "tokens"]
    for window in np.array_split(steps, n_windows):
        part = data.where(np.isin(data.tokens, window))
        ends = {"low_tokens": float(window[0]), "high_tokens": float(window[-1])}
        ends |= {"n_rows": part.tokens.size, "n_runs": np.unique(part.runs).size}
        try:
            fit, reason = fit_by_run(law_type, part)
        except FitError as error:
            rows += [{"parameter": name} | ends | {"reason": str(error)} for name in exponents]
            continue
        for name in exponents:
            one = fit.estimate(name)
            found = {"estimate": one.value, "se": one.standard_error, "low": one.low, "high": one.high}
            kept = {"estimate": one.value} if reason else found
            rows.append({"parameter": name} | ends | kept | {"reason": reason})
    columns = ["parameter", "low_tokens", "high_tokens", "estimate", "se", "low", "high", "n_rows", "n_runs", "reason"]
    return pd.DataFrame(rows, columns=columns)


def draws_by_run(fit: FitResult, n_draws: int, generator: np.random.Generator) -> Draws:
    """Return `n_draws` draws of the coefficients and tau of a fit by run: multivariate t, runs - 1 degrees of freedom.

    The covariance is that of `clustered_by_run`. One chi-square per draw stretches the coefficients' distance from the
    estimate and tau, so that ln QiD of a new run, normal around each draw, is t around the estimate. Coefficients at
    a bound stay there.

    On simulated tables of the study's design, with 9 runs, such intervals of a nominal 90% held the law in 83 to 92%,
    inside the rows as for 70B parameters at 10T tokens (those of the wild bootstrap in 71 to 83%). A new run's QiD they
    held in 88 to 95% where runs differ in level alone or the place is inside; where each run has an exponent of D of
    its own too, as the residuals suggest, in 73 to 75% ten times beyond the rows and in 49 to 58% at 70B: tau knows the
    spread inside only (benchmarks/results/coverage.json).
    """
    of_stretch, of_place = generator.spawn(2)  # so that fewer draws are the first of more
    freedom = fit.n_runs - 1
    stretch = np.sqrt(freedom / of_stretch.chisquare(freedom, n_draws))
    # the symmetric root is there, and the same on every machine, also where few runs make the covariance singular
    values, vectors = np.linalg.eigh(fit.covariance[np.ix_(fit.free, fit.free)])
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    normal = of_place.standard_normal((n_draws, root.shape[0]))
    coefficients = np.tile(fit.law.coefficients, (n_draws, 1))
    coefficients[:, fit.free] += stretch[:, None] * (normal @ root)
    return Draws(fit.coefficient_names, coefficients, stretch * fit.tau)


def leave_one_run_out(fit: FitResult) -> pd.DataFrame:
    """Return the coefficients without each training run: one row per run, columns `run_label`, those of the fit, `tau`.

    Where the rest can't identify the law the numbers are missing and `reason` says why; else `reason` is empty.
    """
    rows = []
    for label in np.unique(fit.data.runs):
        try:
            without = fit_law(type(fit.law), fit.data.where(fit.data.runs != label))
        except FitError as error:
            rows.append({"run_label": label, "reason": str(error)})
            continue
        coefficients = zip(without.coefficient_names, without.law.coefficients, strict=True)
        rows.append({"run_label": label, **dict(coefficients), "tau": without.tau, "reason": ""})
    return pd.DataFrame(rows, columns=["run_label", *fit.coefficient_names, "tau", "reason"])
