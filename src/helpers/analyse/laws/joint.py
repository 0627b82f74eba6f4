"""Laws of QiD in size N, training tokens D, quantization ratio Qr and block size Qb: the forms that compete.

Qr is the share of the parameters of the blocks' linear layers that were rounded, Qb the number of neighbouring values
that share a scale, in weights and activations. Version 1 of Cao et al. (arXiv 2410.06722) has two laws: N = exp(k x +
c) with x = 1 - Qr at a fixed loss, which is what `RatioExponentialLaw` says with k = -c / alpha, and loss = A Qb^k
(`BlockPowerLaw`). Of its later versions the abstract was read; the form is known second-hand, from notes on the
paper, its constants not at all: loss = C e^(A Qr) N^(-gamma_N) (Qb + d)^(gamma_c), refitted for each method, here
`BlockOffsetLaw`. D, which the paper doesn't vary, joins everywhere.

What is fitted may be QiD in nats per token or the relative increase of perplexity, exp(QiD) - 1: a law is a power of
its variables either way. A form that competes is a class with a `NAME`; `names.JOINT_FORMS` finds it here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.shapes import REFERENCE_SIZE
from helpers.analyse.laws.variables import LINEAR, LOG, SIZE, TOKENS, Scale, Term, Variables

REFERENCE_BLOCK = 32  # values per scale at which exponents that depend on the block are given
REFERENCE_TOKENS = 2.5e8

LOG_OF_LOG = Scale(lambda values: np.log(np.log(values)), lambda column: np.exp(np.exp(column)))
BLOCK = Term("kappa", "group_size", LOG, 1)
RATIO = Term("c", "quantized_ratio", LINEAR, 1)


@dataclass(frozen=True)
class BlockPowerLaw(Law):
    """Increase = A Qb^k of one checkpoint at one Qr: Cao et al. 2024 (arXiv 2410.06722 v1), the law of block size."""

    A: float
    k: float

    TERMS: ClassVar[tuple[Term, ...]] = (Term("k", "group_size", LOG, 1),)
    LOGS: ClassVar[frozenset[str]] = frozenset({"A"})
    HELD: ClassVar[tuple[str, ...]] = ("tokens", "n_params")


@dataclass(frozen=True)
class BlockLaw(Law):
    """QiD = k D^beta Qb^kappa / N^alpha at one Qr and bit width."""

    k: float
    beta: float
    alpha: float
    kappa: float

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE, BLOCK)


@dataclass(frozen=True)
class RatioExponentialLaw(BlockLaw):
    """QiD = k D^beta Qb^kappa exp(c Qr) / N^alpha: at a fixed QiD, N = exp(-(c / alpha)(1 - Qr) + ...)."""

    NAME: ClassVar[str] = "ratio-exponential"

    c: float

    TERMS: ClassVar[tuple[Term, ...]] = (*BlockLaw.TERMS, RATIO)


@dataclass(frozen=True)
class RatioPowerLaw(BlockLaw):
    """QiD = k D^beta Qb^kappa Qr^rho / N^alpha: nothing is lost where nothing is rounded."""

    NAME: ClassVar[str] = "ratio-power"

    rho: float

    TERMS: ClassVar[tuple[Term, ...]] = (*BlockLaw.TERMS, Term("rho", "quantized_ratio", LOG, 1))


@dataclass(frozen=True)
class RatioRestLaw(BlockLaw):
    """QiD = k D^beta Qb^kappa (1 - (1 - Qr)^rho) / N^alpha: what is kept saves a power of its share."""

    NAME: ClassVar[str] = "ratio-rest"

    rho: float

    LOGS: ClassVar[frozenset[str]] = frozenset({"k", "rho"})

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD and its slopes."""
        power, columns = super().evaluate(coefficients, x)
        rho, rest = np.exp(coefficients[-1]), 1 - x["quantized_ratio"]
        log_rest = np.log(np.where(rest > 0, rest, 1.0))
        saved = np.where(rest > 0, np.exp(rho * log_rest), 0.0)
        slope = -saved * rho * log_rest / (1 - saved)
        return power + np.log1p(-saved), np.concatenate([columns, slope[..., None]], axis=-1)

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return the terms' variables and Qr."""
        return (*super().needs(), "quantized_ratio")

    @classmethod
    def starts(cls, x: Variables) -> list[dict[str, float]]:
        """Return two starts of rho: a power below one (the last part costs most) and one above."""
        return [{"ln_rho": np.log(0.3)}, {"ln_rho": np.log(2.0)}]

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds of rho."""
        return {"ln_rho": (np.log(0.01), np.log(100.0))}


@dataclass(frozen=True)
class LogBlockLaw(RatioExponentialLaw):
    """QiD = k D^beta (ln Qb)^kappa exp(c Qr) / N^alpha.

    The largest of Qb normal values grows as the root of 2 ln Qb, and with it the step of a block whose scale it sets.
    """

    NAME: ClassVar[str] = "log-block"

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE, Term("kappa", "group_size", LOG_OF_LOG, 1), RATIO)


class CrossedLaw(Law):
    """A law with coefficients of products of two variables, the last of its coefficients, in the order of `CROSSED`."""

    CROSSED: ClassVar[tuple[Callable[[Variables], FloatArray], ...]]

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD and its slopes."""
        value, columns = super().evaluate(coefficients, x)
        crossed = np.stack([product(x) for product in cls.CROSSED], axis=-1)
        return value + crossed @ coefficients[-crossed.shape[-1] :], np.concatenate([columns, crossed], axis=-1)


