"""Laws of quantization-induced degradation (QiD): how much loss rounding adds, as a function of D, N and P.

Symbols and units, in every law: QiD in nats a token; D, training tokens seen; N, non-embedding parameters;
P, bits a weight. A law is a frozen record whose parameters carry the paper's names; it predicts QiD and is
solved for any of its variables. Arguments may be scalars or arrays of shapes that broadcast together.

Both laws are linear in their coefficients after a logarithm, `ln QiD = design @ coefficients`, where the first
coefficient is ln k and the others are the exponents. That is all that a fit needs to know of a law.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ValidityRange:
    """Where a law was fitted: inclusive ranges (low, high) of tokens D, parameters N and bits P."""

    tokens: tuple[float, float]
    n_params: tuple[float, float]
    bits: tuple[float, float]

    def contains(self, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> NDArray[np.bool_]:
        """Return where a prediction is an interpolation: True inside the box of the three ranges."""
        inside = [
            (low <= np.asarray(values)) & (np.asarray(values) <= high)
            for values, (low, high) in zip((tokens, n_params, bits), dataclasses.astuple(self), strict=True)
        ]
        return np.logical_and.reduce(np.broadcast_arrays(*inside))


class LogLinearLaw(ABC):
    """What the laws share: prediction and its inverses, given `PARAMETERS`, `VARIABLES` and `design`."""

    PARAMETERS: ClassVar[tuple[str, ...]]  # k first, then the exponents in the order of the design's columns
    VARIABLES: ClassVar[tuple[str, ...]]  # what each exponent belongs to, for messages

    @classmethod
    @abstractmethod
    def design(cls, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return the columns (1, ln D, -ln N, ...) that multiply the coefficients: shape (..., parameters)."""

    @property
    def coefficients(self) -> FloatArray:
        """Return ln k and the exponents, in the order of `PARAMETERS`."""
        values = [getattr(self, name) for name in self.PARAMETERS]
        return np.array([math.log(values[0]), *values[1:]])

    def predict(self, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return QiD in nats a token, in the broadcast shape of the arguments."""
        return np.exp(self.design(tokens, n_params, bits) @ self.coefficients)

    def tokens_at(self, qid_nats: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return the training tokens D at which QiD reaches `qid_nats`, in the broadcast shape."""
        return (np.asarray(qid_nats) / self.predict(1.0, n_params, bits)) ** (1.0 / self.beta)

    def n_params_at(self, qid_nats: ArrayLike, tokens: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return the size N at which QiD has fallen to `qid_nats`, in the broadcast shape."""
        return (self.predict(tokens, 1.0, bits) / np.asarray(qid_nats)) ** (1.0 / self.alpha)


@dataclass(frozen=True)
class UnifiedLaw(LogLinearLaw):
    """QiD = k D^beta / (N^alpha P^gamma): Ouyang et al. 2024 (arXiv 2411.17691), equation 8."""

    k: float
    beta: float
    alpha: float
    gamma: float
    source: str
    validity: ValidityRange

    PARAMETERS: ClassVar[tuple[str, ...]] = ("k", "beta", "alpha", "gamma")
    VARIABLES: ClassVar[tuple[str, ...]] = ("training tokens D", "size N", "bit width P")

    @classmethod
    def design(cls, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return the columns (1, ln D, -ln N, -ln P): shape (..., 4)."""
        tokens, n_params, bits = np.broadcast_arrays(tokens, n_params, bits)
        return np.stack([np.ones(tokens.shape), np.log(tokens), -np.log(n_params), -np.log(bits)], axis=-1)

    @classmethod
    def from_coefficients(cls, coefficients: FloatArray, source: str, validity: ValidityRange) -> Self:
        """Build the law from (ln k, beta, alpha, gamma)."""
        log_k, beta, alpha, gamma = (float(value) for value in coefficients)
        return cls(math.exp(log_k), beta, alpha, gamma, source, validity)

    def bits_at(self, qid_nats: ArrayLike, tokens: ArrayLike, n_params: ArrayLike) -> FloatArray:
        """Return the bits a weight P (not rounded to an integer) at which QiD has fallen to `qid_nats`."""
        return (self.predict(tokens, n_params, 1.0) / np.asarray(qid_nats)) ** (1.0 / self.gamma)


@dataclass(frozen=True)
class OneBitWidthLaw(LogLinearLaw):
    """QiD = k D^beta / N^alpha at one bit width: the same law without P (Ouyang et al. 2024, figure 9).

    `bits` is part of every call, as in the unified law; another bit width than the law's is a ValueError.
    """

    k: float
    beta: float
    alpha: float
    bits: float
    source: str
    validity: ValidityRange

    PARAMETERS: ClassVar[tuple[str, ...]] = ("k", "beta", "alpha")
    VARIABLES: ClassVar[tuple[str, ...]] = ("training tokens D", "size N")

    @classmethod
    def design(cls, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return the columns (1, ln D, -ln N): shape (..., 3). Raises ValueError when bit widths differ."""
        if np.unique(bits).size > 1:
            raise ValueError(f"one bit width a law; got {', '.join(f'{value:g}' for value in np.unique(bits))}")
        tokens, n_params, _ = np.broadcast_arrays(tokens, n_params, bits)
        return np.stack([np.ones(tokens.shape), np.log(tokens), -np.log(n_params)], axis=-1)

    @classmethod
    def from_coefficients(cls, coefficients: FloatArray, source: str, validity: ValidityRange) -> Self:
        """Build the law from (ln k, beta, alpha); its bit width is the one of `validity`."""
        log_k, beta, alpha = (float(value) for value in coefficients)
        return cls(math.exp(log_k), beta, alpha, validity.bits[0], source, validity)

    def predict(self, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return QiD in nats a token. Raises ValueError for another bit width than the law's."""
        if np.any(np.asarray(bits) != self.bits):
            raise ValueError(f"a law of {self.bits:g} bits was asked about {np.unique(bits)} bits")
        return super().predict(tokens, n_params, bits)


OUYANG_2024 = UnifiedLaw(
    k=0.017,
    beta=0.5251,
    alpha=0.2261,
    gamma=5.4967,
    source="Ouyang et al. 2024, arXiv 2411.17691, equation 8 and figure 6 (GPTQ, Pythia, RefinedWeb)",
    validity=ValidityRange(tokens=(1.07e9, 2.055e11), n_params=(8.506e7, 1.133e10), bits=(2, 4)),  # Pythia 160M to 12B
)


def _table_1_law(bits: float, k: float, beta: float, alpha: float) -> OneBitWidthLaw:
    source = f"fitted to the 16 {bits:g}-bit cells of Table 1, Ouyang et al. 2024, arXiv 2411.17691"
    return OneBitWidthLaw(k, beta, alpha, bits, source, dataclasses.replace(OUYANG_2024.validity, bits=(bits, bits)))


# Table 1 of the paper was not made by its equation 8. These three (least squares of ln D, each cell weighted by its
# printed digits) reproduce its 48 cells to 0.6 units of the last digit; the 2-bit one is close to the unified law.
OUYANG_2024_TABLE_1 = {
    2: _table_1_law(2, 3.786727e-4, 0.524053, 0.225002),
    3: _table_1_law(3, 1.170298e-5, 0.672732, 0.354690),
    4: _table_1_law(4, 6.132297e-6, 0.655060, 0.383503),
}
