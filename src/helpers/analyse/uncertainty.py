"""Intervals and scores that are honest about few training runs.

Rows of one training run share its luck, so what counts is the number of runs. Three ways to see it: a covariance
clustered by run, the fit without each run, and the largest size predicted from the smaller ones.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.fit_records import FitData, FitError, FitResult, FitStatus
from helpers.analyse.fitting import fit_law
from helpers.analyse.laws import FloatArray, LogLinearLaw

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
    """Return trace(B)^2 / trace(B^2) for each coefficient; B is the covariance of its runs' scores, rows independent.

    `grams` Q_g'Q_g and `roots` (I - Q_g'Q_g)^(-1/2) have shape (runs, p, p), `back` = R^(-1) shape (p, p).
    """
    directions = np.einsum("gij,cj->cgi", roots, back)  # (coefficients, runs, p)
    hats = np.einsum("gij,cgj->cgi", grams, directions)
    own = np.einsum("cgi,cgi->cg", directions, hats)
    scores = -np.einsum("cgi,chi->cgh", hats, hats)
    scores[:, np.arange(len(grams)), np.arange(len(grams))] += own
    return np.trace(scores, axis1=1, axis2=2) ** 2 / np.sum(scores**2, axis=(1, 2))


def clustered_by_run(fit: FitResult) -> FitResult:
    """Return `fit` with covariance and intervals by training run: CR2 on the weighted, linearised problem, and t.

    Weights are the fitted variances, taken as known. In planted trials with 3 to 9 runs, t with the Bell-McCaffrey
    degrees of freedom covered 95 to 97% of a nominal 95% for alpha, t(runs - 1) 89 to 93%, and intervals that take
    rows to be independent 44 to 87% (`tests/analyse/test_uncertainty.py` repeats one of them).
    """
    deviations = fit.standard_deviations_nats
    design = fit.law.design(fit.data.tokens, fit.data.n_params, fit.data.bits)
    slopes = design * (fit.fitted_nats / deviations)[:, None]
    by_run = cr2_covariance(slopes, fit.residuals_nats / deviations, fit.data.runs)
    return dataclasses.replace(
        fit,
        covariance=by_run.covariance,
        degrees_of_freedom=np.minimum(by_run.degrees_of_freedom, fit.n_runs - 1),
        method="by training run: CR2, t with Bell-McCaffrey degrees of freedom, at most runs - 1",
    )


def leave_one_run_out(fit: FitResult) -> pd.DataFrame:
    """Return the coefficients without each training run: one row a run, columns `run`, those of the fit, `tau`.

    Where the rest can't identify the law the numbers are missing and `reason` says why; else `reason` is empty.
    """
    rows = []
    for label in np.unique(fit.data.runs):
        try:
            without = fit_law(type(fit.law), fit.data.where(fit.data.runs != label))
        except FitError as error:
            rows.append({"run": label, "reason": str(error)})
            continue
        coefficients = zip(without.parameter_names, without.law.coefficients, strict=True)
        rows.append({"run": label, **dict(coefficients), "tau": without.tau, "reason": ""})
    return pd.DataFrame(rows, columns=["run", *fit.parameter_names, "tau", "reason"])


@dataclass(frozen=True, eq=False)
class HoldOut:
    """How well a fit on the smaller sizes predicts the largest. Arrays have shape (n_rows,), in nats a token."""

    fit: FitResult  # of the smaller sizes, with intervals by run where there can be any
    data: FitData  # the largest size
    predicted_nats: FloatArray
    low_nats: FloatArray  # of the prediction interval
    high_nats: FloatArray
    level: float  # of the prediction interval
    no_interval_because: str  # empty, or why the smaller sizes give no interval by run: then low and high are NaN

    @property
    def clear(self) -> np.ndarray:
        """Return where the measured QiD exceeds three paired errors: only there does ln QiD mean something."""
        return self.data.qid_nats > 3 * self.data.qid_se_nats

    @property
    def log_errors(self) -> FloatArray:
        """Return ln(predicted / measured) of the clear rows, shape (n_clear,)."""
        return np.log(self.predicted_nats[self.clear] / self.data.qid_nats[self.clear])

    @property
    def rest_errors_nats(self) -> FloatArray:
        """Return predicted minus measured of the other rows, in nats a token, shape (n_rows - n_clear,)."""
        return (self.predicted_nats - self.data.qid_nats)[~self.clear]

    @property
    def coverage(self) -> float:
        """Return the share of rows inside their prediction interval; NaN where there is none."""
        if self.no_interval_because:
            return float("nan")
        inside = (self.low_nats <= self.data.qid_nats) & (self.data.qid_nats <= self.high_nats)
        return float(inside.mean())

    def scores(self) -> dict[str, float]:
        """Return the figures of merit; those of an empty group of rows are NaN."""
        return {
            "n_params": float(self.data.n_params[0]),
            "n_rows": self.data.tokens.size,
            "log_bias": _mean(self.log_errors),
            "log_rms": _mean(self.log_errors**2) ** 0.5,
            "excluded_share": float(1 - self.clear.mean()),
            "rest_bias_nats": _mean(self.rest_errors_nats),
            "rest_rms_nats": _mean(self.rest_errors_nats**2) ** 0.5,
            "coverage": self.coverage,
        }


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _prediction_half_width(fit: FitResult, new: FitData, predicted_nats: FloatArray, level: float) -> FloatArray:
    """Return half the prediction interval of each row of a new run, in nats a token, shape (n_rows,)."""
    design = fit.law.design(new.tokens, new.n_params, new.bits)
    relative_variance = np.einsum("ni,ij,nj->n", design, fit.covariance, design) + fit.tau**2
    deviation = np.hypot(new.qid_se_nats, predicted_nats * np.sqrt(relative_variance))
    return stats.t.ppf(0.5 + level / 2, fit.n_runs - 1) * deviation


def hold_out_largest(law_type: type[LogLinearLaw], data: FitData, level: float = 0.90) -> HoldOut:
    """Fit the law without the largest size and predict it, with intervals for a new run at `level`.

    The variance of a prediction is se^2 + tau^2 mu^2 (the row itself) plus mu^2 x'Cx (the coefficients, clustered by
    run), with t(runs - 1); in planted trials with 4 or 6 sizes a nominal 90% covered 95 to 97%. Raises FitError where
    the smaller sizes can't identify the law; where they only give no interval by run, `no_interval_because` says so.
    """
    largest = data.n_params == data.n_params.max()
    fit, trouble = fit_law(law_type, data.where(~largest)), ""
    new = data.where(largest)
    predicted = fit.law.predict(new.tokens, new.n_params, new.bits)
    try:
        fit = clustered_by_run(fit)
        half_width = _prediction_half_width(fit, new, predicted, level)
    except FitError as error:
        trouble, half_width = str(error), np.full(predicted.shape, np.nan)
    return HoldOut(fit, new, predicted, predicted - half_width, predicted + half_width, level, trouble)


def fit_by_run(law_type: type[LogLinearLaw], data: FitData, level: float = 0.95) -> tuple[FitResult, str]:
    """Fit the law, with intervals by training run where the runs allow any; else the reason why there are none.

    Raises FitError where the law itself can't be identified.
    """
    fit = fit_law(law_type, data, level)
    try:
        return clustered_by_run(fit), ""
    except FitError as error:
        return fit, str(error)
