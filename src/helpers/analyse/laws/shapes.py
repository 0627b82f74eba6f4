"""The forms that compete and are more than a product of powers: QiD that levels off, begins late, or is a told cost.

A form is a class with a `NAME`; `names.FORMS` finds it here.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.forms import FreeBitsLaw, UnifiedLaw
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.variables import Term, Variables

REFERENCE_SIZE = 1e6  # non-embedding parameters at which an onset D0 that depends on size is given


@dataclass(frozen=True)
class SaturatingLaw(UnifiedLaw):
    """1 / QiD = 1 / q + 1 / ceiling with q the unified law: QiD levels off at a fitted ceiling, in nats per token.

    ln V - loss (uniform guessing) is a reference for the ceiling, not a bound: worse models exist.
    """

    NAME: ClassVar[str] = "saturating"

    ceiling: float

    LOGS: ClassVar[frozenset[str]] = frozenset({"k", "ceiling"})
    TOKEN_POWERS: ClassVar[dict[str, int]] = {"ln_ceiling": -1}

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD and its slopes."""
        power, slopes = super().evaluate(coefficients, x)
        filled = np.exp(-np.logaddexp(0, coefficients[-1] - power))  # q / (q + ceiling)
        slopes = np.concatenate([slopes * (1 - filled)[..., None], filled[..., None]], axis=-1)
        return power - np.logaddexp(0, power - coefficients[-1]), slopes

    @classmethod
    def starts(cls, x: Variables) -> list[dict[str, float]]:
        """Return two starts: a low and a high ceiling."""
        return [{"ln_ceiling": np.log(2.0)}, {"ln_ceiling": np.log(30.0)}]

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds of the ceiling; at the upper one the law is the unified law."""
        return {"ln_ceiling": (np.log(1e-3), np.log(1e4))}


@dataclass(frozen=True)
class ThresholdLaw(UnifiedLaw):
    """QiD = k (D - D0)^beta / (N^alpha P^gamma) beyond D0 tokens, nothing before."""

    NAME: ClassVar[str] = "threshold"

    D0: float

    LOGS: ClassVar[frozenset[str]] = frozenset({"k", "D0"})
    TOKEN_POWERS: ClassVar[dict[str, int]] = {"ln_D0": 1}

    @classmethod
    def log_onset(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln D0 of each row and its slopes in the coefficients beyond the terms'."""
        return np.full(x["tokens"].shape, coefficients[4]), np.ones((*x["tokens"].shape, 1))

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD, minus infinity before D0, and its slopes, zero there."""
        power, columns = super().evaluate(coefficients, x)
        log_onset, onset_slopes = cls.log_onset(coefficients, x)
        ratio = np.exp(log_onset - np.log(x["tokens"]))
        after = ratio < 1
        left = np.log1p(-np.where(after, ratio, 0.0))  # ln(1 - D0 / D)
        columns = columns.copy()
        columns[..., 1] += left
        by_onset = -coefficients[1] * np.where(after, ratio, 0.0) / np.where(after, 1 - ratio, 1.0)
        slopes = np.concatenate([columns, by_onset[..., None] * onset_slopes], axis=-1)
        value = np.where(after, power + coefficients[1] * left, -np.inf)
        return value, slopes * after[..., None]

    @classmethod
    def starts(cls, x: Variables) -> list[dict[str, float]]:
        """Return starts with onsets before the first rows and among them."""
        first, middle = x["tokens"].min(), np.median(x["tokens"])
        return [{"ln_D0": np.log(value)} for value in (0.2 * first, 0.8 * first, (first * middle) ** 0.5)]

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds of D0: a thousandth of the fewest tokens (no onset) to the most."""
        return {"ln_D0": (np.log(x["tokens"].min() / 1e3), np.log(x["tokens"].max()))}


