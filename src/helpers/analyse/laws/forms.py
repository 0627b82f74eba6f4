"""The forms that compete and are products of terms; those that are more are in `shapes`.

Parameters keep the letters of the unified law where they mean the same: k, beta (tokens), alpha (size), gamma (bits).
A form is a class with a `NAME`; `names.FORMS` finds it here.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.variables import BITS, LINEAR, LOG, SIZE, TOKENS, Scale, Term


def _log_steps(bits: FloatArray) -> FloatArray:
    """Return the logarithm of the steps 2^(P - 1) - 1 from zero to the end of a symmetric grid; none up to 1 bit."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(2 ** (bits - 1) - 1, 0))


def _one_width(bits: int) -> Scale:
    return Scale(lambda values: (values == bits).astype(float), None)


STEPS = Scale(_log_steps, lambda column: np.log2(np.exp(column) + 1) + 1)
TAKEN_AWAY = Scale(lambda share: 1 - share, lambda column: 1 - column)
STEPS_OF_BITS = Term("gamma", "bits", STEPS, -1)
LOSS = Term("lambda_", "loss_nats", LINEAR, -1)


@dataclass(frozen=True)
class UnifiedLaw(Law):
    """QiD = k D^beta / (N^alpha P^gamma): Ouyang et al. 2024 (arXiv 2411.17691), equation 8."""

    NAME: ClassVar[str] = "power"

    k: float
    beta: float
    alpha: float
    gamma: float

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE, BITS)


@dataclass(frozen=True)
class OneBitWidthLaw(Law):
    """QiD = k D^beta / N^alpha at one bit width: the same law without P (Ouyang et al. 2024, figure 9).

    Bits are part of every call, as in the unified law; another bit width than the law's is a LawError.
    """

    NAME: ClassVar[str] = "one-bit-width"

    k: float
    beta: float
    alpha: float

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE)
    HELD: ClassVar[tuple[str, ...]] = ("bits",)


@dataclass(frozen=True)
class TokensLaw(Law):
    """QiD = b D^beta at one size and bit width: Ouyang et al. 2024, equation 5."""

    NAME: ClassVar[str] = "tokens"

    b: float
    beta: float

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS,)
    LOGS: ClassVar[frozenset[str]] = frozenset({"b"})
    HELD: ClassVar[tuple[str, ...]] = ("n_params", "bits")


@dataclass(frozen=True)
class SizeLaw(Law):
    """QiD = a / N^alpha at one number of tokens and bit width: Ouyang et al. 2024, equation 6."""

    NAME: ClassVar[str] = "size"

    a: float
    alpha: float

    TERMS: ClassVar[tuple[Term, ...]] = (SIZE,)
    LOGS: ClassVar[frozenset[str]] = frozenset({"a"})
    HELD: ClassVar[tuple[str, ...]] = ("tokens", "bits")


@dataclass(frozen=True)
class BitsLaw(Law):
    """QiD = p / P^gamma at one number of tokens and size: Ouyang et al. 2024, equation 7."""

    NAME: ClassVar[str] = "bits"

    p: float
    gamma: float

    TERMS: ClassVar[tuple[Term, ...]] = (BITS,)
    LOGS: ClassVar[frozenset[str]] = frozenset({"p"})
    HELD: ClassVar[tuple[str, ...]] = ("tokens", "n_params")


@dataclass(frozen=True)
class ExponentialLaw(Law):
    """QiD = C_T D^g_D / N^g_N exp(-P / g_post): Kumar et al. 2024 (arXiv 2411.04330), equation 2."""

    NAME: ClassVar[str] = "exponential"

    C_T: float
    g_D: float  # noqa: N815 (the paper's name)
    g_N: float  # noqa: N815
    g_post: float  # bits

    TERMS: ClassVar[tuple[Term, ...]] = (
        Term("g_D", "tokens", LOG, 1),
        Term("g_N", "n_params", LOG, -1),
        Term("g_post", "bits", LINEAR, -1),
    )
    LOGS: ClassVar[frozenset[str]] = frozenset({"C_T"})
    INVERSES: ClassVar[frozenset[str]] = frozenset({"g_post"})


