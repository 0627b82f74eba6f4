"""Fit a law to QiD on its own scale: values at or below zero stay, and no bit width drowns the others.

The model (arrays in, a `FitResult` out):

    QiD_i ~ mu_i + sqrt(se_i^2 + tau^2 mu_i^2) * e_i,    ln mu_i = what the law says of row i

with e normal, or Student's t where some rows may lie far off. se is the paired error of each row; tau is the relative
spread that remains (run to run, and lack of fit of the law), estimated with the coefficients by maximum likelihood.
With tau = 0, pure inverse-variance weights, 2-bit rows would hold nearly all the information and the exponents would
be theirs alone.

The law may be any function of its coefficients: a fit needs ln mu and its slopes. Slopes are centred and scaled before
the optimiser sees them (for k that means QiD at the middle of the data instead of at one token and one parameter),
and the result is carried back to the paper's terms. A log-linear law has the same slopes everywhere; for the others
the scaling is that of the start, and once more that of the maximum.

The intervals of `fit_law` take rows to be independent. Rows of one training run aren't: see `by_run`.
"""

from dataclasses import dataclass

import numpy as np
from statsmodels.base.model import GenericLikelihoodModelResults

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitData, FitError, FitStatus, within_floats
from helpers.analyse.fits.likelihood import RelativeSpreadModel
from helpers.analyse.fits.result import FitResult, information
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.variables import VARIABLES, Variables

FEW_RUNS_BELOW = 10
CONDITION_LIMIT = 100.0  # of centred, unit-length slopes; two columns reach it at a correlation of 0.9998
TAU_BOUNDS = (1e-3, 10.0)
TAU_STARTS = (0.05, 0.5)
EFFECT_BOUND = 15.0  # change of ln QiD over one standard deviation of a column


@dataclass(frozen=True, eq=False)
class Standardised:
    """Coordinates in which slopes are centred and of unit deviation: coefficients = `to_coefficients` @ coordinates."""

    to_coefficients: FloatArray
    scale: FloatArray  # of all coefficients but the first, shape (n_coefficients - 1,)


def standardise(slopes: FloatArray) -> Standardised:
    """Centre and scale the slopes of every coefficient but the first, whose own are about one."""
    centre, scale = slopes[:, 1:].mean(axis=0), slopes[:, 1:].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    to_coefficients = np.diag(np.append(1.0, 1.0 / scale))
    to_coefficients[0, 1:] = -centre / scale
    return Standardised(to_coefficients, scale)


def refuse_constant_variables(law_type: type[Law], x: Variables) -> None:
    """Raise FitError where a term of the law has one value only, or a variable that is held has several."""
    for name in law_type.HELD:
        if np.ptp(x[name]) > 0:
            values = ", ".join(f"{value:g}" for value in np.unique(x[name])[:5])
            raise FitError(
                f"{law_type.__name__} is for one {VARIABLES[name]}; got {values}", FitStatus.NOT_IDENTIFIABLE
            )
    for name, column in zip(law_type.term_parameters(), law_type.columns(x)[:, 1:].T, strict=True):
        if np.ptp(column) == 0:
            read = dict.fromkeys(term.variable for term in law_type.TERMS if term.parameter == name)
            said = " over ".join(VARIABLES[variable] for variable in read)
            raise FitError(
                f"{name} can't be identified: every row has the same {said}"
                if all(np.ptp(x[variable]) == 0 for variable in read) or len(read) > 1
                else f"{name} can't be identified: no row has its {said}",
                FitStatus.NOT_IDENTIFIABLE,
            )


def condition_number(names: tuple[str, ...], slopes: FloatArray, weights: FloatArray) -> float:
    """Return the condition number of the slopes, the first column taken out of the others, under `weights`.

    Columns have unit length. Raises FitError above CONDITION_LIMIT, naming the coefficients that the rows (as
    weighted) can't tell apart: those with large entries in the smallest singular vector (Belsley, Kuh and Welsch 1980,
    chapter 3).
    """
    weighted = np.sqrt(weights)[:, None] * slopes
    first = weighted[:, 0] / np.linalg.norm(weighted[:, 0])
    rest = weighted[:, 1:] - np.outer(first, first @ weighted[:, 1:])
    lengths = np.linalg.norm(rest, axis=0)
    _, singular, rows = np.linalg.svd(rest / np.where(lengths > 0, lengths, 1.0), full_matrices=False)
    condition = np.inf if singular[-1] == 0 else singular[0] / singular[-1]
    if condition > CONDITION_LIMIT:
        named = [names[1:][index] for index in np.flatnonzero(np.abs(rows[-1]) > 0.3)]
        message = f"{' and '.join(named)} can't be told apart: condition number {condition:.3g} > {CONDITION_LIMIT:g}"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    return float(condition)


