"""The law of the largest quantization ratio: how much of a model can go to low precision as models grow.

Cao et al. (2024, arXiv 2410.06722v1): at a fixed budget, N = exp(k x + c) with x = 1 - Qr the share that stays in high
precision and N in billions of parameters; read the other way, x falls by a fixed amount with each factor in size. N is
what a study sets and x what it measures, so x is regressed on ln N, and k = 1 / slope.

Fits are of tables from `largest_ratio.largest_ratios`, of one low scheme, granularity, metric and budget.
Checkpoints whose largest ratio is censored (see `largest_ratio.Censored`) are no point on the law: those with
everything within the budget are left out and counted, those with nothing are read between zero and the smallest ratio
tried.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import ArrayLike
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.by_run import cr2_covariance
from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.fits.fit import FEW_RUNS_BELOW
from helpers.analyse.fits.result import Estimate
from helpers.analyse.mixed.largest_ratio import QUESTION, Censored
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN

BILLION = 1e9
LEAST_RUNS = 3  # a line through two has no scatter left


@dataclass(frozen=True)
class RatioLaw:
    """N = exp(k x + c), N in billions of parameters, x = 1 - Qr (no unit), at a fixed budget."""

    k: float
    c: float

    def largest_ratio(self, n_params: ArrayLike) -> FloatArray:
        """Return Qr of models of so many parameters: a line in ln N, below 0 and above 1 too."""
        return 1 - (np.log(np.asarray(n_params, float) / BILLION) - self.c) / self.k

    def n_params_at(self, ratio: ArrayLike) -> FloatArray:
        """Return the number of parameters of the model whose largest ratio is `ratio`."""
        return BILLION * np.exp(self.k * (1 - np.asarray(ratio, float)) + self.c)


# Relative rise of the perplexity -> the law printed for Qwen-1.5, matrix by matrix, MXINT-4 weights and activations.
CAO_2024_LAWS = {0.05: RatioLaw(-11.68, 4.83), 0.1: RatioLaw(-11.27, 3.35), 0.2: RatioLaw(-12.84, 1.86)}


@dataclass(frozen=True, eq=False)
class RatioFit:
    """The fit of 1 - Qr = intercept + size_slope ln N + token_slope ln D, N in billions, D in billions of tokens.

    `token_slope`, `size_for_tokens` and `proportional_slope` are None in the law of size alone. Intervals are by
    training run.
    """

    intercept: Estimate
    size_slope: Estimate
    token_slope: Estimate | None
    size_for_tokens: Estimate | None  # p: the largest ratio stays where N grows as D^p; by the delta method
    proportional_slope: Estimate | None  # of 1 - Qr in ln N where D grows in proportion to N: the sum of both slopes
    scatter: float  # standard deviation of 1 - Qr around the line
    n_runs: int
    n_rows: int
    n_all: int  # checkpoints left out: everything within the budget
    n_none: int  # checkpoints read below the smallest ratio tried
    status: FitStatus

    @property
    def law(self) -> RatioLaw:
        """Return the law in the paper's parameters, at one billion tokens where tokens matter."""
        k = 1 / self.size_slope.value
        return RatioLaw(k, -k * self.intercept.value)

    @property
    def k_interval(self) -> tuple[float, float]:
        """Return the ends of k's interval: one over those of the slope; NaN where the slope may be zero."""
        low, high = self.size_slope.low, self.size_slope.high
        return (1 / high, 1 / low) if low * high > 0 else (np.nan, np.nan)


def _design(rows: pd.DataFrame, with_tokens: bool) -> FloatArray:
    columns = [N_PARAMS, TOKENS_SEEN] if with_tokens else [N_PARAMS]
    return sm.add_constant(np.log(rows[columns].to_numpy(float) / BILLION), has_constant="add")


def _estimate(value: float, error: float, freedom: float, level: float) -> Estimate:
    half = stats.t.ppf((1 + level) / 2, freedom) * error
    return Estimate(float(value), float(error), float(value - half), float(value + half))