@dataclass(frozen=True)
class StepsLaw(UnifiedLaw):
    """QiD = k D^beta / (N^alpha (2^(P - 1) - 1)^gamma): a power of the steps between zero and the largest weight.

    A symmetric grid has that many, its rounding error has the variance of one step, and a loss that is quadratic in the
    weights would give gamma = 2. The form was chosen after a look at 2 to 4 bits; wider grids are its test.
    """

    NAME: ClassVar[str] = "steps"

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE, STEPS_OF_BITS)


@dataclass(frozen=True)
class TokensPerParameterLaw(Law):
    """QiD = c (D / N)^b / (2^(P - 1) - 1)^gamma: the steps law with one exponent for tokens and size together.

    Of two models that have read as many tokens per parameter none loses more. c is QiD at 2 bits and D = N. The form
    was found beside a hundred others on this project's rows.
    """

    NAME: ClassVar[str] = "tokens-per-parameter"

    c: float
    b: float
    gamma: float

    TERMS: ClassVar[tuple[Term, ...]] = (
        Term("b", "tokens", LOG, 1),
        Term("b", "n_params", LOG, -1),
        STEPS_OF_BITS,
    )
    LOGS: ClassVar[frozenset[str]] = frozenset({"c"})


@dataclass(frozen=True)
class FreeBitsLaw(Law):
    """QiD = k D^beta / N^alpha at 3 bits, times g_2 at 2 bits and g_4 at 4 bits: no form in P, for rows of 2 to 4 bits.

    At another bit width it would say what it says at 3, so those are refused.
    """

    NAME: ClassVar[str] = "free-bits"

    k: float
    beta: float
    alpha: float
    g_2: float
    g_4: float

    TERMS: ClassVar[tuple[Term, ...]] = (
        TOKENS,
        SIZE,
        Term("g_2", "bits", _one_width(2), 1),
        Term("g_4", "bits", _one_width(4), 1),
    )
    LOGS: ClassVar[frozenset[str]] = frozenset({"k", "g_2", "g_4"})
    ONLY: ClassVar[dict[str, tuple[float, ...]]] = {"bits": (2, 3, 4)}


@dataclass(frozen=True)
class LossLaw(UnifiedLaw):
    """QiD = k D^beta / (N^alpha (2^(P - 1) - 1)^gamma) exp(-lambda L16): the 16-bit loss as a covariate.

    Of two models of the same N and D the one that has learnt more loses more. lambda has unit 1 / nats.
    """

    NAME: ClassVar[str] = "loss"

    lambda_: float

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE, STEPS_OF_BITS, LOSS)


@dataclass(frozen=True)
class LossPowerBitsLaw(LossLaw):
    """The loss law with the unified law's power of P: QiD = k D^beta / (N^alpha P^gamma) exp(-lambda L16)."""

    NAME: ClassVar[str] = "loss-power-bits"

    TERMS: ClassVar[tuple[Term, ...]] = (TOKENS, SIZE, BITS, LOSS)


@dataclass(frozen=True)
class RoomLaw(UnifiedLaw):
    """QiD = k D^beta / (N^alpha P^gamma) (ln V - L16)^delta: a power of what was learnt below uniform guessing."""

    NAME: ClassVar[str] = "room"

    delta: float

    TERMS: ClassVar[tuple[Term, ...]] = (*UnifiedLaw.TERMS, Term("delta", "room_nats", LOG, 1))


@dataclass(frozen=True)
class LearningRateLaw(UnifiedLaw):
    """QiD = k D^beta / (N^alpha P^gamma) exp(kappa (1 - r)), r what decay has left of the peak learning rate."""

    NAME: ClassVar[str] = "learning-rate"

    kappa: float

    TERMS: ClassVar[tuple[Term, ...]] = (*UnifiedLaw.TERMS, Term("kappa", "lr_fraction", TAKEN_AWAY, 1))


@dataclass(frozen=True)
class GroupSizeLaw(UnifiedLaw):
    """QiD = k D^beta G^eta / (N^alpha P^gamma), G weights per scale: group size as a fourth variable."""

    NAME: ClassVar[str] = "group-size"

    eta: float

    TERMS: ClassVar[tuple[Term, ...]] = (*UnifiedLaw.TERMS, Term("eta", "group_size", LOG, 1))
