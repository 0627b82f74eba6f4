"""What a fit takes and returns: data, status, error, one estimate and the whole result. No fitting happens here."""

import enum
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.laws import FloatArray, LogLinearLaw, ValidityRange
from helpers.specs import QidError


def information(mean_nats: FloatArray, qid_se_nats: FloatArray, tau: float) -> FloatArray:
    """Return each row's Fisher information on ln mu under the fitted variance, mu^2 / (se^2 + tau^2 mu^2)."""
    return mean_nats**2 / (qid_se_nats**2 + (tau * mean_nats) ** 2)


def information_by_bits(
    mean_nats: FloatArray, qid_se_nats: FloatArray, bits: FloatArray, tau: float
) -> dict[float, float]:
    """Return each bit width's share of `information`, summed over its rows; the shares sum to 1."""
    rows = information(mean_nats, qid_se_nats, tau)
    return {float(width): float(rows[bits == width].sum() / rows.sum()) for width in np.unique(bits)}


class FitStatus(enum.StrEnum):
    """What became of a fit. The last two never come with estimates: they are the `status` of a FitError."""

    CONVERGED = "converged"  # estimates are at a maximum of the likelihood, from ten training runs or more
    FEW_RUNS = "few_runs"  # the same from fewer than ten runs: use intervals by run, with t(runs - 1) or fewer
    BOUND_HIT = "bound_hit"  # said before few_runs; `bounds_hit` names it. ln_tau low: se alone explains the scatter
    NOT_IDENTIFIABLE = "not_identifiable"  # the data can't tell some parameter; the message names it
    FAILED = "failed"  # data that can't be used, or no start of the optimiser reached a maximum


class FitError(QidError):
    """No usable estimate; `status` says which kind: not identifiable, or failed."""

    def __init__(self, message: str, status: FitStatus) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, eq=False)
class FitData:
    """The arrays of one fit, each of shape (n_rows,); QiD and its paired error in nats a token.

    Raises FitError on unequal lengths, values that aren't finite, or covariates and errors that aren't positive.
    """

    tokens: FloatArray
    n_params: FloatArray
    bits: FloatArray
    qid_nats: FloatArray
    qid_se_nats: FloatArray
    runs: np.ndarray  # one label a row: rows of one training run share it

    def __post_init__(self) -> None:
        """Check the arrays."""
        arrays = vars(self)
        if len({np.shape(values) for values in arrays.values()}) > 1 or np.ndim(self.tokens) != 1:
            raise FitError("the arrays of a fit must be one-dimensional and equally long", FitStatus.FAILED)
        for name in ("tokens", "n_params", "bits", "qid_nats", "qid_se_nats"):
            if not np.all(np.isfinite(arrays[name])):
                raise FitError(f"'{name}' holds values that aren't finite", FitStatus.FAILED)
            if name != "qid_nats" and np.any(arrays[name] <= 0):
                raise FitError(f"'{name}' holds values that aren't positive", FitStatus.FAILED)

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> "FitData":
        """Take the arrays from a table made by `degradation`."""
        names = ["tokens_seen", "n_params_non_embedding", "bits", "qid_nats", "qid_se_nats"]
        return cls(*(table[name].to_numpy(float) for name in names), table["run"].to_numpy(str))

    def where(self, mask: np.ndarray) -> "FitData":
        """Return the rows for which `mask`, shape (n_rows,), is True."""
        return FitData(*(values[mask] for values in vars(self).values()))

    @property
    def validity(self) -> ValidityRange:
        """Return the ranges that the rows cover."""
        return ValidityRange(*((float(x.min()), float(x.max())) for x in (self.tokens, self.n_params, self.bits)))


@dataclass(frozen=True)
class Estimate:
    """One parameter with its standard error and interval (low, high)."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted law with everything needed to judge it. Coefficients are (ln k, exponents ...)."""

    law: LogLinearLaw
    data: FitData
    covariance: FloatArray  # of the coefficients, shape (n_coefficients, n_coefficients)
    degrees_of_freedom: FloatArray  # of each coefficient's t interval, shape (n_coefficients,); infinity: normal
    level: float  # of the intervals
    method: str  # of the covariance and the intervals
    tau: float  # relative spread beyond the paired errors
    log_likelihood: float
    condition_number: float  # of the information-weighted, centred, unit-length columns
    bounds_hit: tuple[str, ...]
    status: FitStatus

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Return the names of the coefficients: ln_k first, since its error is symmetric and that of k isn't."""
        return ("ln_k", *self.law.PARAMETERS[1:])

    @property
    def n_rows(self) -> int:
        """Return how many rows were fitted."""
        return self.data.tokens.size

    @property
    def n_runs(self) -> int:
        """Return from how many training runs the rows come."""
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
        index = self.parameter_names.index(name)
        low, high = self.intervals[index]
        return Estimate(float(self.law.coefficients[index]), float(self.standard_errors[index]), low, high)

    @cached_property
    def fitted_nats(self) -> FloatArray:
        """Return the QiD that the law gives for each row, in nats a token, shape (n_rows,)."""
        return self.law.predict(self.data.tokens, self.data.n_params, self.data.bits)

    @property
    def residuals_nats(self) -> FloatArray:
        """Return measured minus fitted QiD, in nats a token, shape (n_rows,)."""
        return self.data.qid_nats - self.fitted_nats

    @property
    def standard_deviations_nats(self) -> FloatArray:
        """Return the fitted standard deviation of each row, sqrt(se^2 + tau^2 mu^2), shape (n_rows,)."""
        return np.hypot(self.data.qid_se_nats, self.tau * self.fitted_nats)

    @property
    def information_by_bits(self) -> dict[float, float]:
        """Return the share of the information on the law that the rows of each bit width hold; they sum to 1."""
        return information_by_bits(self.fitted_nats, self.data.qid_se_nats, self.data.bits, self.tau)

    def summary(self) -> str:
        """Return the fit as text: one line a parameter, then what it rests on."""
        lines = [f"{type(self.law).__name__}: {self.status}, {self.n_rows} rows of {self.n_runs} training runs"]
        for name, (low, high) in zip(self.parameter_names, self.intervals, strict=True):
            one = self.estimate(name)
            lines.append(f"  {name:>6} {one.value:9.4f}  se {one.standard_error:.4f}  [{low:.4f}, {high:.4f}]")
        shares = ", ".join(f"{bits:g} bits {share:.0%}" for bits, share in self.information_by_bits.items())
        hit = f"; at a bound: {', '.join(self.bounds_hit)}" if self.bounds_hit else ""
        return "\n".join(
            [
                *lines,
                f"  intervals {self.level:.0%}, {self.method}",
                f"  tau {self.tau:.3f}; log-likelihood {self.log_likelihood:.2f}; "
                f"condition number {self.condition_number:.1f}{hit}",
                f"  information: {shares}",
            ]
        )


def measured_over_predicted(law: LogLinearLaw, data: FitData) -> pd.DataFrame:
    """Return the sum of measured over the sum of predicted QiD: one row a bit width, one column a size N (no unit).

    On the trunk a size is a training run. Sums, so that a QiD at or below zero counts; `data` may lie outside of what
    the law was fitted to.
    """
    sums = (
        pd.DataFrame({"bits": data.bits, "size": data.n_params, "measured": data.qid_nats})
        .assign(predicted=law.predict(data.tokens, data.n_params, data.bits))
        .groupby(["bits", "size"])[["measured", "predicted"]]
        .sum()
    )
    return (sums["measured"] / sums["predicted"]).unstack()
