"""Parts of laws: the variables of a row, the ranges a law is valid in, and terms, each a factor of a law."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.analyse.arrays import FloatArray
from helpers.table.errors import QidError

Variables = dict[str, FloatArray]  # arrays of one shape, by name

# What a law may depend on, and how messages call it.
VARIABLES = {
    "tokens": "training tokens D",
    "n_params": "size N",
    "bits": "bit width P",
    "group_size": "group size G",
    "quantized_ratio": "quantization ratio Qr",
    "input_outliers": "outliers of the inputs, largest channel over the mean one",
    "lr_fraction": "learning rate as a share of its peak",
    "loss_nats": "16-bit loss",
    "curvature_nats": "what curvature says that rounding costs",
    "room_nats": "room below uniform guessing, ln V - 16-bit loss",
}
OWN_VARIABLES = ("tokens", "n_params", "bits")  # D, N, P: what every row has; the others are covariates
SEARCHED = {  # where `solve` looks for a solution that has no closed form
    "tokens": (1.0, 1e24),
    "n_params": (1.0, 1e24),
    "bits": (0.1, 64.0),
    "group_size": (1.0, 1e9),
    "quantized_ratio": (1e-6, 1.0),
    "input_outliers": (1.0, 1e6),
    "lr_fraction": (1e-12, 1.0),
    "loss_nats": (1e-6, 1e3),
    "curvature_nats": (1e-9, 1e3),
    "room_nats": (1e-6, 1e3),
}


class LawError(QidError, ValueError):
    """A law was asked about what it can't say: a variable is missing, another bit width, no solution."""


@dataclass(frozen=True)
class ValidityRange:
    """The box in which a law was fitted: inclusive ranges (low, high) of D, N, P and, in `covariates`, of others."""

    tokens: tuple[float, float]
    n_params: tuple[float, float]
    bits: tuple[float, float]
    covariates: dict[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, variable: str) -> tuple[float, float]:
        """Return the range of one variable; without bounds where the law doesn't have it."""
        return vars(self).get(variable) or self.covariates.get(variable, (-np.inf, np.inf))

    def contains(
        self, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike, **covariates: ArrayLike
    ) -> NDArray[np.bool_]:
        """Return which predictions are interpolations: True inside the box of all ranges."""
        asked = {"tokens": tokens, "n_params": n_params, "bits": bits} | covariates
        sides = []
        for name, values in asked.items():
            low, high = self.of(name)
            sides.append((low <= np.asarray(values)) & (np.asarray(values) <= high))
        inside: NDArray[np.bool_] = np.logical_and.reduce(np.broadcast_arrays(*sides))
        return inside


@dataclass(frozen=True)
class Scale:
    """The scale on which a term reads its variable: `of` gives the column; `back` undoes it, None where nothing can."""

    of: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray] | None


LOG = Scale(np.log, np.exp)
LINEAR = Scale(lambda values: values, lambda column: column)


@dataclass(frozen=True)
class Term:
    """One factor of a law, exp(sign * coefficient * scale(variable)): LOG makes it a power of the variable."""

    parameter: str
    variable: str
    scale: Scale
    sign: int

    def column(self, x: Variables) -> FloatArray:
        """Return the column that multiplies the coefficient, in the shape of the variables."""
        return self.sign * self.scale.of(x[self.variable])


TOKENS = Term("beta", "tokens", LOG, 1)
SIZE = Term("alpha", "n_params", LOG, -1)
BITS = Term("gamma", "bits", LOG, -1)
