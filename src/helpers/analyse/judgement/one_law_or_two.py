"""One law over the bit widths, or two: what is gained by a break, and what one side of it says of the other.

All forms are straight lines in logarithms, fitted to KL by least squares. *One law* is k D^beta / N^alpha times
(2^P - 1)^-gamma, with the steps of a grid of P bits (`questions.quadratic_rule` says why, and gamma = 2). *Two laws*
give the narrowest width a factor and exponents of its own. *A law a width* shares nothing.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL, Outcome
from helpers.table.errors import AnalysisError

ONE, TWO, EACH = FORMS = ("one law", "two laws", "a law a width")


def design(table: pd.DataFrame, form: str) -> FloatArray:
    """Return the columns of a form's coefficients, (rows, coefficients): ones, ln D and -ln N, and -ln(2^P - 1)."""
    bits = table["bits"].to_numpy(float)
    plain = np.column_stack([np.ones(len(table)), np.log(table[TOKENS_SEEN]), -np.log(table[N_PARAMS])])
    if form == EACH:
        return np.hstack([plain * (bits == width)[:, None] for width in np.unique(bits)])
    shared = np.column_stack([plain, -np.log(2**bits - 1)])
    return shared if form == ONE else np.hstack([shared, plain * (bits == bits.min())[:, None]])


def coefficients(table: pd.DataFrame, form: str, outcome: Outcome = KL) -> FloatArray:
    """Return a form's coefficients by least squares of ln outcome. Raises AnalysisError where rows don't tell them."""
    columns = design(table, form)
    found, _, rank, _ = np.linalg.lstsq(columns, np.log(table[outcome.column].to_numpy(float)))
    if rank < columns.shape[1]:
        raise AnalysisError(f"{form}: {columns.shape[1]} coefficients, but the rows tell {rank}")
    return found


def left_out(table: pd.DataFrame, form: str, outcome: Outcome = KL) -> pd.Series:
    """Return by run the rms of ln(measured / predicted), the run predicted from all others."""
    errors = {}
    columns, measured = design(table, form), np.log(table[outcome.column].to_numpy(float))
    for run in table["run_label"].unique():
        own = (table["run_label"] == run).to_numpy()
        told = columns[own] @ coefficients(table[~own], form, outcome)
        errors[run] = float(np.sqrt(np.mean((measured[own] - told) ** 2)))
    return pd.Series(errors).rename_axis("run_label")


def forms(table: pd.DataFrame, outcome: Outcome = KL) -> pd.DataFrame:
    """Return each form's `n_coefficients`, `log_rms`, `aic` and `left_out_rms` (all runs alike), in no unit.

    Akaike's criterion takes rows for independent, which those of a run aren't: it is too sure, and what leaves runs
    out isn't.
    """
    rows = {}
    for form in FORMS:
        columns = design(table, form)
        away = np.log(table[outcome.column].to_numpy(float)) - columns @ coefficients(table, form, outcome)
        square = float(np.mean(away**2))
        rows[form] = {
            "n_coefficients": columns.shape[1],
            "log_rms": np.sqrt(square),
            "aic": len(table) * np.log(square) + 2 * columns.shape[1],
            "left_out_rms": float(np.sqrt((left_out(table, form, outcome) ** 2).mean())),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("form")


def from_other_widths(
    table: pd.DataFrame, known: Sequence[float], asked: Sequence[float], outcome: Outcome = KL
) -> pd.DataFrame:
    """Return the rows at the widths `asked` with `log_over`: ln of the outcome over what one law of `known` says."""
    told, wanted = table[table["bits"].isin(known)], table[table["bits"].isin(asked)]
    predicted = design(wanted, ONE) @ coefficients(told, ONE, outcome)
    return wanted.assign(log_over=np.log(wanted[outcome.column].to_numpy(float)) - predicted)