def _from_32(x: Variables) -> FloatArray:
    return np.log(x["group_size"] / REFERENCE_BLOCK)


def _block_and_size(x: Variables) -> FloatArray:
    return _from_32(x) * np.log(x["n_params"] / REFERENCE_SIZE)


def _block_and_tokens(x: Variables) -> FloatArray:
    return _from_32(x) * np.log(x["tokens"] / REFERENCE_TOKENS)


def _block_and_outliers(x: Variables) -> FloatArray:
    return _from_32(x) * np.log(x["input_outliers"])


def _block_and_ratio(x: Variables) -> FloatArray:
    return _from_32(x) * (x["quantized_ratio"] - 1)


def _size_and_ratio(x: Variables) -> FloatArray:
    return (x["quantized_ratio"] - 1) * np.log(x["n_params"] / REFERENCE_SIZE)


@dataclass(frozen=True)
class RatioBySizeLaw(CrossedLaw, RatioExponentialLaw):
    """The exponential law with c + mu ln(N / 10^6) for c; alpha is that of Qr = 1."""

    NAME: ClassVar[str] = "ratio-by-size"

    mu: float

    CROSSED: ClassVar = (_size_and_ratio,)


@dataclass(frozen=True)
class BlockBySizeLaw(CrossedLaw, RatioExponentialLaw):
    """The exponential law with kappa + mu ln(N / 10^6) for kappa; alpha is that of blocks of 32."""

    NAME: ClassVar[str] = "block-by-size"

    mu: float

    CROSSED: ClassVar = (_block_and_size,)


@dataclass(frozen=True)
class BlockByTokensLaw(CrossedLaw, RatioExponentialLaw):
    """The exponential law with kappa + mu ln(D / 2.5e8) for kappa; beta is that of blocks of 32."""

    NAME: ClassVar[str] = "block-by-tokens"

    mu: float

    CROSSED: ClassVar = (_block_and_tokens,)


@dataclass(frozen=True)
class BlockByBothLaw(CrossedLaw, RatioExponentialLaw):
    """The exponential law with kappa + mu ln(N / 10^6) + nu ln(D / 2.5e8) for kappa."""

    NAME: ClassVar[str] = "block-by-both"

    mu: float
    nu: float

    CROSSED: ClassVar = (_block_and_size, _block_and_tokens)


@dataclass(frozen=True)
class BlockByRatioLaw(CrossedLaw, RatioExponentialLaw):
    """The exponential law with kappa - mu (1 - Qr) for kappa."""

    NAME: ClassVar[str] = "block-by-ratio"

    mu: float

    CROSSED: ClassVar = (_block_and_ratio,)


@dataclass(frozen=True)
class BlockByOutliersLaw(CrossedLaw, RatioExponentialLaw):
    """The exponential law with kappa + mu ln(outliers) for kappa: it is told how far the inputs' channels differ."""

    NAME: ClassVar[str] = "block-by-outliers"

    mu: float

    CROSSED: ClassVar = (_block_and_outliers,)

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return the terms' variables and the outliers of the inputs."""
        return (*super().needs(), "input_outliers")


@dataclass(frozen=True)
class WithoutBlockLaw(Law):
    """QiD = k D^beta exp(c Qr) / N^alpha: every block size the same."""

    NAME: ClassVar[str] = "without-block"

    k: float
    beta: float
    alpha: float
    c: float

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE, RATIO)


@dataclass(frozen=True)
class BlockOffsetLaw(WithoutBlockLaw):
    """QiD = k D^beta exp(c Qr) (Qb + d)^kappa / N^alpha: the later form of Cao et al., known second-hand, with D.

    d is in values per scale and may be negative; at d = 0 the law is `RatioExponentialLaw`.
    """

    NAME: ClassVar[str] = "block-offset"

    kappa: float
    d: float

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD and its slopes."""
        value, columns = super().evaluate(coefficients, x)
        kappa, offset = coefficients[-2:]
        shifted = x["group_size"] + offset
        slopes = np.stack([np.log(shifted), kappa / shifted], axis=-1)
        return value + kappa * slopes[..., 0], np.concatenate([columns, slopes], axis=-1)

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return the terms' variables and Qb."""
        return (*super().needs(), "group_size")

    @classmethod
    def starts(cls, x: Variables) -> list[dict[str, float]]:
        """Return two starts: no offset and one of a usual block."""
        return [{"kappa": 0.4, "d": 0.0}, {"kappa": 0.4, "d": float(REFERENCE_BLOCK)}]

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds of d: from near the smallest block, which it must not undo, to far beyond the largest."""
        return {"d": (-0.95 * x["group_size"].min(), 30 * x["group_size"].max())}


@dataclass(frozen=True)
class WithoutTokensLaw(Law):
    """QiD = k Qb^kappa exp(c Qr) / N^alpha: the three variables of Cao et al. alone."""

    NAME: ClassVar[str] = "without-tokens"

    k: float
    alpha: float
    kappa: float
    c: float

    TERMS: ClassVar[tuple[Term, ...]] = (SIZE, BLOCK, RATIO)
