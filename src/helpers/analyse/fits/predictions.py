"""Predictions of a fitted law with their spread, and how they do on rows held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData, FitError, FitStatus, stacked
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.variables import LawError


@dataclass(frozen=True, eq=False)
class Predictions:
    """Rows as measured and as predicted without them. Arrays have shape (n_rows,), in nats per token."""

    data: FitData  # the rows held out
    floor_nats: FloatArray  # noise floor of each: ln QiD means something only well above it
    predicted_nats: FloatArray
    low_nats: FloatArray  # of the prediction interval
    high_nats: FloatArray
    level: float  # of the prediction interval
    no_interval_because: str  # empty, or why there is no interval: then low and high are NaN

    @property
    def clear(self) -> np.ndarray:
        """Return which rows have a measured QiD above three noise floors: only there does ln QiD mean something."""
        return self.data.outcome_nats > 3 * self.floor_nats

    @property
    def log_errors(self) -> FloatArray:
        """Return ln(predicted / measured) of the clear rows, shape (n_clear,); minus infinity for a prediction of 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predicted_nats[self.clear]) - np.log(self.data.outcome_nats[self.clear])

    @property
    def rest_errors_nats(self) -> FloatArray:
        """Return predicted minus measured QiD of the other rows, in nats per token, shape (n_rows - n_clear,)."""
        return (self.predicted_nats - self.data.outcome_nats)[~self.clear]

    @property
    def covered(self) -> FloatArray:
        """Return 1.0 for rows inside their prediction interval, else 0; NaN where there is none."""
        inside = (self.low_nats <= self.data.outcome_nats) & (self.data.outcome_nats <= self.high_nats)
        return np.full(inside.shape, np.nan) if self.no_interval_because else inside.astype(float)

    @property
    def coverage(self) -> float:
        """Return the share of rows inside their prediction interval; NaN where there is none."""
        return float(self.covered.mean())

    def scores(self) -> dict[str, float]:
        """Return the figures of merit; those of an empty group of rows are NaN."""
        return {
            "n_params": float(self.data.n_params.max()),
            "n_rows": self.data.tokens.size,
            "log_bias": _mean(self.log_errors),
            "log_rms": _mean(self.log_errors**2) ** 0.5,
            "excluded_share": float(1 - self.clear.mean()),
            "rest_bias_nats": _mean(self.rest_errors_nats),
            "rest_rms_nats": _mean(self.rest_errors_nats**2) ** 0.5,
            "coverage": self.coverage,
            "clear_coverage": _mean(self.covered[self.clear]),
        }

    def scores_by_run(self) -> pd.DataFrame:
        """Return one row per training run, since rows of one run share its luck: what scores of several are made of.

        Columns: `run_label`, `n_rows`, `n_clear`, `log_mean_square` of the clear rows' ln(predicted / measured) (NaN:
        none is clear) and `coverage` (NaN: no interval).
        """
        clear = self.clear
        squares = np.full(clear.shape, np.nan)
        squares[clear] = self.log_errors**2
        rows = pd.DataFrame({"run_label": self.data.runs, "clear": clear, "square": squares, "covered": self.covered})
        return (
            rows.groupby("run_label")
            .agg(
                n_rows=("clear", "size"),
                n_clear=("clear", "sum"),
                log_mean_square=("square", "mean"),
                coverage=("covered", "mean"),
            )
            .reset_index()
        )


@dataclass(frozen=True, eq=False)
class HoldOut(Predictions):
    """Predictions of a fit for rows that it hasn't seen."""

    fit: FitResult  # of the training rows, with intervals by run where there can be any


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several hold-outs as those of one; without interval where a part has none."""
    floor, predicted, low, high = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("floor_nats", "predicted_nats", "low_nats", "high_nats")
    )
    trouble = next((part.no_interval_because for part in parts if part.no_interval_because), "")
    return Predictions(stacked([one.data for one in parts]), floor, predicted, low, high, parts[0].level, trouble)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def predictions(
    fit: FitResult,
    new: FitData,
    floor_nats: FloatArray,
    trouble: str,
    level: float = 0.90,
    input_error: ArrayLike = 0.0,
) -> HoldOut:
    """Return the predictions of `fit` for rows of new runs, with intervals at `level` unless `trouble` says why not.

    The variance is se^2 + tau^2 mu^2 (the row itself) plus mu^2 x'Cx (the coefficients, with the slopes x of ln mu and
    the covariance C of `fit`) plus (mu `input_error`)^2, with t(runs - 1). `input_error` is that of ln mu from
    covariates that are themselves predicted. Raises FitError where the law can't say anything of the rows.
    """
    try:
        log_mean, slopes = fit.law.evaluate(fit.law.coefficients, new.asked(fit.law))
    except LawError as error:
        raise FitError(str(error), FitStatus.NOT_IDENTIFIABLE) from error
    mean = np.exp(log_mean)
    relative_variance = np.einsum("ni,ij,nj->n", slopes, fit.covariance, slopes) + fit.tau**2 + np.square(input_error)
    half = stats.t.ppf(0.5 + level / 2, fit.n_runs - 1) * np.hypot(
        new.outcome_se_nats, mean * np.sqrt(relative_variance)
    )
    half = np.full(mean.shape, np.nan) if trouble else half
    return HoldOut(new, floor_nats, mean, mean - half, mean + half, level, trouble, fit)


def hold_out(
    law_type: type[Law], training: FitData, held: FitData, floor_nats: FloatArray, level: float = 0.90
) -> HoldOut:
    """Fit the law to `training` and predict `held`, with intervals for a new run at `level`.

    Raises FitError where the training rows can't identify the law or the law can't say anything of the others; where
    they only give no interval by run, `no_interval_because` says so.
    """
    fit, trouble = fit_by_run(law_type, training)
    return predictions(fit, held, floor_nats, trouble, level)


def hold_out_largest(law_type: type[Law], data: FitData, level: float = 0.90) -> HoldOut:
    """Fit the law without the largest size and predict it; the noise floor is the paired error.

    In planted trials with 4 or 6 sizes a nominal 90% covered 95 to 97%. Raises FitError (see `hold_out`).
    """
    largest = data.n_params == data.n_params.max()
    held = data.where(largest)
    return hold_out(law_type, data.where(~largest), held, held.outcome_se_nats, level)