def _size_for_tokens(values: FloatArray, covariance: FloatArray, freedom: FloatArray, level: float) -> Estimate:
    """Return - token_slope / size_slope with the error that the delta method gives it."""
    _, size, tokens = values
    gradient = np.array([0.0, tokens / size**2, -1 / size])
    return _estimate(-tokens / size, np.sqrt(gradient @ covariance @ gradient), freedom[1:].min(), level)


def _proportional_slope(values: FloatArray, covariance: FloatArray, freedom: FloatArray, level: float) -> Estimate:
    """Return size_slope + token_slope with its error: at equal tokens per parameter ln D moves as ln N does."""
    both = np.array([0.0, 1.0, 1.0])
    error = float(np.sqrt(both @ covariance @ both))
    return _estimate(float(both @ values), error, float(freedom[1:].min()), level)


def usable_rows(largest: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that can be points of a law: not those with everything within the budget."""
    return largest[largest["censored"] != Censored.ALL]


def _refuse(rows: pd.DataFrame, with_tokens: bool) -> None:
    """Raise FitError where `rows` can't identify the law."""
    n_runs, columns = (
        rows["run_label"].nunique(),
        {N_PARAMS: "size"} | ({TOKENS_SEEN: "number of training tokens"} if with_tokens else {}),
    )
    if n_runs < LEAST_RUNS:
        message = f"a law of the largest ratio needs {LEAST_RUNS} runs that aren't at ratio 1; got {n_runs}"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    for column, name in columns.items():
        if rows[column].nunique() < 2:
            raise FitError(f"every row has the same {name}", FitStatus.NOT_IDENTIFIABLE)
    if not with_tokens and rows["run_label"].duplicated().any():
        raise FitError("a law of size alone takes one checkpoint a run", FitStatus.FAILED)


def fit_ratio_law(largest: pd.DataFrame, with_tokens: bool = False, level: float = 0.95) -> RatioFit:
    """Fit the law by least squares, with intervals at `level` by training run.

    Of size alone there is one checkpoint per run: intervals are those of a line, t(runs - 2). With tokens rows of a run
    share its luck: CR2, t with Bell-McCaffrey degrees of freedom, at most runs - 2. Raises FitError with fewer than
    LEAST_RUNS runs, one size, one D, or where the runs give no interval (`by_run.cr2_covariance`).
    """
    rows = usable_rows(largest)
    _refuse(rows, with_tokens)
    design, kept = _design(rows, with_tokens), 1 - rows["interpolated"].to_numpy(float)
    line = sm.OLS(kept, design).fit()
    n_runs = rows["run_label"].nunique()
    covariance, freedom = line.cov_params(), np.full(design.shape[1], float(n_runs - 2))
    if with_tokens:
        by_run = cr2_covariance(design, line.resid, rows["run_label"].to_numpy(str))
        covariance, freedom = by_run.covariance, np.minimum(by_run.degrees_of_freedom, n_runs - 2)
    values, errors = line.params, np.sqrt(np.diag(covariance))
    each = zip(values, errors, freedom, strict=True)
    intercept, size_slope, *further = (_estimate(value, error, of_it, level) for value, error, of_it in each)
    return RatioFit(
        intercept,
        size_slope,
        further[0] if with_tokens else None,
        _size_for_tokens(values, covariance, freedom, level) if with_tokens else None,
        _proportional_slope(values, covariance, freedom, level) if with_tokens else None,
        float(np.sqrt(line.mse_resid)),
        n_runs,
        len(rows),
        int((largest["censored"] == Censored.ALL).sum()),
        int((rows["censored"] == Censored.NONE).sum()),
        FitStatus.FEW_RUNS if n_runs < FEW_RUNS_BELOW else FitStatus.CONVERGED,
    )


def fits_by_question(largest: pd.DataFrame, with_tokens: bool = False) -> pd.DataFrame:
    """Return one row per question (QUESTION) with its `fit`, a RatioFit or None, and the `reason` for None."""
    rows = []
    for key, part in largest.groupby(QUESTION, dropna=False):
        try:
            answer = {"fit": fit_ratio_law(part, with_tokens), "reason": ""}
        except FitError as error:
            answer = {"fit": None, "reason": str(error)}
        rows.append(dict(zip(QUESTION, key, strict=True)) | answer)
    return pd.DataFrame(rows)