def _starts(law_type: type[Law], data: FitData, x: Variables) -> list[FloatArray]:
    """Return starting coefficients: the law's own beyond its terms, the terms by least squares of ln QiD, or flat."""
    names = law_type.coefficient_names()
    clear, needed = data.outcome_nats > data.outcome_se_nats, len(names) + 1
    if clear.sum() < needed:
        message = f"only {clear.sum()} rows have a QiD above its error; the law needs {needed} or more"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    n_terms, starts = 1 + len(law_type.term_parameters()), []
    for more in law_type.starts(x):
        start = np.array([more.get(name, 0.0) for name in names])
        flat = start.copy()
        flat[0] = np.log(data.outcome_nats[clear].mean())
        value, slopes = law_type.evaluate(start, x)
        usable = clear & np.isfinite(value)
        start[:n_terms] += np.linalg.lstsq(slopes[usable, :n_terms], np.log(data.outcome_nats[usable]) - value[usable])[
            0
        ]
        starts += [start, flat]
    return starts


@dataclass(frozen=True, eq=False)
class Maximum:
    """The place where the likelihood is largest, or one where it is larger than around."""

    coefficients: FloatArray
    log_tau: float
    log_likelihood: float
    at_bound: np.ndarray  # of the coefficients and ln tau


def model_in(
    scaled: Standardised, law_type: type[Law], data: FitData, x: Variables, tail_freedom: float
) -> RelativeSpreadModel:
    """Return the likelihood of the rows as a function of the coordinates `scaled` and ln tau."""

    def mean(coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, slopes = law_type.evaluate(scaled.to_coefficients @ coordinates, x)
        return value, slopes @ scaled.to_coefficients

    return RelativeSpreadModel(data.outcome_nats, mean, len(scaled.to_coefficients), data.outcome_se_nats, tail_freedom)


def scaled_model(
    law_type: type[Law], data: FitData, x: Variables, coefficients: FloatArray, tail_freedom: float
) -> tuple[RelativeSpreadModel, Standardised]:
    """Return the likelihood in coordinates that are standardised at `coefficients`, and these coordinates."""
    scaled = standardise(law_type.evaluate(coefficients, x)[1])
    return model_in(scaled, law_type, data, x, tail_freedom), scaled


def log_likelihood(law: Law, tau: float, data: FitData) -> float:
    """Return the log-likelihood of the rows under a law as it is and a relative spread `tau`, errors normal.

    Raises FitError where the rows lack what the law needs.
    """
    n_coefficients = len(law.coefficient_names())
    own = Standardised(np.eye(n_coefficients), np.ones(n_coefficients - 1))
    model = model_in(own, type(law), data, data.variables(type(law)), np.inf)
    return float(model.loglike(np.append(law.coefficients, np.log(tau))))


def ends_of_search(
    law_type: type[Law], x: Variables, scaled: Standardised, begin: FloatArray, reach: float = EFFECT_BOUND
) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest coordinates and ln tau of a search from `begin`, each of its shape.

    They are the law's own bounds, TAU_BOUNDS, and `reach` to both sides of what the law leaves free.
    """
    low, high = begin - reach, begin + reach
    low[-1], high[-1] = np.log(TAU_BOUNDS)
    for name, ends in law_type.bounds(x).items():
        place = law_type.coefficient_names().index(name)
        low[place], high[place] = np.array(ends) * scaled.scale[place - 1]
    return low, high


def _climb(law_type: type[Law], data: FitData, x: Variables, start: FloatArray, tail_freedom: float) -> Maximum | None:
    """Return the maximum that L-BFGS reaches from `start` (coefficients, ln tau); None where it doesn't converge."""
    model, scaled = scaled_model(law_type, data, x, start[:-1], tail_freedom)
    to = scaled.to_coefficients
    begin = np.append(np.linalg.solve(to, start[:-1]), start[-1])
    low, high = ends_of_search(law_type, x, scaled, begin)
    result: GenericLikelihoodModelResults = model.fit(
        np.clip(begin, low, high),
        method="lbfgs",
        bounds=list(zip(low, high, strict=True)),
        pgtol=1e-8,
        factr=10.0,
        maxiter=2000,
        disp=0,
        skip_hessian=True,
        warn_convergence=False,
    )
    if not result.mle_retvals["converged"]:
        return None
    at_bound = np.isclose(result.params, low) | np.isclose(result.params, high)
    return Maximum(to @ result.params[:-1], float(result.params[-1]), float(result.llf), at_bound)


def _maximise(law_type: type[Law], data: FitData, x: Variables, tail_freedom: float) -> Maximum:
    """Return the best of the starts' maxima, climbed once more on its own scaling."""
    starts = [np.append(one, np.log(tau)) for one in _starts(law_type, data, x) for tau in TAU_STARTS]
    maxima = [one for start in starts if (one := _climb(law_type, data, x, start, tail_freedom)) is not None]
    if not maxima:
        raise FitError(f"none of {len(starts)} starts reached a maximum of the likelihood", FitStatus.FAILED)
    best = max(maxima, key=lambda one: one.log_likelihood)
    again = _climb(law_type, data, x, np.append(best.coefficients, best.log_tau), tail_freedom)
    return best if again is None or again.log_likelihood < best.log_likelihood else again


@within_floats()
def fit_law(law_type: type[Law], data: FitData, level: float = 0.95, tail_freedom: float = np.inf) -> FitResult:
    """Fit a law to `data`; `level` is that of the intervals, `tail_freedom` that of Student-t errors.

    Raises FitError where there is no usable estimate: no row, a variable with one value, parameters that can't be told
    apart, too few rows above their error, no maximum. Soft trouble is the result's `status`.
    """
    x, names = data.variables(law_type), law_type.coefficient_names()
    if law_type.columns(x).size == 0:
        raise FitError("no row to fit", FitStatus.NOT_IDENTIFIABLE)
    refuse_constant_variables(law_type, x)
    columns = law_type.columns(x)
    condition_number(names[: columns.shape[1]], columns, np.ones(len(columns)))
    return fit_at(law_type, data, _maximise(law_type, data, x, tail_freedom), level, tail_freedom)


def fit_at(law_type: type[Law], data: FitData, maximum: Maximum, level: float, tail_freedom: float) -> FitResult:
    """Return the result of a fit whose `maximum` is known, with intervals that take rows to be independent.

    Raises FitError where the rows, as weighted there, can't tell parameters apart.
    """
    x = data.variables(law_type)
    names = law_type.coefficient_names()
    bounds_hit = tuple(name for name, hit in zip((*names, "ln_tau"), maximum.at_bound, strict=True) if hit)
    few_runs = np.unique(data.runs).size < FEW_RUNS_BELOW
    log_mean, slopes = law_type.evaluate(maximum.coefficients, x)
    tau, free = float(np.exp(maximum.log_tau)), ~maximum.at_bound[:-1]
    weights = information(np.exp(log_mean), data.outcome_se_nats, tau)
    weights *= 1.0 if np.isinf(tail_freedom) else (tail_freedom + 1) / (tail_freedom + 3)  # Fisher's, for Student's t
    condition = condition_number(tuple(np.array(names)[free]), slopes[:, free], weights)
    covariance = np.zeros((len(names), len(names)))
    covariance[np.ix_(free, free)] = np.linalg.inv(slopes[:, free].T @ (weights[:, None] * slopes[:, free]))
    return FitResult(
        law=law_type.from_coefficients(maximum.coefficients, "fitted to this project's measurements", data.validity),
        data=data,
        covariance=covariance,
        degrees_of_freedom=np.full(len(names), np.inf),
        level=level,
        method="model-based: rows taken to be independent",
        tau=tau,
        log_likelihood=maximum.log_likelihood,
        condition_number=condition,
        tail_freedom=tail_freedom,
        bounds_hit=bounds_hit,
        status=FitStatus.BOUND_HIT if bounds_hit else FitStatus.FEW_RUNS if few_runs else FitStatus.CONVERGED,
    )
