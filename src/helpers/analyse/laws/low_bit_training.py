"""Laws of models that are trained at low bits, as their papers print them; nothing is fitted here.

Kumar et al. 2024 (arXiv 2411.04330): low bits take parameters away. Chen et al. 2025 (arXiv 2505.14302): they add a
loss that grows with tokens and falls with size. Sizes N are without embeddings, losses in nats per token.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.loss import ANY_BITS, ChinchillaLaw
from helpers.analyse.laws.variables import ValidityRange


@dataclass(frozen=True)
class TrainingPrecisionLaw:
    """L = A / N_eff^alpha + B / D^beta + E, with N_eff = N times 1 - exp(n - P / gamma) for each of what has P bits.

    Kumar et al. 2024, equation 4 and table 2, whose alpha and beta are tied; what rounding after training costs is left
    out. The paper doesn't spell out where its n belongs. Here it takes away from P / gamma: then the bits that are best
    for a budget of compute come out at 7, in the paper's 7 to 8; without n they come out at 3.5. Each of `weights`,
    `inputs` and `cache` is gamma, in bits, and n.
    """

    chinchilla: ChinchillaLaw
    weights: tuple[float, float]
    inputs: tuple[float, float]
    cache: tuple[float, float]
    source: str

    def left(
        self, weight_bits: ArrayLike = np.inf, input_bits: ArrayLike = np.inf, cache_bits: ArrayLike = np.inf
    ) -> FloatArray:
        """Return N_eff / N, from 0 to 1, broadcast over the bits; fewer bits than the form has a share for leave 0."""
        constants = (self.weights, self.inputs, self.cache)
        shares = [
            -np.expm1(np.minimum(n - np.asarray(bits, float) / gamma, 0.0))
            for bits, (gamma, n) in zip((weight_bits, input_bits, cache_bits), constants, strict=True)
        ]
        return np.asarray(np.prod(np.broadcast_arrays(*shares), axis=0))

    def gap(self, n_params: ArrayLike, weight_bits: ArrayLike = np.inf, input_bits: ArrayLike = np.inf) -> FloatArray:
        """Return by how much a model trained at these bits has a higher loss than its twin: the same after any D."""
        of_size = self.chinchilla.A / np.asarray(n_params, float) ** self.chinchilla.alpha
        return np.asarray(of_size * (self.left(weight_bits, input_bits) ** -self.chinchilla.alpha - 1))


@dataclass(frozen=True)
class TrainingErrorLaw:
    """delta = k D^gamma_D (log2 G)^gamma_G / N^gamma_N: Chen et al. 2025, equation 5, for one pair of bit widths.

    delta is the loss of the model trained at low bits minus that of its bfloat16 twin, G the weights of a group.
    """

    k: float
    gamma_D: float  # noqa: N815 (the paper's name)
    gamma_G: float  # noqa: N815
    gamma_N: float  # noqa: N815
    source: str
    validity: ValidityRange

    def gap(self, n_params: ArrayLike, tokens: ArrayLike, group_size: ArrayLike) -> FloatArray:
        """Return delta, broadcast over its variables; a group of one weight loses nothing."""
        size, seen, group = (np.asarray(each, float) for each in (n_params, tokens, group_size))
        return np.asarray(self.k * seen**self.gamma_D * np.log2(group) ** self.gamma_G / size**self.gamma_N)

    def left(
        self, n_params: ArrayLike, tokens: ArrayLike, group_size: ArrayLike, chinchilla: ChinchillaLaw
    ) -> FloatArray:
        """Return the share of N that a bfloat16 model of the same loss has: equation 12, the parameter multiplier."""
        lost = self.gap(n_params, tokens, group_size) * np.asarray(n_params, float) ** chinchilla.alpha
        return np.asarray((chinchilla.A / (chinchilla.A + lost)) ** (1 / chinchilla.alpha))


KUMAR_2024_TRAINING = TrainingPrecisionLaw(
    ChinchillaLaw(
        E=2.7648,
        A=4.299e3,
        alpha=0.4965,
        B=1.806e4,
        beta=0.4965,
        source="Kumar et al. 2024, arXiv 2411.04330, table 2",
        validity=ValidityRange(tokens=(1.5e9, 2.6e10), n_params=(3e7, 2.2e8), bits=ANY_BITS),
    ),
    weights=(2.6745, 0.3037),
    inputs=(2.2102, 1.4072),
    cache=(0.9578, 2.4185),
    source="Kumar et al. 2024, arXiv 2411.04330, equation 4 and table 2 (Dolma, 30M to 220M parameters)",
)
_CHEN = ValidityRange(tokens=(1e10, 1e11), n_params=(7.4e7, 5.95e8), bits=(4, 4))
CHEN_2025_LOSS = ChinchillaLaw(
    E=1.9279,
    A=237.7042,
    alpha=0.3022,
    B=596.2490,
    beta=0.3022,
    source="Chen et al. 2025, arXiv 2505.14302, table 1 (Llama-3 style, OLMo2-Mix)",
    validity=dataclasses.replace(_CHEN, bits=ANY_BITS),
)


def _chen(k: float, gamma_N: float, gamma_D: float, gamma_G: float, which: str) -> TrainingErrorLaw:  # noqa: N803
    source = f"Chen et al. 2025, arXiv 2505.14302, table 1, {which}"
    return TrainingErrorLaw(k, gamma_D, gamma_G, gamma_N, source, _CHEN)


CHEN_2025 = {
    "W4A4": _chen(0.1582, 0.2186, 0.0745, 0.7779, "weights and inputs at 4 bits"),
    "W4A16": _chen(0.2522, 0.3589, 0.1610, 0.3533, "weights at 4 bits"),
    "W16A4": _chen(0.1004, 0.1816, 0.0331, 0.9812, "inputs at 4 bits"),
}
