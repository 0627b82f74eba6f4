"""One law over the bit widths, or two: what is gained by a break, and what one side of it says of the other.

All forms are fitted to ln KL by least squares. *One law* is k D^beta / N^alpha times (2^P - 1)^-gamma, with the steps
of a grid of P bits (`questions.quadratic_rule` says why, and gamma = 2). *Two laws* give the narrowest width a factor
and exponents of its own, *a law a width* shares nothing. *The next term* is the series that gamma = 2 begins: with the
error's square s = (2^P - 1)^-2 it is k D^beta / N^alpha times s (1 + c s). It has as many constants as one law.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL, Outcome
from helpers.table.errors import AnalysisError

ONE, NEXT, TWO, EACH = FORMS = ("one law", "the next term", "two laws", "a law a width")
LARGEST_TERM = 100.0  # of the c that are searched: at 2 bits the next term would be eleven times the first


def squared_steps(bits: pd.Series) -> FloatArray:
    """Return s = (2^P - 1)^-2, the square of the error of a grid of P bits, as a share of its range's."""
    steps: FloatArray = 2.0 ** bits.to_numpy(float) - 1
    return steps**-2


def design(table: pd.DataFrame, form: str) -> FloatArray:
    """Return the columns of a form's linear coefficients, (rows, coefficients): ones, ln D and -ln N, then its own."""
    bits = table["bits"].to_numpy(float)
    plain = np.column_stack([np.ones(len(table)), np.log(table[TOKENS_SEEN]), -np.log(table[N_PARAMS])])
    if form == NEXT:
        return plain
    if form == EACH:
        return np.hstack([plain * (bits == width)[:, None] for width in np.unique(bits)])
    shared = np.column_stack([plain, -np.log(2**bits - 1)])
    return shared if form == ONE else np.hstack([shared, plain * (bits == bits.min())[:, None]])


def coefficients(table: pd.DataFrame, form: str, outcome: Outcome = KL) -> FloatArray:
    """Return a form's coefficients, those of `design` and then c. Raises AnalysisError where rows don't tell them."""
    columns, measured = design(table, form), np.log(table[outcome.column].to_numpy(float))
    rank = int(np.linalg.matrix_rank(columns))
    if rank < columns.shape[1]:
        raise AnalysisError(f"{form}: {columns.shape[1]} coefficients, but the rows tell {rank}")
    solve = np.linalg.pinv(columns)
    if form != NEXT:
        plain: FloatArray = solve @ measured
        return plain
    if table["bits"].nunique() < 2:
        raise AnalysisError(f"{form}: it takes two bit widths to tell; got {table['bits'].nunique()}")

    def without_widths(term: float) -> FloatArray:
        left: FloatArray = measured - _log_series(table["bits"], term)
        return left

    def misses(term: float) -> float:
        left = without_widths(term)
        return float(np.sum((left - columns @ (solve @ left)) ** 2))

    term = float(minimize_scalar(misses, bounds=(0, LARGEST_TERM), method="bounded", options={"xatol": 1e-9}).x)
    return np.append(solve @ without_widths(term), term)


def log_predicted(table: pd.DataFrame, form: str, found: FloatArray) -> FloatArray:
    """Return ln outcome of the rows by a form with the coefficients `found`."""
    if form == NEXT:
        return design(table, form) @ found[:-1] + _log_series(table["bits"], float(found[-1]))
    return design(table, form) @ found


def _log_series(bits: pd.Series, term: float) -> FloatArray:
    steps = squared_steps(bits)
    return np.log(steps) + np.log1p(term * steps)


def left_out(table: pd.DataFrame, form: str, outcome: Outcome = KL) -> pd.Series:
    """Return by run the rms of ln(measured / predicted), the run predicted from all others."""
    errors = {}
    for run, own in table.groupby("run_label"):
        told = coefficients(table[table["run_label"] != run], form, outcome)
        away = np.log(own[outcome.column].to_numpy(float)) - log_predicted(own, form, told)
        errors[run] = float(np.sqrt(np.mean(away**2)))
    return pd.Series(errors).rename_axis("run_label")


def forms(table: pd.DataFrame, outcome: Outcome = KL) -> pd.DataFrame:
    """Return each form's `n_coefficients`, `log_rms`, `aic` and `left_out_rms` (all runs alike), in no unit.

    Akaike's criterion takes rows for independent, which those of a run aren't: it is too sure, and what leaves runs
    out isn't.
    """
    rows = {}
    for form in FORMS:
        found = coefficients(table, form, outcome)
        away = np.log(table[outcome.column].to_numpy(float)) - log_predicted(table, form, found)
        square = float(np.mean(away**2))
        rows[form] = {
            "n_coefficients": len(found),
            "log_rms": float(np.sqrt(square)),
            "aic": len(table) * np.log(square) + 2 * len(found),
            "left_out_rms": float(np.sqrt((left_out(table, form, outcome) ** 2).mean())),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("form")


def from_other_widths(
    table: pd.DataFrame, known: Sequence[float], asked: Sequence[float], form: str = ONE, outcome: Outcome = KL
) -> pd.DataFrame:
    """Return the rows at the widths `asked` with `log_over`: ln of the outcome over what a form fitted to `known` says.

    Forms whose widths share nothing say nothing of others: `ONE` and `NEXT` do.
    """
    told, wanted = table[table["bits"].isin(known)], table[table["bits"].isin(asked)]
    predicted = log_predicted(wanted, form, coefficients(told, form, outcome))
    return wanted.assign(log_over=np.log(wanted[outcome.column].to_numpy(float)) - predicted)
