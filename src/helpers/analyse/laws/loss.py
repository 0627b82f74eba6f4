"""Laws of the loss itself, in nats per token as a function of D and N: of the 16-bit model, or of it rounded.

They are laws like those of QiD (records that predict and are solved), except that `predict` gives a loss. A loss law
turns a law of QiD that needs the 16-bit loss into one of D, N and P: `ChainedLaw`.
"""

from abc import abstractmethod
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.law import Law, bisect
from helpers.analyse.laws.variables import Term, Variables

ANY_BITS = (0.0, np.inf)
LEAST_LOG = -700.0  # of signal over noise: the exponential of less is no float
AT_BOUND = 1e-4  # relative: the search stays strictly between the bounds


@dataclass(frozen=True)
class SizeAndTokensLaw(Law):
    """The base of the loss laws: they need D and N, and have no terms."""

    TERMS: ClassVar[tuple[Term, ...]] = ()

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return the variables: D and N."""
        return ("tokens", "n_params")

    @classmethod
    @abstractmethod
    def loss_starts(cls, x: Variables, loss_nats: FloatArray) -> list[FloatArray]:
        """Return starting coefficients of a fit to losses, shape (n_models,); every loss law has its own."""


@dataclass(frozen=True)
class ChinchillaLaw(SizeAndTokensLaw):
    """L = E + A / N^alpha + B / D^beta: Hoffmann et al. 2022 (arXiv 2203.15556), equation 2."""

    NAME: ClassVar[str] = "chinchilla"

    E: float
    A: float
    alpha: float
    B: float
    beta: float

    LOGS: ClassVar[frozenset[str]] = frozenset({"E", "A", "B"})

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln L and its slopes in (ln E, ln A, alpha, ln B, beta)."""
        log_e, log_a, alpha, log_b, beta = coefficients
        log_size, log_tokens = np.log(x["n_params"]), np.log(x["tokens"])
        parts = np.stack([np.full(log_size.shape, log_e), log_a - alpha * log_size, log_b - beta * log_tokens])
        value = np.logaddexp.reduce(parts, axis=0)
        rest, of_size, of_tokens = np.exp(parts - value)
        slopes = [rest, of_size, -of_size * log_size, of_tokens, -of_tokens * log_tokens]
        return value, np.stack(slopes, axis=-1)

    @classmethod
    def loss_starts(cls, x: Variables, loss_nats: FloatArray) -> list[FloatArray]:
        """Return starting coefficients: shares of the loss that don't fall, and exponents, on a grid."""
        starts, middle = [], np.log([np.median(x["n_params"]), np.median(x["tokens"])])
        for share in (0.3, 0.6, 0.9):
            rest = np.log((np.median(loss_nats) - share * loss_nats.min()) / 2)
            for alpha, beta in ((0.2, 0.2), (0.2, 0.6), (0.6, 0.2), (0.6, 0.6)):
                log_e = np.log(share * loss_nats.min())
                starts.append(np.array([log_e, rest + alpha * middle[0], alpha, rest + beta * middle[1], beta]))
        return starts


@dataclass(frozen=True)
class OuyangLossLaw(SizeAndTokensLaw):
    """L = ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D: Ouyang et al. 2024, equation 3, after Kaplan 2020."""

    NAME: ClassVar[str] = "kaplan-loss"

    N_c: float
    alpha_N: float  # noqa: N815 (the paper's name)
    D_c: float
    alpha_D: float  # noqa: N815

    LOGS: ClassVar[frozenset[str]] = frozenset({"N_c", "D_c"})

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln L and its slopes in (ln N_c, alpha_N, ln D_c, alpha_D)."""
        log_n, alpha_n, log_d, alpha_d = coefficients
        of_size, of_tokens = log_n - np.log(x["n_params"]), log_d - np.log(x["tokens"])
        ratio = alpha_n / alpha_d
        inner = np.logaddexp(ratio * of_size, of_tokens)
        share = np.exp(ratio * of_size - inner)
        by_alpha_d = inner - ratio * share * of_size
        slopes = [alpha_n * share, share * of_size, alpha_d * (1 - share), by_alpha_d]
        return alpha_d * inner, np.stack(slopes, axis=-1)

    @classmethod
    def loss_starts(cls, x: Variables, loss_nats: FloatArray) -> list[FloatArray]:
        """Return starting coefficients: exponents on a grid, the constants so that each part makes half of the loss."""
        level, starts = np.log(np.median(loss_nats)), []
        log_size, log_tokens = np.log(np.median(x["n_params"])), np.log(np.median(x["tokens"]))
        for alpha_n, alpha_d in ((0.05, 0.1), (0.05, 0.4), (0.15, 0.2), (0.15, 0.8)):
            half = level - alpha_d * np.log(2)
            starts.append(np.array([log_size + half / alpha_n, alpha_n, log_tokens + half / alpha_d, alpha_d]))
        return starts

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds of the exponents: alpha_D grows without end where L = (N_c / N)^alpha_N exp(d / D) fits best.

        That is its limit, d = alpha_D D_c: a loss that falls with D by the same factor at every size.
        """
        return {"alpha_N": (1e-3, 20.0), "alpha_D": (1e-3, 20.0)}


