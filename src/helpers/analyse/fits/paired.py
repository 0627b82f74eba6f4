"""One law fitted twice to the same checkpoints, rounded in two ways or on two texts: how its exponents differ.

Two intervals that overlap prove no agreement. Both fits share the luck of their training runs, and what is shared
cancels in the difference. So the two are taken as one least-squares problem, with the coefficients of the first and
what the second has more, and the covariance is clustered by run over both (CR2, as in `by_run`). In planted
trials with 8 runs a nominal 95% covered 92 to 94% (`tests/analyse/fits/test_paired.py` repeats some).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.bootstrap import document_refits, refuse_few_converged
from helpers.analyse.fits.by_run import cr2_covariance, fit_by_run, weighted_problem
from helpers.analyse.fits.data import FitData, FitError, FitStatus
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.law import Law

CELL = ["checkpoint_id", "bits"]


def on_the_same_checkpoints(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of two tables whose checkpoint and bits are in both, in the same order.

    Raises FitError where nothing is left, or where a table has a checkpoint twice at one bit width.
    """
    left, right = (table.set_index(CELL, drop=False) for table in (first, second))
    for table in (left, right):
        if table.index.has_duplicates:
            checkpoint, bits = table.index[table.index.duplicated()][0]
            raise FitError(f"checkpoint {checkpoint} is there twice at {bits:g} bits", FitStatus.FAILED)
    both = left.index.intersection(right.index)
    if both.empty:
        raise FitError("the two tables have no checkpoint in common at the same bits", FitStatus.NOT_IDENTIFIABLE)
    return left.loc[both].reset_index(drop=True), right.loc[both].reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class PairedFits:
    """One law fitted to two tables of the same checkpoints, and by how much its exponents differ."""

    first: FitResult
    second: FitResult
    differences: pd.DataFrame  # see `exponent_differences`


def exponent_differences(first: FitResult, second: FitResult, document_se: FloatArray, level: float) -> pd.DataFrame:
    """Return how much larger the exponents of `second` are, one row each: all coefficients but that of the factor.

    Columns: `value`, `run_se` (by training run, over both fits), `document_se` (given, shape (n_coefficients,)),
    `degrees_of_freedom`, the ends `low` and `high` of t intervals, no unit, and `clear`: whether these leave out zero.
    The errors are added in quadrature; the freedom is Bell and McCaffrey's, at most runs - 1. Raises FitError where
    the fits don't have the same law, runs and free coefficients, or where the runs give no interval
    (`by_run.cr2_covariance`).
    """
    if type(first.law) is not type(second.law) or not (first.free.all() and second.free.all()):
        raise FitError("differences need two fits of one law, with no coefficient at a bound", FitStatus.FAILED)
    if set(first.data.runs) != set(second.data.runs):
        odd = ", ".join(sorted(set(first.data.runs) ^ set(second.data.runs))[:3])
        raise FitError(f"differences need the same training runs in both fits; in one only: {odd}", FitStatus.FAILED)
    (slopes, residuals), (more_slopes, more_residuals) = weighted_problem(first), weighted_problem(second)
    n = slopes.shape[1]
    design = np.block([[slopes, np.zeros_like(slopes)], [more_slopes, more_slopes]])
    runs = np.concatenate([first.data.runs, second.data.runs])
    joint = cr2_covariance(design, np.concatenate([residuals, more_residuals]), runs)
    run_se = np.sqrt(np.diag(joint.covariance)[n:])
    freedom = np.minimum(joint.degrees_of_freedom[n:], first.n_runs - 1)
    value = second.law.coefficients - first.law.coefficients
    half = stats.t.ppf(0.5 + level / 2, freedom) * np.hypot(run_se, document_se)
    table = {"value": value, "run_se": run_se, "document_se": document_se, "degrees_of_freedom": freedom}
    table |= {"low": value - half, "high": value + half, "clear": np.abs(value) > half}
    return pd.DataFrame(table, index=first.coefficient_names).iloc[1:]


def document_errors(
    fits: tuple[FitResult, FitResult], tables: tuple[pd.DataFrame, pd.DataFrame], counts: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Return the standard deviation of the differences over draws of documents, shape (n_coefficients,).

    `tables` hold the rows of `fits`, in their order; `counts`, (n_documents, n_draws) each, are those of
    `resampling.document_counts`: the same array twice for one text, independent draws for two. Raises FitError where
    too few refits reach a maximum.
    """
    coefficients = [
        document_refits(fit, np.stack(table["document_qid_nats"].to_numpy()), drawn)
        for fit, table, drawn in zip(fits, tables, counts, strict=True)
    ]
    differences = coefficients[1] - coefficients[0]
    found = differences[np.isfinite(differences).all(axis=1)]
    refuse_few_converged(len(found), len(differences))
    return found.std(axis=0, ddof=1)


def fit_pair(
    law_type: type[Law],
    first: pd.DataFrame,
    second: pd.DataFrame,
    counts: tuple[FloatArray, FloatArray],
    level: float = 0.95,
) -> PairedFits:
    """Fit one law to each of two tables of `degradation`, on the checkpoints and bits they share, and compare.

    The tables differ in the way of rounding or in the text. `counts`: see `document_errors`. Intervals of the fits
    count runs, those of the differences runs and documents. Raises FitError where a law can't be identified from what
    is shared, or where the runs give no interval.
    """
    tables = on_the_same_checkpoints(first, second)
    (fit, trouble), (other_fit, other_trouble) = (
        fit_by_run(law_type, FitData.from_table(table), level) for table in tables
    )
    if trouble or other_trouble:
        raise FitError(trouble or other_trouble, FitStatus.NOT_IDENTIFIABLE)
    document_se = document_errors((fit, other_fit), tables, counts)
    return PairedFits(fit, other_fit, exponent_differences(fit, other_fit, document_se, level))
