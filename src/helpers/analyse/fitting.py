"""Fit a law to QiD on its own scale: values at or below zero stay, and no bit width drowns the others.

The model (arrays in, a `FitResult` out):

    QiD_i ~ Normal(mu_i, se_i^2 + tau^2 mu_i^2),    ln mu_i = design_i @ coefficients

se is the paired error of each row; tau is the relative spread that remains (run to run, and lack of fit of the law),
estimated with the coefficients by maximum likelihood. With tau = 0, pure inverse-variance weights, 2-bit rows would
hold nearly all the information and the exponents would be theirs alone.

The columns of the design are centred and scaled before the optimiser sees them (for k that means QiD at the middle of
the data instead of at one token and one parameter), and the result is carried back to the paper's terms.

The intervals of `fit_law` take rows to be independent. Rows of one training run aren't: see `uncertainty`.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import statsmodels.api as sm
from statsmodels.base.model import GenericLikelihoodModel, GenericLikelihoodModelResults

from helpers.analyse.fit_records import FitData, FitError, FitResult, FitStatus, information
from helpers.analyse.laws import FloatArray, LogLinearLaw

FEW_RUNS_BELOW = 10
CONDITION_LIMIT = 100.0  # of centred, unit-length columns; two columns reach it at a correlation of 0.9998
TAU_BOUNDS = (1e-3, 10.0)
TAU_STARTS = (0.05, 0.5)
EFFECT_BOUND = 15.0  # change of ln QiD over one standard deviation of a column


class RelativeSpreadModel(GenericLikelihoodModel):
    """Normal likelihood of QiD with mean exp(design @ coefficients) and variance se^2 + tau^2 mean^2.

    Parameters are the coefficients followed by ln tau. `design` has shape (n_rows, n_coefficients).
    """

    def __init__(self, qid_nats: FloatArray, design: FloatArray, qid_se_nats: FloatArray) -> None:
        self.qid_se_nats = qid_se_nats
        super().__init__(qid_nats, design, extra_params_names=["ln_tau"])

    def _moments(self, params: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return residual, variance of the spread (tau^2 mu^2) and whole variance, each of shape (n_rows,)."""
        mean = np.exp(self.exog @ params[:-1])
        spread = np.exp(2 * params[-1]) * mean**2
        return self.endog - mean, spread, self.qid_se_nats**2 + spread

    def loglikeobs(self, params: FloatArray) -> FloatArray:
        """Return the log-likelihood of each row, shape (n_rows,)."""
        residual, _, variance = self._moments(params)
        return -0.5 * (np.log(2 * np.pi * variance) + residual**2 / variance)

    def score(self, params: FloatArray) -> FloatArray:
        """Return the gradient of the log-likelihood, shape (n_coefficients + 1,)."""
        residual, spread, variance = self._moments(params)
        by_ln_tau = spread * (residual**2 / variance - 1) / variance
        by_ln_mean = residual * (self.endog - residual) / variance + by_ln_tau
        return np.append(self.exog.T @ by_ln_mean, by_ln_tau.sum())


@dataclass(frozen=True, eq=False)
class Standardised:
    """A design with centred, scaled columns, shape (n_rows, n_coefficients), and the way back.

    `to_coefficients` @ (coefficients of `columns`) gives the coefficients of the original design.
    """

    columns: FloatArray
    to_coefficients: FloatArray


def standardise(design: FloatArray) -> Standardised:
    """Centre and scale every column but the first, which is all ones."""
    centre, scale = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0)
    columns = np.column_stack([design[:, 0], (design[:, 1:] - centre) / scale])
    to_coefficients = np.diag(np.append(1.0, 1.0 / scale))
    to_coefficients[0, 1:] = -centre / scale
    return Standardised(columns, to_coefficients)


def refuse_constant_columns(law_type: type[LogLinearLaw], design: FloatArray) -> None:
    """Raise FitError where a variable of the law has one value only, naming variable and parameter."""
    for parameter, variable, column in zip(law_type.PARAMETERS[1:], law_type.VARIABLES, design.T[1:], strict=True):
        if np.ptp(column) == 0:
            message = f"{parameter} can't be identified: every row has the same {variable}"
            raise FitError(message, FitStatus.NOT_IDENTIFIABLE)