@dataclass(frozen=True)
class ShannonLaw(SizeAndTokensLaw):
    """L = 1 / C, C = a N^alpha log2(1 + b D^beta / (c (D N)^gamma + d D^delta + e)): Ouyang et al. 2026 (2605.23901).

    Known from the abstract and second-hand. It is refitted for each quantization: no bits. The loss may rise with D, so
    `solve` finds one solution at most. Of b, c, d, e only ratios matter; b = 1 fixes them without loss.
    """

    NAME: ClassVar[str] = "shannon"

    a: float
    alpha: float
    beta: float
    c: float
    gamma: float
    d: float
    delta: float
    e: float

    LOGS: ClassVar[frozenset[str]] = frozenset({"a", "c", "d", "e"})

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln L and its slopes in (ln a, alpha, beta, ln c, gamma, ln d, delta, ln e)."""
        log_a, alpha, beta, log_c, gamma, log_d, delta, log_e = coefficients
        log_size, log_tokens = np.log(x["n_params"]), np.log(x["tokens"])
        both = log_size + log_tokens
        parts = np.stack([log_c + gamma * both, log_d + delta * log_tokens, np.full(both.shape, log_e)])
        noise = np.logaddexp.reduce(parts, axis=0)
        log_ratio = np.maximum(beta * log_tokens - noise, LEAST_LOG)
        nats = np.logaddexp(0, log_ratio)
        falls = 1 / (1 + np.exp(-log_ratio)) / nats  # of ln C with ln of signal over noise
        of_c, of_d, of_e = np.exp(parts - noise) * falls
        slopes = [
            np.ones(both.shape),
            log_size,
            falls * log_tokens,
            -of_c,
            -of_c * both,
            -of_d,
            -of_d * log_tokens,
            -of_e,
        ]
        return -(log_a + alpha * log_size + np.log(nats / np.log(2))), -np.stack(slopes, axis=-1)

    @classmethod
    def loss_starts(cls, x: Variables, loss_nats: FloatArray) -> list[FloatArray]:
        """Return starting coefficients: exponents and signal over noise on a grid, all noise equal in the middle.

        They are many: from a few, most fits end in minima that aren't the lowest.
        """
        log_size, log_tokens = np.log(np.median(x["n_params"])), np.log(np.median(x["tokens"]))
        growths, starts = (0.1, 0.5), []
        for alpha, beta, gamma, delta, log_ratio in product((0.05, 0.2), (0.2, 0.6, 1.1), growths, growths, (-1, 1)):
            noise = beta * log_tokens - log_ratio
            log_c, log_d = noise - gamma * (log_size + log_tokens), noise - delta * log_tokens
            log_a = -np.log(np.median(loss_nats)) - alpha * log_size
            starts.append(np.array([log_a, alpha, beta, log_c, gamma, log_d, delta, noise]))
        return starts


def bounds_hit(law: SizeAndTokensLaw) -> tuple[str, ...]:
    """Return the coefficients of a fitted loss law that lie at a bound: its losses can't tell them.

    What the law predicts there is still what fits best within the bounds.
    """
    ends = type(law).bounds({})
    values = dict(zip(law.coefficient_names(), law.coefficients, strict=True))
    return tuple(name for name, both in ends.items() if np.isclose(values[name], both, rtol=AT_BOUND, atol=0).any())


@dataclass(frozen=True)
class ChainedLaw:
    """A law of QiD that needs the 16-bit loss, with that loss predicted: a law of D, N and P."""

    law: Law
    loss_law: SizeAndTokensLaw

    def predict(self, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
        """Return QiD in nats per token, in the broadcast shape of the arguments."""
        return self.law.predict(tokens, n_params, bits, loss_nats=self.loss_law.predict(tokens, n_params))

    def solve(self, variable: str, qid_nats: ArrayLike, **known: ArrayLike) -> FloatArray:
        """Return the value of `variable` at which QiD is `qid_nats`, all others `known`, by bisection.

        Raises LawError where there is no solution between the ends of `SEARCHED`.
        """
        shape = np.broadcast_shapes(*(np.shape(values) for values in (qid_nats, *known.values())))
        target = np.asarray(qid_nats, float)
        return bisect(lambda values: self.predict(**{**known, variable: values}) > target, variable, shape)
