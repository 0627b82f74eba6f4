"""Results of a fit: estimates, the whole result, draws of its coefficients. No fitting happens here."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitData, FitStatus
from helpers.analyse.laws.law import Law


def information(mean_nats: FloatArray, outcome_se_nats: FloatArray, tau: float) -> FloatArray:
    """Return each row's Fisher information on ln mu under the fitted variance, mu^2 / (se^2 + tau^2 mu^2)."""
    return mean_nats**2 / (outcome_se_nats**2 + (tau * mean_nats) ** 2)


def information_by_bits(
    mean_nats: FloatArray, outcome_se_nats: FloatArray, bits: FloatArray, tau: float
) -> dict[float, float]:
    """Return each bit width's share of `information`, summed over its rows; the shares sum to 1."""
    rows = information(mean_nats, outcome_se_nats, tau)
    return {float(width): float(rows[bits == width].sum() / rows.sum()) for width in np.unique(bits)}


@dataclass(frozen=True)
class Estimate:
    """One parameter with its standard error and interval (low, high)."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted law with everything needed to judge it. Coefficients are the law's: (ln k, exponents ...)."""

    law: Law
    data: FitData
    covariance: FloatArray  # of the coefficients, shape (n_coefficients, n_coefficients); zero for one at its bound
    degrees_of_freedom: FloatArray  # of each coefficient's t interval, shape (n_coefficients,); infinity: normal
    level: float  # of the intervals
    method: str  # of the covariance and the intervals
    tau: float  # relative spread beyond the paired errors
    log_likelihood: float
    condition_number: float  # of the information-weighted, centred, unit-length slopes
    tail_freedom: float  # degrees of freedom of the Student-t errors; infinity: normal
    bounds_hit: tuple[str, ...]
    status: FitStatus

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Return the names of the coefficients: ln_k, since its error is symmetric and that of k isn't."""
        return self.law.coefficient_names()

    @property
    def free(self) -> np.ndarray:
        """Return which coefficients were estimated: all but those at a bound, shape (n_coefficients,)."""
        return ~np.isin(self.coefficient_names, self.bounds_hit)

    @cached_property
    def slopes(self) -> FloatArray:
        """Return the slopes of each row's ln QiD in the coefficients, shape (n_rows, n_coefficients)."""
        return self.law.evaluate(self.law.coefficients, self.data.asked(self.law))[1]

    @property
    def n_rows(self) -> int:
        """Return the number of rows that were fitted."""
        return self.data.tokens.size

    @property
    def n_runs(self) -> int:
        """Return the number of training runs that the rows come from."""
        return np.unique(self.data.runs).size

    @property
    def standard_errors(self) -> FloatArray:
        """Return the standard error of each coefficient, shape (n_coefficients,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def intervals(self) -> FloatArray:
        """Return low and high of each coefficient at `level`, shape (n_coefficients, 2)."""
        quantile = stats.t.ppf(0.5 + self.level / 2, self.degrees_of_freedom)
        half_width = quantile * self.standard_errors
        return self.law.coefficients[:, None] + half_width[:, None] * np.array([-1.0, 1.0])

    def estimate(self, name: str) -> Estimate:
        """Return one coefficient by name (`ln_k`, `beta`, ...). Raises ValueError for another name."""
        index = self.coefficient_names.index(name)
        low, high = self.intervals[index]
        return Estimate(float(self.law.coefficients[index]), float(self.standard_errors[index]), low, high)

    @cached_property
    def fitted_nats(self) -> FloatArray:
        """Return the QiD that the law gives for each row, in nats per token, shape (n_rows,)."""
        return np.exp(self.law.evaluate(self.law.coefficients, self.data.asked(self.law))[0])

    @property
    def residuals_nats(self) -> FloatArray:
        """Return measured minus fitted QiD, in nats per token, shape (n_rows,)."""
        return self.data.outcome_nats - self.fitted_nats

    @property
    def standard_deviations_nats(self) -> FloatArray:
        """Return the fitted standard deviation of each row, sqrt(se^2 + tau^2 mu^2), shape (n_rows,)."""
        return np.hypot(self.data.outcome_se_nats, self.tau * self.fitted_nats)

    @property
    def aic(self) -> float:
        """Return Akaike's criterion, 2 parameters (tau is one) - 2 log-likelihood: for fits of the same rows only."""
        return float(2 * (self.free.sum() + 1) - 2 * self.log_likelihood)

    @property
    def bic(self) -> float:
        """Return Schwarz's criterion with the number of rows: generous, since rows of one run aren't independent."""
        return float(math.log(self.n_rows) * (self.free.sum() + 1) - 2 * self.log_likelihood)

    @property
    def information_by_bits(self) -> dict[float, float]:
        """Return the share of the information on the law that the rows of each bit width hold; they sum to 1."""
        return information_by_bits(self.fitted_nats, self.data.outcome_se_nats, self.data.bits, self.tau)

    def summary(self) -> str:
        """Return the fit as text: one line per parameter, then what it rests on."""
        width = max(map(len, self.coefficient_names))
        lines = [f"{type(self.law).__name__}: {self.status}, {self.n_rows} rows of {self.n_runs} training runs"]
        for name, (low, high) in zip(self.coefficient_names, self.intervals, strict=True):
            one = self.estimate(name)
            lines.append(f"  {name:>{width}} {one.value:9.4f}  se {one.standard_error:.4f}  [{low:.4f}, {high:.4f}]")
        shares = ", ".join(f"{bits:g} bits {share:.0%}" for bits, share in self.information_by_bits.items())
        hit = f"; at a bound: {', '.join(self.bounds_hit)}" if self.bounds_hit else ""
        return "\n".join(
            [
                *lines,
                f"  intervals {self.level:.0%}, {self.method}",
                f"  tau {self.tau:.3f}; log-likelihood {self.log_likelihood:.2f}; "
                f"AIC {self.aic:.1f}; BIC {self.bic:.1f}; condition number {self.condition_number:.1f}{hit}",
                f"  information: {shares}",
            ]
        )


@dataclass(frozen=True, eq=False)
class Draws:
    """Coefficients that could be the truth, shape (n_draws, n_coefficients), in the order of `names`, and tau."""

    names: tuple[str, ...]
    coefficients: FloatArray
    tau: FloatArray  # shape (n_draws,)
    n_failed: int = 0  # refits that reached no maximum, where draws are refits

    @property
    def standard_errors(self) -> FloatArray:
        """Return the standard deviation of each coefficient over the draws."""
        return self.coefficients.std(axis=0, ddof=1)

    def intervals(self, level: float = 0.95) -> FloatArray:
        """Return percentile intervals, shape (n_coefficients, 2)."""
        return np.quantile(self.coefficients, [0.5 - level / 2, 0.5 + level / 2], axis=0).T


def measured_over_predicted(law: Law, data: FitData) -> pd.DataFrame:
    """Return the sum of measured over the sum of predicted QiD: one row per bit width, one column per size N (no unit).

    On the trunk a size is a training run. Sums, so that a QiD at or below zero counts; `data` may lie outside of what
    the law was fitted to.
    """
    sums = (
        pd.DataFrame({"bits": data.bits, "size": data.n_params, "measured": data.outcome_nats})
        .assign(predicted=law.predict(data.tokens, data.n_params, data.bits))
        .groupby(["bits", "size"])[["measured", "predicted"]]
        .sum()
    )
    return (sums["measured"] / sums["predicted"]).unstack()