@dataclass(frozen=True)
class ThresholdBySizeLaw(ThresholdLaw):
    """The threshold law with an onset that depends on size: D0 (N / 10^6)^-nu tokens."""

    NAME: ClassVar[str] = "threshold-by-size"

    nu: float

    TOKEN_POWERS: ClassVar[dict[str, int]] = {"ln_D0": 1, "nu": 0}

    @classmethod
    def log_onset(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln D0 of each row and its slopes in ln D0 and nu."""
        log_size = np.log(x["n_params"] / REFERENCE_SIZE)
        slopes = np.stack([np.ones(log_size.shape), -log_size], axis=-1)
        return slopes @ coefficients[4:6], slopes

    @classmethod
    def starts(cls, x: Variables) -> list[dict[str, float]]:
        """Return the threshold law's starts, each with an onset that doesn't depend on size and one that does."""
        return [start | {"nu": nu} for start in super().starts(x) for nu in (0.0, 0.3)]

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds of D0 and nu."""
        return super().bounds(x) | {"nu": (-3.0, 3.0)}


@dataclass(frozen=True)
class OnsetLaw(UnifiedLaw):
    """QiD = k D^beta / (N^alpha P^gamma) / (1 + (D1 / D)^s), D1 = D0 (N / 10^6)^-nu: a smooth onset at D1 tokens.

    Long after the onset it is the unified law; long before it QiD rises as D^(beta + s).
    """

    NAME: ClassVar[str] = "onset"

    D0: float
    nu: float
    s: float

    LOGS: ClassVar[frozenset[str]] = frozenset({"k", "D0", "s"})
    TOKEN_POWERS: ClassVar[dict[str, int]] = {"ln_D0": 1, "nu": 0, "ln_s": 0}

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD and its slopes."""
        power, columns = super().evaluate(coefficients, x)
        log_onset, nu, steepness = coefficients[4], coefficients[5], np.exp(coefficients[6])
        log_size = np.log(x["n_params"] / REFERENCE_SIZE)
        before = log_onset - nu * log_size - np.log(x["tokens"])  # ln(D1 / D)
        missing = np.exp(-np.logaddexp(0, -steepness * before))
        by_shape = [-steepness * missing, steepness * missing * log_size, -steepness * missing * before]
        value = power - np.logaddexp(0, steepness * before)
        return value, np.concatenate([columns, np.stack(by_shape, axis=-1)], axis=-1)

    @classmethod
    def starts(cls, x: Variables) -> list[dict[str, float]]:
        """Return starts with early and late onsets, gentle and steep."""
        first, middle = x["tokens"].min(), np.median(x["tokens"])
        return [
            {"ln_D0": np.log(onset), "nu": 0.3, "ln_s": np.log(steepness)}
            for onset in (first, (first * middle) ** 0.5)
            for steepness in (1.0, 3.0)
        ]

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds of D0, nu and s."""
        tokens = x["tokens"]
        return {
            "ln_D0": (np.log(tokens.min() / 1e3), np.log(tokens.max() * 1e3)),
            "nu": (-3.0, 3.0),
            "ln_s": (np.log(0.1), np.log(20.0)),
        }


@dataclass(frozen=True)
class CurvatureLaw(Law):
    """QiD = c q at 3 bits, times g_2 at 2 bits and g_4 at 4 bits, q the cost by curvature tr(H) s^2 / 2 of the weights.

    It is told the model: H is the Hessian of the loss, s^2 the mean squared error of rounding to nearest, both known
    before any rounded model is run (`rows.curvature`); q in nats per token. D and N aren't in it. c would be 1 if
    rounding were a small random change and the quantizer rounded to nearest.
    """

    NAME: ClassVar[str] = "curvature"

    c: float
    g_2: float
    g_4: float

    TERMS: ClassVar[tuple[Term, ...]] = FreeBitsLaw.TERMS[2:]
    LOGS: ClassVar[frozenset[str]] = frozenset({"c", "g_2", "g_4"})
    ONLY: ClassVar[dict[str, tuple[float, ...]]] = FreeBitsLaw.ONLY

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD and its slopes."""
        value, columns = super().evaluate(coefficients, x)
        return value + np.log(x["curvature_nats"]), columns

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return the bit width and the cost by curvature."""
        return (*super().needs(), "curvature_nats")