def condition_number(law_type: type[LogLinearLaw], design: FloatArray, weights: FloatArray) -> float:
    """Return the condition number of the design's exponent columns, centred under `weights` and of unit length.

    Raises FitError above CONDITION_LIMIT, naming the parameters that the rows (as weighted) can't tell apart: those
    with large entries in the smallest singular vector (Belsley, Kuh and Welsch 1980, chapter 3).
    """
    centred = design[:, 1:] - np.average(design[:, 1:], axis=0, weights=weights)
    weighted = np.sqrt(weights)[:, None] * centred
    _, singular, rows = np.linalg.svd(weighted / np.linalg.norm(weighted, axis=0), full_matrices=False)
    condition = np.inf if singular[-1] == 0 else singular[0] / singular[-1]
    if condition > CONDITION_LIMIT:
        names = [law_type.PARAMETERS[1:][index] for index in np.flatnonzero(np.abs(rows[-1]) > 0.3)]
        message = f"{' and '.join(names)} can't be told apart: condition number {condition:.3g} > {CONDITION_LIMIT:g}"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    return float(condition)


def _starts(data: FitData, columns: FloatArray) -> list[FloatArray]:
    """Return starting parameters: least squares of ln QiD on the clear rows, and no effects; times two taus."""
    clear = data.qid_nats > data.qid_se_nats
    needed = columns.shape[1] + 1
    if clear.sum() < needed:
        message = f"only {clear.sum()} rows have a QiD above its error; the law needs {needed} or more"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    regression = sm.OLS(np.log(data.qid_nats[clear]), columns[clear]).fit().params
    flat = np.append(np.log(data.qid_nats[clear].mean()), np.zeros(columns.shape[1] - 1))
    return [np.append(start, np.log(tau)) for start, tau in product((regression, flat), TAU_STARTS)]


def _maximise(data: FitData, columns: FloatArray) -> tuple[GenericLikelihoodModelResults, FloatArray]:
    """Return the best of the starts' maxima, and a mask of the parameters that lie at their bound."""
    model = RelativeSpreadModel(data.qid_nats, columns, data.qid_se_nats)
    starts = _starts(data, columns)
    effect = np.full(columns.shape[1] - 1, EFFECT_BOUND)
    low = np.concatenate([[starts[0][0] - EFFECT_BOUND], -effect, [np.log(TAU_BOUNDS[0])]])
    high = np.concatenate([[starts[0][0] + EFFECT_BOUND], effect, [np.log(TAU_BOUNDS[1])]])
    found = [
        model.fit(
            np.clip(start, low, high),
            method="lbfgs",
            bounds=list(zip(low, high, strict=True)),
            pgtol=1e-8,
            factr=10.0,
            maxiter=2000,
            disp=0,
            skip_hessian=True,
            warn_convergence=False,
        )
        for start in starts
    ]
    converged = [one for one in found if one.mle_retvals["converged"]]
    if not converged:
        raise FitError(f"none of {len(starts)} starts reached a maximum of the likelihood", FitStatus.FAILED)
    best = max(converged, key=lambda one: one.llf)
    return best, np.isclose(best.params, low) | np.isclose(best.params, high)


def fit_law(law_type: type[LogLinearLaw], data: FitData, level: float = 0.95) -> FitResult:
    """Fit `UnifiedLaw` or `OneBitWidthLaw` to `data`; `level` is that of the intervals.

    Raises FitError where there is no usable estimate: a variable with one value, parameters that can't be told
    apart, too few rows above their error, no maximum. Soft trouble is the result's `status`.
    """
    design = law_type.design(data.tokens, data.n_params, data.bits)
    refuse_constant_columns(law_type, design)
    condition_number(law_type, design, np.ones(len(design)))
    standardised = standardise(design)
    best, at_bound = _maximise(data, standardised.columns)
    coefficients = standardised.to_coefficients @ best.params[:-1]
    tau = float(np.exp(best.params[-1]))
    weights = information(np.exp(design @ coefficients), data.qid_se_nats, tau)
    names = ("ln_k", *law_type.PARAMETERS[1:], "ln_tau")
    bounds_hit = tuple(name for name, hit in zip(names, at_bound, strict=True) if hit)
    few_runs = np.unique(data.runs).size < FEW_RUNS_BELOW
    return FitResult(
        law=law_type.from_coefficients(coefficients, "fitted to this project's measurements", data.validity),
        data=data,
        covariance=np.linalg.inv(design.T @ (weights[:, None] * design)),
        degrees_of_freedom=np.full(design.shape[1], np.inf),
        level=level,
        method="model-based, normal: rows taken to be independent",
        tau=tau,
        log_likelihood=float(best.llf),
        condition_number=condition_number(law_type, design, weights),
        bounds_hit=bounds_hit,
        status=FitStatus.BOUND_HIT if bounds_hit else FitStatus.FEW_RUNS if few_runs else FitStatus.CONVERGED,
    )
